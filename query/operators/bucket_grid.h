// The grid of `buckets N`: edge(i) = lo + (hi - lo) * (i / N) in float64 over steps, or over times
// in microseconds, edge(N) = hi itself; half-open, the last one closed. Edges are kept as keys, so
// that points are placed by comparing integers: a step is below an edge exactly if its key is below
// the edge's; a time, being whole, is below an edge exactly if it is below the edge rounded up.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/key.h"

namespace stepdb {

class BucketGrid {
  public:
    // `lo` <= `hi`. kInvalidArgument if hi - lo is beyond float64.
    static Result<BucketGrid> create(Axis axis, Key lo, Key hi, uint32_t buckets);

    // Edges of equal ratios, over keys of steps above 0: edge(i) = lo * (hi / lo)^(i / N), within
    // lo and hi.
    static Result<BucketGrid> create_log(Key lo, Key hi, uint32_t buckets);

    // The grid of a query that is watched, over a range whose ends move: every edge is a multiple
    // of `width`, a power of two, so that points that come later move none of them. It holds `lo`
    // and `hi` with at most `buckets` buckets; `width` is doubled until it does, or chosen if it is
    // 0. A single key leaves it 0, and has a bucket of any width. With `is_log` the edges are
    // powers of two whose exponents are multiples of the width, and keys are those of steps above
    // 0.
    static Result<BucketGrid> create_watched(Axis axis, Key lo, Key hi, uint32_t buckets,
                                             bool is_log, double& width);

    uint32_t buckets() const { return static_cast<uint32_t>(edges_.size() - 1); }
    Axis axis() const { return axis_; }
    // Of 0 to buckets(); they never fall.
    Key edge(uint32_t index) const { return edges_[index]; }

    // All of them, for bucket_of() and those who fill buckets.
    std::span<const Key> edges() const { return edges_; }

  private:
    BucketGrid(Axis axis, std::vector<Key> edges) : axis_(axis), edges_(std::move(edges)) {}

    Axis axis_;
    std::vector<Key> edges_;
};

}  // namespace stepdb
