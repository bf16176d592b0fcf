// `summary`: a row a series.
#include <algorithm>

#include "engine/model/limits.h"
#include "query/answer.h"
#include "query/operators/pipeline.h"
#include "query/parser.h"

namespace stepdb {

namespace {

constexpr size_t kFixedColumns = 2;  // run, metric

bool is_step(SummaryField field) {
    return field == SummaryField::kMinStep || field == SummaryField::kMaxStep ||
           field == SummaryField::kFirstStep || field == SummaryField::kLastStep;
}

bool is_time(SummaryField field) {
    return field == SummaryField::kMinTime || field == SummaryField::kMaxTime ||
           field == SummaryField::kFirstTime || field == SummaryField::kLastTime;
}

ColumnType type_of(SummaryField field) {
    if (field <= SummaryField::kNegativeInfinity) {
        return ColumnType::kUint64;
    }
    return is_step(field)   ? ColumnType::kStep
           : is_time(field) ? ColumnType::kTime
                            : ColumnType::kFloat64;
}

uint64_t count_of(const Summary& summary, SummaryField field) {
    switch (field) {
        case SummaryField::kNan:
            return summary.nan;
        case SummaryField::kPositiveInfinity:
            return summary.positive_infinity;
        case SummaryField::kNegativeInfinity:
            return summary.negative_infinity;
        default:
            return summary.count;
    }
}

const SummaryPoint& point_of(const Summary& summary, SummaryField field) {
    switch (field) {
        case SummaryField::kMin:
        case SummaryField::kMinStep:
        case SummaryField::kMinTime:
            return summary.min;
        case SummaryField::kMax:
        case SummaryField::kMaxStep:
        case SummaryField::kMaxTime:
            return summary.max;
        case SummaryField::kFirst:
        case SummaryField::kFirstStep:
        case SummaryField::kFirstTime:
            return summary.first;
        default:
            return summary.last;
    }
}

double value_of(const Summary& summary, SummaryField field) {
    switch (field) {
        case SummaryField::kSum:
            return summary.sum.sum();
        case SummaryField::kMean:
            return summary.mean();
        case SummaryField::kVariance:
            return summary.variance();
        default:
            return point_of(summary, field).value;
    }
}

// First and last are there if any point is, the others if a finite one is.
bool is_known(const Summary& summary, SummaryField field) {
    return (field >= SummaryField::kFirst ? summary.points() : summary.count) > 0;
}

class SummaryAnswer : public Answer {
  public:
    SummaryAnswer(ExecutionContext& context, const SummaryShape& shape)
        : context_(context), fields_(shape.fields) {
        columns_.emplace_back("run", ColumnType::kText);
        columns_.emplace_back("metric", ColumnType::kText);
        for (const SummaryField field : fields_) {
            columns_.emplace_back(std::string(summary_field_name(field)), type_of(field));
        }
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return 2; }

    Task<Result<bool>> next(ResultBlock& block) override {
        block = ResultBlock(columns_);
        const std::vector<Series>& all = context_.selection.series;
        for (; at_ < all.size() && block.rows() < kResultBatchRows; ++at_) {
            const Series& series = all[at_];
            const Result<Summary> summary =
                co_await summarize(context_, series, context_.plan.of(series.axis).pipeline);
            if (!summary) {
                co_return summary.error();
            }
            append_row(series, *summary, block);
        }
        co_return block.rows() > 0;
    }

  private:
    void append_row(const Series& series, const Summary& summary, ResultBlock& block) const {
        block.column(0).append_text(run_label(context_.bound, series));
        block.column(1).append_text(series.shown_metric());
        for (size_t i = 0; i < fields_.size(); ++i) {
            append_field(block.column(kFixedColumns + i), summary, fields_[i], series.axis);
        }
    }

    static void append_field(ColumnCells& cells, const Summary& summary, SummaryField field,
                             Axis axis) {
        if (type_of(field) == ColumnType::kUint64) {
            cells.append_uint64(count_of(summary, field));
        } else if (!is_known(summary, field) || (is_step(field) && axis == Axis::kTimed)) {
            cells.append_null();
        } else if (is_step(field)) {
            cells.append_double(step_of_key(point_of(summary, field).key));
        } else if (is_time(field)) {
            cells.append_time(point_of(summary, field).time);
        } else {
            cells.append_double(value_of(summary, field));
        }
    }

    ExecutionContext& context_;
    std::vector<SummaryField> fields_;
    std::vector<ResultColumn> columns_;
    size_t at_ = 0;  // next series
};

}  // namespace

std::unique_ptr<Answer> make_summary_answer(ExecutionContext& context, const SummaryShape& shape) {
    return std::make_unique<SummaryAnswer>(context, shape);
}

}  // namespace stepdb
