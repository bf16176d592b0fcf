// `buckets N`: one grid for all selected series, and for each of them a row a bucket. Memory is
// that of one series' buckets, whatever is selected.
#include <algorithm>

#include "engine/model/limits.h"
#include "engine/query_memory.h"
#include "query/answer.h"
#include "query/operators/bucket.h"
#include "query/operators/bucket_grid.h"
#include "query/operators/pipeline.h"
#include "query/operators/resolve.h"
#include "query/parser.h"

namespace stepdb {

namespace {

constexpr size_t kFixedColumns = 4;  // run, metric, lo, hi

bool is_count(Statistic statistic) {
    return statistic <= Statistic::kNegativeInfinity;
}

bool is_key(Statistic statistic) {
    return statistic == Statistic::kMinX || statistic == Statistic::kMaxX ||
           statistic == Statistic::kFirstX || statistic == Statistic::kLastX;
}

uint64_t count_of(const Bucket& bucket, Statistic statistic) {
    switch (statistic) {
        case Statistic::kNan:
            return bucket.nan;
        case Statistic::kPositiveInfinity:
            return bucket.positive_infinity;
        case Statistic::kNegativeInfinity:
            return bucket.negative_infinity;
        default:
            return bucket.count;
    }
}

Key key_of(const Bucket& bucket, Statistic statistic) {
    switch (statistic) {
        case Statistic::kMinX:
            return bucket.min_key;
        case Statistic::kMaxX:
            return bucket.max_key;
        case Statistic::kFirstX:
            return bucket.first_key;
        default:
            return bucket.last_key;
    }
}

double value_of(const Bucket& bucket, Statistic statistic) {
    switch (statistic) {
        case Statistic::kMin:
            return bucket.min;
        case Statistic::kMax:
            return bucket.max;
        case Statistic::kSum:
            return bucket.sum.sum();
        case Statistic::kMean:
            return bucket.mean();
        case Statistic::kFirst:
            return bucket.first;
        default:
            return bucket.last;
    }
}

// First and last are there if any point is, the others if a finite one is.
bool is_known(const Bucket& bucket, Statistic statistic) {
    return (statistic >= Statistic::kFirst ? bucket.points() : bucket.count) > 0;
}

class BucketsAnswer : public Answer {
  public:
    BucketsAnswer(ExecutionContext& context, const BucketsStage& stage, Axis axis)
        : context_(context), stage_(stage), axis_(axis), charge_(context.memory) {
        const ColumnType x_type = axis == Axis::kStepped ? ColumnType::kStep : ColumnType::kTime;
        columns_.emplace_back("run", ColumnType::kText);
        columns_.emplace_back("metric", ColumnType::kText);
        columns_.emplace_back("lo", x_type);
        columns_.emplace_back("hi", x_type);
        for (const Statistic statistic : stage.statistics) {
            const ColumnType type = is_count(statistic) ? ColumnType::kUint64
                                    : is_key(statistic) ? x_type
                                                        : ColumnType::kFloat64;
            columns_.emplace_back(std::string(statistic_name(statistic)), type);
        }
    }

    const std::vector<ResultColumn>& columns() const override { return columns_; }

