#include "query/operators/series_buckets.h"

#include <algorithm>

#include "engine/base/text.h"
#include "engine/query_memory.h"
#include "query/operators/pipeline.h"
#include "query/operators/scan.h"

namespace stepdb {

namespace {

// Points that the store buckets in the time in which one is looked at by itself.
constexpr size_t kBucketedPointsPerValue = 8;

std::string_view words_of(XColumn column) {
    return column == XColumn::kStep ? "steps" : column == XColumn::kTime ? "only times" : "an x";
}

BucketNeeds needs_of(const std::vector<Statistic>& statistics) {
    BucketNeeds needs;
    needs.places = std::ranges::any_of(statistics, [](Statistic statistic) {
        return statistic == Statistic::kMinX || statistic == Statistic::kMaxX;
    });
    needs.ends = std::ranges::any_of(
        statistics, [](Statistic statistic) { return statistic >= Statistic::kFirst; });
    return needs;
}

// No logarithm is there for it.
void open_if_not_positive(std::optional<Key>& end) {
    if (end && *end <= key_of_step(0)) {
        end.reset();
    }
}

}  // namespace

Result<XColumn> common_x(const ExecutionContext& context, std::string_view what) {
    const std::vector<Series>& all = context.selection.series;
    if (all.empty()) {
        return context.plan.stepped.column;
    }
    const XColumn column = x_column(context, all.front());
    const auto other = std::ranges::find_if(
        all, [&](const Series& series) { return x_column(context, series) != column; });
    if (other == all.end()) {
        return column;
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "{} needs one axis: '{}' has {}, '{}' has {}; ask for them apart, add `steps "
                      "..` to leave out what has no steps, or lay both out with `x time`",
                      what, printable(all.front().shown_metric()), words_of(column),
                      printable(other->shown_metric()), words_of(x_column(context, *other)));
}

SeriesBuckets::SeriesBuckets(ExecutionContext& context, const BucketsShape& shape, XColumn column)
    : context_(&context),
      buckets_(shape.buckets),
      is_log_(shape.is_log),
      needs_(needs_of(shape.statistics)),
      column_(column),
      plan_(context.plan),
      charge_(context.memory) {
    if (is_log_) {
        for (AxisPlan* plan : {&plan_.stepped, &plan_.timed}) {
            plan->pipeline.steps.emplace_back(PositiveStep());
            open_if_not_positive(plan->stated.lo);
            open_if_not_positive(plan->stated.hi);
        }
    }
}

Result<SeriesBuckets> SeriesBuckets::create(ExecutionContext& context, const BucketsShape& shape) {
    TRY_ASSIGN(const XColumn column, common_x(context, "`buckets`"));
    if (shape.is_log && column == XColumn::kTime) {
        return make_error(ErrorCode::kInvalidArgument,
                          "`log-x` lays out numbers, and x is a time; did you mean `x elapsed`?");
    }
    return SeriesBuckets(context, shape, column);
}

// Ranges that nothing can lie in, whatever there is.
bool SeriesBuckets::is_range_empty() const {
    return std::ranges::all_of(
               context_->selection.series,
               [&](const Series& series) { return plan_.of(series.axis).pipeline.scan.empty(); }) &&
           !context_->selection.series.empty();
}

Task<Status> SeriesBuckets::prepare() {
    const Status allowed = context_->check_buckets(buckets_);
    if (!allowed) {
        co_return allowed;
    }
    const std::vector<Series>& all = context_->selection.series;
    StatedRange range = all.empty() ? plan_.stepped.stated : plan_.of(all.front().axis).stated;
    if (is_range_empty()) {
        context_->notes.emplace_back("the range is empty");
        co_return Status();
    }
    // Edges that every new point would move are none to compare answers by.
    const bool has_moving_ends =
        context_->watched_width && (!range.lo || !range.hi || has_moving_range());
    if (!range.lo || !range.hi || has_moving_ends) {
        const Result<std::optional<KeyRange>> seen = co_await measure();
        if (!seen) {
            co_return seen.error();
        }
        if (!*seen) {
            context_->notes.emplace_back("no points in the range, so there is no grid");
            co_return Status();
        }
        range.lo = has_moving_ends ? (*seen)->first : range.lo.value_or((*seen)->first);
        range.hi = has_moving_ends ? (*seen)->last : range.hi.value_or((*seen)->last);
    }
    if (*range.lo > *range.hi) {
        context_->notes.emplace_back("the range is empty");
        co_return Status();
    }
    Result<BucketGrid> grid = lay_grid(*range.lo, *range.hi, has_moving_ends);
    if (!grid) {
        co_return grid.error();
    }
    grid_.emplace(*std::move(grid));
    co_return charge_query_memory(charge_, buckets_ * (sizeof(Bucket) + sizeof(Key)));
}

Result<BucketGrid> SeriesBuckets::lay_grid(Key lo, Key hi, bool has_moving_ends) {
    const Axis axis = column_ == XColumn::kTime ? Axis::kTimed : Axis::kStepped;
    if (has_moving_ends) {
        return BucketGrid::create_watched(axis, lo, hi, buckets_, is_log_,
                                          *context_->watched_width);
    }
    return is_log_ ? BucketGrid::create_log(lo, hi, buckets_)
                   : BucketGrid::create(axis, lo, hi, buckets_);
}

bool SeriesBuckets::has_moving_range() const {
    return std::ranges::any_of(context_->selection.series, [&](const Series& series) {
        return plan_.of(series.axis).has_moving_range;
    });
}

// The keys that come out of the pipelines of all series.
Task<Result<std::optional<KeyRange>>> SeriesBuckets::measure() {
    std::optional<KeyRange> seen;
    for (const Series& series : context_->selection.series) {
        const Result<std::optional<KeyRange>> keys =
            co_await measure_keys(*context_, series, plan_.of(series.axis).pipeline, seen);
        if (!keys) {
            co_return keys.error();
        }
        if (*keys) {
            widen_range(seen, **keys);
        }
    }
    // What has no place is counted when buckets are filled.
    context_->left_out_points = LeftOutPoints();
    co_return seen;
}

Task<Status> SeriesBuckets::fill(const Series& series, std::vector<Bucket>& buckets) {
    buckets.assign(grid_->buckets(), Bucket());
    const Pipeline& pipeline = plan_.of(series.axis).pipeline;
    if (!pipeline.steps.empty() || series.calculation != nullptr) {
        return fill_point_by_point(series, buckets);
    }
    return fill_from_store(series, pipeline.scan, buckets);
}

Task<Status> SeriesBuckets::fill_from_store(const Series& series, KeyRange range,
                                            std::vector<Bucket>& buckets) {
    if (range.empty()) {
        co_return Status();
    }
    const SelectedRun& selected = *context_->bound.runs[series.run];
    const std::unique_ptr<BucketScan> scan = context_->source.open_buckets(
        selected.view(), series.metric, range, BucketRow{grid_->edges(), buckets, needs_});
    while (true) {
        const Status goes_on = context_->check_goes_on();
        if (!goes_on) {
            co_return goes_on.error();
        }
        const Result<size_t> points = co_await scan->next();
        if (!points) {
            co_return name_series(points.error(), *context_, series);
        }
        if (*points == 0) {
            co_return Status();
        }
        co_await context_->turns.after(*points / kBucketedPointsPerValue);
    }
}

Task<Status> SeriesBuckets::fill_point_by_point(const Series& series,
                                                std::vector<Bucket>& buckets) {
    const std::unique_ptr<SeriesCursor> cursor =
        make_pipeline(*context_, series, plan_.of(series.axis).pipeline);
    const BucketRow row{grid_->edges(), buckets, needs_};
    size_t bucket = 0;
    while (true) {
        const Result<bool> more = co_await cursor->next(batch_);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            co_return Status();
        }
        bucket = add_points(batch_.keys, batch_.values, row, bucket);
    }
}

}  // namespace stepdb
