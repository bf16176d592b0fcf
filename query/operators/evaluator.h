// Expressions of a plan, evaluated for a run, a series or a point.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "query/execution_context.h"
#include "query/expression.h"
#include "query/operators/joined.h"

namespace stepdb {

// What an expression costs that asks the store for nothing, in values looked at.
inline constexpr uint64_t kRowWork = 64;

// What an expression is evaluated for, and what has been asked of the store for it.
struct ExpressionRow {
    ExpressionRow() = default;
    // Of a run, or of one of its series, which outlives the row.
    explicit ExpressionRow(size_t its_run, const Series* its_series = nullptr)
        : run(its_run), series(its_series) {}

    // Becomes that of another run or series, without allocating anew.
    void go_on_to(size_t its_run, const Series* its_series = nullptr) {
        run = its_run;
        series = its_series;
        std::ranges::fill(summaries, std::nullopt);
    }
    // Null if it has not been asked for.
    const SeriesSummary* find_summary(uint32_t source) const {
        return source < summaries.size() && summaries[source] ? &*summaries[source] : nullptr;
    }

    size_t run = 0;                  // in the bound query
    const Series* series = nullptr;  // null: a run's row
    // By source of the plan; of a metric that the run does not have one of no points.
    std::vector<std::optional<SeriesSummary>> summaries;
    // A point of it, for conditions of `when`.
    Axis axis = Axis::kStepped;
    Key key = 0;
    int64_t time_us = 0;
    double value = 0;
    std::optional<int64_t> start_us;        // of the run's series, for `elapsed`
    const JoinedMetrics* joined = nullptr;  // other metrics, at the points aligned last
    size_t joined_at = 0;                   // which of these points
};

// Where `elapsed` begins, if anyone asks for it.
std::optional<int64_t> find_run_start(const RunStarts& starts, size_t run);
std::optional<double> elapsed_seconds(std::optional<int64_t> start_us, int64_t time_us);

class ExpressionEvaluator {
  public:
    // Context and plan outlive the evaluator; the plan does not change any more.
    ExpressionEvaluator(ExecutionContext& context, const ExpressionPlan& plan)
        : context_(context), plan_(plan) {}

    // Asks the store for no more than the value takes. kCancelled once the context is; kCorruption
    // for what cannot be read.
    Task<Result<Value>> evaluate(uint32_t root, ExpressionRow& row);

    // The same where nothing has to be waited for; nothing elsewhere.
    std::optional<Value> evaluate_at_once(uint32_t root, ExpressionRow& row);

    // From now on statistics are of what the plans' pipelines leave: `own` of the row's own series,
    // `others` of metrics by name. They outlive the evaluator.
    void set_plans(const Plan* own, const Plan* others) {
        own_plan_ = own;
        others_plan_ = others;
    }

    // Leaves, of points of the row's run, those for which a condition on points holds; the row's
    // own point is lost. `joined`, if the plan joins metrics, is aligned with the points.
    void keep_points(uint32_t condition, ExpressionRow& row, Points& points,
                     const JoinedMetrics* joined = nullptr);
    // An expression on points, for one of them.
    Value evaluate_point(uint32_t root, ExpressionRow& row, const Points& points, size_t at,
                         const JoinedMetrics* joined);

    // Tells in the context's notes which runs had metrics that could not be counted.
    void append_notes();

  private:
    // Forks of many parents may each have a reason of its own.
    static constexpr size_t kNotesMax = 20;

    // The runs whose metrics cannot be counted, by the damage.
    struct Uncounted {
        std::string first_run;
        size_t runs = 0;
    };

    // Takes what is known of sources into the row. Sets `wanted` to the first source without which
    // there is no value.
    Value compute(uint32_t node, ExpressionRow& row, std::optional<uint32_t>& wanted);
    Value compute_attribute(uint32_t node, const SelectedRun& selected);
    const AttributeColumn* find_column(uint32_t node, const SelectedRun& selected);
    Value compute_field(RowField field, const ExpressionRow& row);
    Value count_metrics(const SelectedRun& selected);
    Value compute_operator(const BoundNode& node, ExpressionRow& row,
                           std::optional<uint32_t>& wanted);
    Value compute_condition(const BoundNode& node, ExpressionRow& row,
                            std::optional<uint32_t>& wanted);

    bool find_kept(uint32_t source, ExpressionRow& row);
    KeptSummaries* find_listed(uint32_t source, const SelectedRun& selected);
    Task<Status> fetch(const ExpressionSource& source, ExpressionRow& row, SeriesSummary& found);
    Task<Result<Summary>> summarize_when(const Series& series, uint32_t when, ExpressionRow row);
    Task<Result<Summary>> find_at(const Series& series, const AtPlace& place);
    Task<Result<Summary>> find_reached(const Series& series, double number);
    Task<Result<Summary>> first_point(const Series& series, KeyRange keys, int64_t time_min);

    ExecutionContext& context_;
    const ExpressionPlan& plan_;
    const Plan* own_plan_ = nullptr;
    const Plan* others_plan_ = nullptr;
    std::map<std::string, Uncounted> uncounted_;
    // Of an attribute of runs in the bound query's list.
    struct ListedAttribute {
        std::shared_ptr<const AttributeColumn> column;  // null: not known
        size_t asked = 0;
    };
    std::vector<ListedAttribute> listed_;  // by node
    // Of a metric of these runs.
    struct ListedSummaries {
        std::unique_ptr<KeptSummaries> kept;  // null: not known
        size_t asked = 0;
    };
    std::vector<ListedSummaries> listed_summaries_;  // by source
};

}  // namespace stepdb
