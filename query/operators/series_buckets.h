// One grid of buckets for all selected series, and the buckets of one series after the other.
#pragma once

#include <optional>
#include <vector>

#include "query/execution_context.h"
#include "query/operators/bucket_grid.h"
#include "query/operators/bucket_statistics.h"
#include "query/operators/x_column.h"

namespace stepdb {

class SeriesBuckets {
  public:
    // kInvalidArgument if the selected series have no x in common, or one that cannot be laid out
    // so. The context outlives it.
    static Result<SeriesBuckets> create(ExecutionContext& context, const BucketsShape& shape);

    XColumn column() const { return column_; }
    // Lays the grid, once. There is none if there is nothing to lay it over; a note says so.
    Task<Status> prepare();
    bool has_grid() const { return grid_.has_value(); }
    const BucketGrid& grid() const { return *grid_; }
    // Makes `buckets` those of the series, as many as the grid has.
    Task<Status> fill(const Series& series, std::vector<Bucket>& buckets);

  private:
    SeriesBuckets(ExecutionContext& context, const BucketsShape& shape, XColumn column);

    Task<Result<std::optional<KeyRange>>> measure();
    Task<Status> fill_from_store(const Series& series, KeyRange range,
                                 std::vector<Bucket>& buckets);
    Task<Status> fill_point_by_point(const Series& series, std::vector<Bucket>& buckets);
    bool is_range_empty() const;
    bool has_moving_range() const;
    Result<BucketGrid> lay_grid(Key lo, Key hi, bool has_moving_ends);

    ExecutionContext* context_;
    uint32_t buckets_;
    bool is_log_;
    BucketNeeds needs_;
    XColumn column_;
    Plan plan_;
    MemoryCharge charge_;
    std::optional<BucketGrid> grid_;
    Points batch_;
};

}  // namespace stepdb
