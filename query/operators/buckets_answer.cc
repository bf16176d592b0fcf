// `buckets N`: for each selected series a row a bucket. Memory is that of one series' buckets,
// whatever is selected.
#include <algorithm>

#include "engine/model/limits.h"
#include "query/answer.h"
#include "query/operators/bucket_statistics.h"
#include "query/operators/series_buckets.h"
#include "query/parser.h"

namespace stepdb {

namespace {

constexpr size_t kLabelColumns = 2;                  // run, metric
constexpr size_t kFixedColumns = kLabelColumns + 2;  // lo, hi

class BucketsAnswer : public Answer {
  public:
    BucketsAnswer(ExecutionContext& context, const BucketsShape& shape, SeriesBuckets series)
        : context_(context), shape_(shape), series_buckets_(std::move(series)) {
        const ColumnType type_of_x = x_type(series_buckets_.column());
        columns_.emplace_back("run", ColumnType::kText);
        columns_.emplace_back("metric", ColumnType::kText);
        columns_.emplace_back("lo", type_of_x);
        columns_.emplace_back("hi", type_of_x);
        for (const Statistic statistic : shape.statistics) {
            const ColumnType type = is_count(statistic) ? ColumnType::kUint64
                                    : is_key(statistic) ? type_of_x
                                                        : ColumnType::kFloat64;
            columns_.emplace_back(std::string(statistic_name(statistic)), type);
        }
        const auto rows_of_batch = static_cast<uint32_t>(
            kResultBatchBytes / (sizeof(double) * (columns_.size() - kLabelColumns)));
        block_rows_max_ = std::min(kResultBatchRows, rows_of_batch);
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }
    size_t key_columns() const override { return 3; }

    Task<Result<bool>> next(ResultBlock& block) override {
        if (!is_prepared_) {
            const Status prepared = co_await series_buckets_.prepare();
            if (!prepared) {
                co_return prepared.error();
            }
            is_prepared_ = true;
        }
        const std::vector<Series>& all = context_.selection.series;
        block = ResultBlock(columns_, rows_of_next());
        while (series_buckets_.has_grid() && block.rows() < block_rows_max_) {
            if (row_ == buckets_.size()) {
                if (series_ == all.size()) {
                    break;
                }
                const Status filled = co_await series_buckets_.fill(all[series_++], buckets_);
                if (!filled) {
                    co_return filled.error();
                }
                row_ = 0;
            }
            append_rows(block);
        }
        co_return block.rows() > 0;
    }

  private:
    // At most, as far as a block may go.
    uint32_t rows_of_next() const {
        const size_t series = context_.selection.series.size() - series_;
        const size_t rows = buckets_.size() - row_ + series * shape_.buckets;
        return static_cast<uint32_t>(std::min<size_t>(rows, block_rows_max_));
    }

    void append_rows(ResultBlock& block) {
        const Series& series = context_.selection.series[series_ - 1];
        const BucketGrid& grid = series_buckets_.grid();
        const XColumn x = series_buckets_.column();
        const size_t count =
            std::min<size_t>(buckets_.size() - row_, block_rows_max_ - block.rows());
        const auto rows = static_cast<uint32_t>(count);
        block.column(0).append_text(run_label(context_.bound, series), rows);
        block.column(1).append_text(series.shown_metric(), rows);
        append_xs(block.column(2), x, grid.edges().subspan(row_, count));
        append_xs(block.column(3), x, grid.edges().subspan(row_ + 1, count));
        const std::span<const Bucket> buckets = std::span(buckets_).subspan(row_, count);
        for (size_t s = 0; s < shape_.statistics.size(); ++s) {
            append_statistic(block.column(kFixedColumns + s), buckets, shape_.statistics[s], x);
        }
        row_ += count;
    }

    ExecutionContext& context_;
    const BucketsShape& shape_;
    SeriesBuckets series_buckets_;
    std::vector<ResultColumn> columns_;
    uint32_t block_rows_max_ = 0;
    bool is_prepared_ = false;
    size_t series_ = 0;            // next to fill
    std::vector<Bucket> buckets_;  // of the series before
    size_t row_ = 0;               // next of buckets_ to give
};

}  // namespace

Result<std::unique_ptr<Answer>> make_buckets_answer(ExecutionContext& context,
                                                    const BucketsShape& shape) {
    TRY_ASSIGN(SeriesBuckets series, SeriesBuckets::create(context, shape));
    return std::unique_ptr<Answer>(
        std::make_unique<BucketsAnswer>(context, shape, std::move(series)));
}

}  // namespace stepdb