    Task<Result<bool>> next(ResultBlock& block) override {
        if (!plan_) {
            const Status prepared = co_await prepare();
            if (!prepared) {
                co_return prepared.error();
            }
        }
        block = ResultBlock(columns_);
        while (grid_ && block.rows() < kResultBatchRows) {
            if (row_ == buckets_.size()) {
                const Result<bool> more = co_await fill_next_series();
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
    // Resolves the ranges and lays the grid, if there is anything to lay it over.
    Task<Status> prepare() {
        Result<Plan> plan =
            co_await resolve_plan(context_, std::get<SeriesQuery>(context_.bound.query.what));
        if (!plan) {
            co_return plan.error();
        }
        plan_ = plan->of(axis_);
        StatedRange range = plan_->stated;
        if (plan_->pipeline.scan.empty()) {
            context_.notes.emplace_back("the range is empty");
            co_return Status();
        }
        if (!range.lo || !range.hi) {
            const Result<std::optional<KeyRange>> seen = co_await measure();
            if (!seen) {
                co_return seen.error();
            }
            if (!*seen) {
                context_.notes.emplace_back("no points in the range, so there is no grid");
                co_return Status();
            }
            range.lo = range.lo.value_or((*seen)->first);
            range.hi = range.hi.value_or((*seen)->last);
        }
        if (*range.lo > *range.hi) {
            context_.notes.emplace_back("the range is empty");
            co_return Status();
        }
        Result<BucketGrid> grid = BucketGrid::create(axis_, *range.lo, *range.hi, stage_.buckets);
        if (!grid) {
            co_return grid.error();
        }
        grid_.emplace(*std::move(grid));
        co_return charge_query_memory(charge_, stage_.buckets * (sizeof(Bucket) + sizeof(Key)));
    }

    // The keys that come out of the pipelines of all series.
    Task<Result<std::optional<KeyRange>>> measure() {
        std::optional<KeyRange> seen;
        for (const Series& series : context_.selection.series) {
            const Result<std::optional<KeyRange>> keys =
                co_await measure_keys(context_, series, plan_->pipeline);
            if (!keys) {
                co_return keys.error();
            }
            if (*keys) {
                widen_range(seen, **keys);
            }
        }
        co_return seen;
    }

    Task<Result<bool>> fill_next_series() {
        if (series_ == context_.selection.series.size()) {
            co_return false;
        }
        const Series& series = context_.selection.series[series_++];
        buckets_.assign(stage_.buckets, Bucket());
        row_ = 0;
        const std::unique_ptr<SeriesCursor> cursor =
            make_pipeline(context_, series, plan_->pipeline);
        uint32_t bucket = 0;
        while (true) {
            const Result<bool> more = co_await cursor->next(batch_);
            if (!more) {
                co_return more.error();
            }
            if (!*more) {
                co_return true;
            }
            for (size_t i = 0; i < batch_.size(); ++i) {
                bucket = grid_->find_from(bucket, batch_.keys[i]);
                buckets_[bucket].add(batch_.keys[i], batch_.values[i]);
            }
        }
    }

    void append_rows(ResultBlock& block) {
        const Series& series = context_.selection.series[series_ - 1];
        const size_t count =
            std::min<size_t>(buckets_.size() - row_, kResultBatchRows - block.rows());
        const auto rows = static_cast<uint32_t>(count);
        block.column(0).append_text(context_.bound.runs[series.run].label, rows);
        block.column(1).append_text(series.metric, rows);
        for (size_t i = row_; i < row_ + count; ++i) {
            append_key(block.column(2), grid_->edge(static_cast<uint32_t>(i)));
            append_key(block.column(3), grid_->edge(static_cast<uint32_t>(i) + 1));
        }
        for (size_t s = 0; s < stage_.statistics.size(); ++s) {
            for (size_t i = row_; i < row_ + count; ++i) {
                append_statistic(block.column(kFixedColumns + s), buckets_[i],
                                 stage_.statistics[s]);
            }
        }
        row_ += count;
    }

    void append_statistic(ColumnCells& cells, const Bucket& bucket, Statistic statistic) const {
        if (is_count(statistic)) {
            cells.append_uint64(count_of(bucket, statistic));
        } else if (!is_known(bucket, statistic)) {
            cells.append_null();
        } else if (is_key(statistic)) {
            append_key(cells, key_of(bucket, statistic));
        } else {
            cells.append_double(value_of(bucket, statistic));
        }
    }

    void append_key(ColumnCells& cells, Key key) const {
        if (axis_ == Axis::kStepped) {
            cells.append_double(step_of_key(key));
        } else {
            cells.append_time(key);
        }
    }

    ExecutionContext& context_;
    BucketsStage stage_;
    Axis axis_;
    MemoryCharge charge_;
    std::vector<ResultColumn> columns_;
    std::optional<AxisPlan> plan_;
    std::optional<BucketGrid> grid_;  // unset: nothing to show
    size_t series_ = 0;               // next to fill
    std::vector<Bucket> buckets_;     // of the series before
    size_t row_ = 0;                  // next of buckets_ to give
    Points batch_;
};

}  // namespace

Result<std::unique_ptr<Answer>> make_buckets_answer(ExecutionContext& context,
                                                    const BucketsStage& stage) {
    const Series* stepped = context.selection.first_of(Axis::kStepped);
    const Series* timed = context.selection.first_of(Axis::kTimed);
    if (stepped != nullptr && timed != nullptr) {
        return make_error(ErrorCode::kInvalidArgument,
                          "`buckets` needs one axis: '{}' has steps, '{}' has only times; ask for "
                          "them apart, or add `steps ..` to leave out what has no steps",
                          stepped->metric, timed->metric);
    }
    const Axis axis = timed != nullptr ? Axis::kTimed : Axis::kStepped;
    return std::unique_ptr<Answer>(std::make_unique<BucketsAnswer>(context, stage, axis));
}

}  // namespace stepdb
