// The points of the selected series, one series after the other.
#include <algorithm>
#include <array>

#include "engine/model/limits.h"
#include "query/answer.h"
#include "query/operators/pipeline.h"
#include "query/operators/x_column.h"

namespace stepdb {

namespace {

constexpr size_t kLabels = 2;  // run, metric

class PointsAnswer : public Answer {
  public:
    PointsAnswer(ExecutionContext& context, const PointsShape& shape)
        : context_(context), stamped_(shape.is_stamped) {
        std::array<bool, 3> has = {};
        for (const Series& series : context.selection.series) {
            has[static_cast<size_t>(x_column(context, series))] = true;
        }
        if (context.selection.series.empty()) {
            has[static_cast<size_t>(context.plan.stepped.column)] = true;
        }
        if (stamped_) {
            has[static_cast<size_t>(XColumn::kTime)] = true;
        }
        columns_.emplace_back("run", ColumnType::kText);
        columns_.emplace_back("metric", ColumnType::kText);
        for (const XColumn column : {XColumn::kStep, XColumn::kNumber, XColumn::kTime}) {
            if (has[static_cast<size_t>(column)]) {
                x_columns_.push_back(column);
                columns_.emplace_back(std::string(x_name(column)), x_type(column));
            }
        }
        columns_.emplace_back("value", ColumnType::kFloat64);
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return 3; }

    Task<Result<bool>> next(ResultBlock& block) override {
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
                cursor_ = make_pipeline(context_, series, context_.plan.of(series.axis).pipeline);
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
        block.column(0).append_text(run_label(context_.bound, series), rows);
        block.column(1).append_text(series.shown_metric(), rows);
        const XColumn own = x_column(context_, series);
        for (size_t i = 0; i < x_columns_.size(); ++i) {
            ColumnCells& cells = block.column(kLabels + i);
            if (x_columns_[i] == own) {
                for (size_t point = at_; point < at_ + count; ++point) {
                    append_x(cells, own, batch_.keys[point]);
                }
            } else if (stamped_ && x_columns_[i] == XColumn::kTime) {
                cells.append_times(std::span(batch_.times).subspan(at_, count));
            } else {
                cells.append_null(rows);
            }
        }
        block.column(columns_.size() - 1)
            .append_doubles(std::span(batch_.values).subspan(at_, count));
        at_ += count;
    }

    ExecutionContext& context_;
    std::vector<ResultColumn> columns_;
    bool stamped_;  // times of stepped points too
    std::vector<XColumn> x_columns_;
    size_t series_ = 0;
    std::unique_ptr<SeriesCursor> cursor_;
    Points batch_;
    size_t at_ = 0;  // points of batch_ already given
};

}  // namespace

std::unique_ptr<Answer> make_points_answer(ExecutionContext& context, const PointsShape& shape) {
    return std::make_unique<PointsAnswer>(context, shape);
}

}  // namespace stepdb
