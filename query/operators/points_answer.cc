// The points of the selected series, one series after the other.
#include <algorithm>

#include "engine/model/limits.h"
#include "query/answer.h"
#include "query/operators/pipeline.h"
#include "query/operators/resolve.h"

namespace stepdb {

namespace {

class PointsAnswer : public Answer {
  public:
    explicit PointsAnswer(ExecutionContext& context) : context_(context) {
        const bool stepped = context.selection.first_of(Axis::kStepped) != nullptr;
        const auto& stages = std::get<SeriesQuery>(context.bound.query.what).stages;
        stamped_ = !stages.empty() && std::holds_alternative<StampedStage>(stages.back().what);
        const bool timed = stamped_ || context.selection.first_of(Axis::kTimed) != nullptr;
        columns_.emplace_back("run", ColumnType::kText);
        columns_.emplace_back("metric", ColumnType::kText);
        if (stepped || !timed) {
            step_column_ = columns_.size();
            columns_.emplace_back("step", ColumnType::kStep);
        }
        if (timed) {
            time_column_ = columns_.size();
            columns_.emplace_back("time", ColumnType::kTime);
        }
        columns_.emplace_back("value", ColumnType::kFloat64);
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }

    Task<Result<bool>> next(ResultBlock& block) override {
        if (!plan_) {
            Result<Plan> plan =
                co_await resolve_plan(context_, std::get<SeriesQuery>(context_.bound.query.what));
            if (!plan) {
                co_return plan.error();
            }
            plan_ = *std::move(plan);
        }
        block = ResultBlock(columns_);
        while (block.rows() < kResultBatchRows) {
            if (at_ == batch_.size()) {
                const Result<bool> more = co_await read_batch();
                if (!more) {
                    co_return more.error();
                }
                if (!*more) {
                    break;
                }
            }
            append_rows(block);
        }
        co_return block.rows() > 0;
    }

  private:
    // Fills batch_ with the next points of this series or one after it.
    Task<Result<bool>> read_batch() {
        const std::vector<Series>& all = context_.selection.series;
        at_ = 0;
        while (true) {
            if (cursor_ == nullptr) {
                if (series_ == all.size()) {
                    batch_ = Points();
                    co_return false;
                }
                const Series& series = all[series_];
                cursor_ = make_pipeline(context_, series, plan_->of(series.axis).pipeline);
            }
            const Result<bool> more = co_await cursor_->next(batch_);
            if (!more || *more) {
                co_return more;
            }
            cursor_ = nullptr;
            ++series_;
        }
    }

    void append_rows(ResultBlock& block) {
        const Series& series = context_.selection.series[series_];
        const size_t count = std::min<size_t>(batch_.size() - at_, kResultBatchRows - block.rows());
        const auto rows = static_cast<uint32_t>(count);
        block.column(0).append_text(context_.bound.runs[series.run].label, rows);
        block.column(1).append_text(series.metric, rows);
        const std::span<const Key> keys = std::span(batch_.keys).subspan(at_, count);
        const bool stepped = series.axis == Axis::kStepped;
        if (step_column_ != 0) {
            append_steps(block.column(step_column_), stepped, keys);
        }
        if (time_column_ != 0) {
            append_times(block.column(time_column_), stamped_ || !stepped,
                         std::span(batch_.times).subspan(at_, count));
        }
        block.column(columns_.size() - 1)
            .append_doubles(std::span(batch_.values).subspan(at_, count));
        at_ += count;
    }

    static void append_steps(ColumnCells& cells, bool there, std::span<const Key> keys) {
        if (!there) {
            cells.append_null(static_cast<uint32_t>(keys.size()));
            return;
        }
        for (const Key key : keys) {
            cells.append_double(step_of_key(key));
        }
    }

    static void append_times(ColumnCells& cells, bool there, std::span<const int64_t> times) {
        if (!there) {
            cells.append_null(static_cast<uint32_t>(times.size()));
            return;
        }
        cells.append_times(times);
    }

    ExecutionContext& context_;
    std::vector<ResultColumn> columns_;
    bool stamped_ = false;    // times of stepped points too
    size_t step_column_ = 0;  // 0: none
    size_t time_column_ = 0;
    std::optional<Plan> plan_;
    size_t series_ = 0;
    std::unique_ptr<SeriesCursor> cursor_;
    Points batch_;
    size_t at_ = 0;  // points of batch_ already given
};

}  // namespace

std::unique_ptr<Answer> make_points_answer(ExecutionContext& context) {
    return std::make_unique<PointsAnswer>(context);
}

}  // namespace stepdb
