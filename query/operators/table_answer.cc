// `runs` and `metrics`: a row a run or series, with the columns that `show` names, in the order of
// `sort`, up to `limit`. Memory is that of the keys of `sort` and of one block.
#include <algorithm>
#include <array>
#include <numeric>
#include <span>

#include "engine/model/limits.h"
#include "engine/query_memory.h"
#include "query/answer.h"
#include "query/operators/evaluator.h"
#include "query/operators/name_check.h"
#include "query/operators/value_column.h"
#include "query/run_attributes.h"
#include "query/sort_in_turns.h"

namespace stepdb {

namespace {

constexpr size_t kChargeStep = 64U << 10U;
// Of all rows: fewer are picked faster than all are sorted.
constexpr size_t kFewShare = 16;

class TableAnswer : public Answer {
  public:
    TableAnswer(ExecutionContext& context, const TableStages& stages, ExpressionScope scope)
        : context_(context),
          stages_(stages),
          scope_(scope),
          plan_(context.bound.query.text, context.now_us),
          evaluator_(context, plan_),
          charge_(context.memory) {}

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return first_shown_; }

    // Binds, sorts and finds the types of the columns.
    Task<Status> prepare(std::span<const RowField> usual) {
        Status done = bind(usual);
        if (done) {
            done = check_names(plan_, context_);
        }
        if (done && !keys_.empty()) {
            done = co_await sort();
        }
        if (done && stages_.limit) {
            order_.resize(std::min<uint64_t>(order_.size(), *stages_.limit));
        }
        if (done) {
            done = co_await make_columns();
        }
        co_return done;
    }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        for (; at_ < order_.size() && block.rows() < kResultBatchRows; ++at_) {
            const Status appended = co_await append_row(order_[at_], block);
            if (!appended) {
                co_return appended.error();
            }
        }
        if (block.rows() == 0) {
            evaluator_.append_notes();
        }
        co_return block.rows() > 0;
    }

  private:
    bool is_of_series() const { return scope_ == ExpressionScope::kSeries; }
    size_t all_rows() const {
        return is_of_series() ? context_.selection.series.size() : context_.bound.runs.size();
    }
    void go_on_to(ExpressionRow& row, size_t number) const {
        if (!is_of_series()) {
            row.go_on_to(number);
            return;
        }
        const Series& series = context_.selection.series[number];
        row.go_on_to(series.run, &series);
    }

    Status bind(std::span<const RowField> usual) {
        TRY(charge_query_memory(charge_, all_rows() * sizeof(uint32_t)));
        order_.resize(all_rows());
        std::iota(order_.begin(), order_.end(), 0);
        for (const ShowColumn& column : stages_.show) {
            TRY_ASSIGN(const uint32_t root, plan_.add(column.expression, scope_));
            shown_.push_back(root);
        }
        if (stages_.show.empty()) {
            for (const RowField field : usual) {
                shown_.push_back(plan_.add_field(field));
            }
        }
        // Columns stand for one another only now, so that they cannot nest without end.
        for (size_t i = 0; i < stages_.show.size(); ++i) {
            plan_.add_alias(stages_.show[i].name, shown_[i]);
        }
        for (const SortKey& key : stages_.sort) {
            const auto column = std::ranges::find(stages_.show, key.text, &ShowColumn::name);
            if (column != stages_.show.end()) {
                keys_.push_back(shown_[static_cast<size_t>(column - stages_.show.begin())]);
                continue;
            }
            TRY_ASSIGN(const uint32_t root, plan_.add(key.expression, scope_));
            keys_.push_back(root);
        }
        return {};
    }

    // Rows with equal keys stay in natural order.
    Task<Status> sort() {
        const size_t width = keys_.size();
        size_t bytes = charge_.bytes();
        ExpressionRow row;
        for (size_t number = 0; number < order_.size(); ++number) {
            go_on_to(row, number);
            for (const uint32_t key : keys_) {
                Result<Value> value = Value();
                if (std::optional<Value> known = evaluator_.evaluate_at_once(key, row)) {
                    value = *std::move(known);
                    co_await context_.turns.after(kRowWork);
                } else {
                    value = co_await evaluator_.evaluate(key, row);
                }
                if (!value) {
                    co_return value.error();
                }
                // Twice, for the array that grows.
                bytes += value->memory_bytes() + sizeof(Value);
                key_values_.push_back(*std::move(value));
            }
            if (bytes > charge_.bytes()) {
                Status charged = charge_query_memory(charge_, bytes + kChargeStep);
                if (!charged) {
                    co_return charged;
                }
            }
        }
        const auto before = [&](uint32_t a, uint32_t b) {
            for (size_t i = 0; i < width; ++i) {
                const Value& x = key_values_[a * width + i];
                const Value& y = key_values_[b * width + i];
                const bool descending = stages_.sort[i].descending;
                if (sorts_before(x, y, descending)) {
                    return true;
                }
                if (sorts_before(y, x, descending)) {
                    return false;
                }
            }
            return a < b;
        };
        const size_t shown = std::min<uint64_t>(order_.size(), stages_.limit.value_or(UINT64_MAX));
        if (shown < order_.size() / kFewShare) {
            std::ranges::partial_sort(order_, order_.begin() + static_cast<ptrdiff_t>(shown),
                                      before);
        } else {
            co_await sort_in_turns(context_.turns, order_, before);
        }
        co_return Status();
    }

