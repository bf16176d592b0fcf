// Expressions bound to what their names stand for: the form in which they are evaluated, and from
// which an index can see what a query needs of runs and series.
//
// A plan holds all expressions of a query. Everything that is not known of a run at once, but has
// to be asked of the store, is a *source*: what is to be known of one series, or of part of it, as
// a Summary; each once, however often it is named.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/result_columns.h"
#include "query/expression_ast.h"
#include "query/name_matcher.h"
#include "query/value.h"

namespace stepdb {

// What is known of a run or series beside attributes.
enum class RowField : uint8_t {
    kRun,  // project/run, as the answer calls it
    kProject,
    kName,  // of the run in its project
    kState,
    kCreated,
    kAttempts,
    kMetrics,  // how many
    kTags,
    kMetric,
    kAxis,
};

// What kind of value an expression yields, as far as it is known without a row.
enum class ValueType : uint8_t { kAny, kBool, kNumber, kCount, kStep, kTime, kText, kTexts };

// Where `at` looks: the first point of a series at or behind the first place where the axis reaches
// `number` or `time_us`.
struct AtPlace {
    AtTerm::Axis axis = AtTerm::Axis::kStep;
    std::string metric;  // of AtTerm::Axis::kMetric
    double number = 0;
    int64_t time_us = 0;
};

// A series of which the row's run, or the row itself, has a summary. Of `at` it is that of the one
// point that was found.
struct ExpressionSource {
    std::string metric;            // empty: the row's own series
    std::optional<uint32_t> when;  // a condition on points: only these
    std::optional<AtPlace> at;
    bool has_captures = false;  // in `metric`, in place of which the row's own stand
    std::string text;           // as it was written, where there is more than a metric
    SourceSpan span;            // of the metric
    bool is_required = false;   // a metric that no run has is a mistake
};

// Another metric of a point's run, by its value at the same key.
struct JoinedMetric {
    std::string metric;
    bool is_held = false;  // its last value at or before the key
    SourceSpan span;
};

struct BoundNode {
    enum class Kind : uint8_t {
        kLiteral,
        kField,
        kAttribute,
        kStatistic,
        kPoint,    // `part` of a point
        kElapsed,  // seconds from the start of a point's run to the point
        kJoined,   // another metric, of number `source`, at the place of a point
        kOperator,
    };

    Kind kind = Kind::kLiteral;
    ValueType type = ValueType::kAny;
    SourceSpan span;
    LiteralValue literal;
    RowField field = RowField::kRun;
    std::string attribute;
    ExpressionScope scope = ExpressionScope::kRun;  // of an attribute
    bool is_required = false;                       // an attribute that no run has is a mistake
    uint32_t source = 0;
    PointStatistic statistic = PointStatistic::kCount;
    PointPart part = PointPart::kValue;
    Operator op = Operator::kOr;
    std::vector<uint32_t> operands;
    std::shared_ptr<const NameMatcher> matcher;
    ValueClass value_class = ValueClass::kMissing;
};

class ExpressionPlan {
  public:
    // `query_text` is for messages and outlives the plan; `now_us` is what `now` stands for.
    ExpressionPlan(std::string_view query_text, int64_t now_us)
        : query_text_(query_text), now_us_(now_us) {}

    // Which names of points are metrics; without it none is.
    void set_metric_test(std::function<bool(const std::string&)> is_metric) {
        is_metric_ = std::move(is_metric);
    }
    bool knows_metrics() const { return is_metric_ != nullptr; }
    // The root's node. kInvalidArgument at the place of a name, value or regex that cannot be.
    Result<uint32_t> add(const Expression& expression, ExpressionScope scope);
    // From now on `name` stands for that node.
    void add_alias(std::string name, uint32_t root) {
        aliases_.emplace_back(std::move(name), root);
    }
    uint32_t add_field(RowField field);

    std::string_view query_text() const { return query_text_; }
    const std::vector<BoundNode>& nodes() const { return nodes_; }
    const std::vector<ExpressionSource>& sources() const { return sources_; }
    const std::vector<JoinedMetric>& joined() const { return joined_; }
    const std::vector<std::pair<std::string, uint32_t>>& aliases() const { return aliases_; }

  private:
    friend class ExpressionBinder;

    std::string_view query_text_;
    int64_t now_us_;
    std::vector<BoundNode> nodes_;
    std::vector<ExpressionSource> sources_;
    std::vector<JoinedMetric> joined_;
    std::function<bool(const std::string&)> is_metric_;
    std::vector<std::pair<std::string, uint32_t>> aliases_;
};

// A condition on points, or x, by itself.
struct PointExpression {
    PointExpression(std::string_view query_text, int64_t now_us) : plan(query_text, now_us) {}

    ExpressionPlan plan;
    uint32_t root = 0;
};

// Words that are no attributes in a scope: for suggestions.
std::vector<std::string> field_names(ExpressionScope scope);

}  // namespace stepdb