    Task<Status> make_columns() {
        columns_.emplace_back("run", ColumnType::kText);
        if (is_of_series()) {
            columns_.emplace_back("metric", ColumnType::kText);
        }
        first_shown_ = columns_.size();
        for (size_t i = 0; i < shown_.size(); ++i) {
            const BoundNode& node = plan_.nodes()[shown_[i]];
            ColumnType type = column_type(node.type);
            if (node.type == ValueType::kAny) {
                KindsSeen seen;
                for (const uint32_t number : order_) {
                    const Result<Value> value = co_await value_of(number, shown_[i], nullptr);
                    if (!value) {
                        co_return value.error();
                    }
                    seen.see(*value);
                }
                type = seen.type();
            }
            columns_.emplace_back(
                stages_.show.empty() ? usual_name(node.field) : stages_.show[i].name, type);
        }
        co_return Status();
    }

    static std::string usual_name(RowField field) {
        switch (field) {
            case RowField::kState:
                return "state";
            case RowField::kCreated:
                return "created";
            case RowField::kAttempts:
                return "attempts";
            case RowField::kMetrics:
                return "metrics";
            default:
                return "axis";
        }
    }

    // As `sort` found it, if it was a key. Else of `row`, which is made if it is null.
    Task<Result<Value>> value_of(uint32_t number, uint32_t root, ExpressionRow* row) {
        const auto key = std::ranges::find(keys_, root);
        if (key != keys_.end()) {
            const auto column = static_cast<size_t>(key - keys_.begin());
            co_return key_values_[number * keys_.size() + column];
        }
        ExpressionRow made;
        if (row == nullptr) {
            go_on_to(made, number);
        }
        ExpressionRow& used = row == nullptr ? made : *row;
        co_return co_await evaluator_.evaluate(root, used);
    }

    Task<Status> append_row(uint32_t number, ResultBlock& block) {
        ExpressionRow row;
        go_on_to(row, number);
        block.column(0).append_text(context_.bound.runs[row.run]->label);
        if (is_of_series()) {
            block.column(1).append_text(row.series->metric);
        }
        co_await context_.turns.after(kRowWork);
        for (size_t i = 0; i < shown_.size(); ++i) {
            const bool is_key = std::ranges::find(keys_, shown_[i]) != keys_.end();
            if (!is_key) {
                if (const auto known = evaluator_.evaluate_at_once(shown_[i], row)) {
                    append_value(block.column(first_shown_ + i), *known);
                    continue;
                }
            }
            const Result<Value> value = co_await value_of(number, shown_[i], &row);
            if (!value) {
                co_return value.error();
            }
            append_value(block.column(first_shown_ + i), *value);
        }
        co_return Status();
    }

    ExecutionContext& context_;
    const TableStages& stages_;
    ExpressionScope scope_;
    ExpressionPlan plan_;
    ExpressionEvaluator evaluator_;
    std::vector<ResultColumn> columns_;
    size_t first_shown_ = 1;
    std::vector<uint32_t> shown_;    // nodes, by column
    std::vector<uint32_t> keys_;     // nodes, of `sort`
    MemoryCharge charge_;            // for order_ and key_values_
    std::vector<uint32_t> order_;    // numbers of runs or series
    std::vector<Value> key_values_;  // by number, keys_.size() each
    size_t at_ = 0;                  // next of order_
};

Task<Result<std::unique_ptr<Answer>>> make_table(ExecutionContext& context,
                                                 const TableStages& stages, ExpressionScope scope,
                                                 std::span<const RowField> usual) {
    auto answer = std::make_unique<TableAnswer>(context, stages, scope);
    const Status prepared = co_await answer->prepare(usual);
    if (!prepared) {
        co_return prepared.error();
    }
    co_return Result<std::unique_ptr<Answer>>(std::move(answer));
}

constexpr std::array<RowField, 4> kUsualOfRuns = {RowField::kState, RowField::kCreated,
                                                  RowField::kAttempts, RowField::kMetrics};
constexpr std::array<RowField, 1> kUsualOfSeries = {RowField::kAxis};

}  // namespace

Task<Result<std::unique_ptr<Answer>>> make_runs_answer(ExecutionContext& context,
                                                       const TableStages& stages) {
    return make_table(context, stages, ExpressionScope::kRun, kUsualOfRuns);
}

Task<Result<std::unique_ptr<Answer>>> make_metrics_answer(ExecutionContext& context,
                                                          const TableStages& stages) {
    return make_table(context, stages, ExpressionScope::kSeries, kUsualOfSeries);
}

}  // namespace stepdb
