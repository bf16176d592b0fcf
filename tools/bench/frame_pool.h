// Rows frames made ahead, so that sending one costs no work by the value: stamping a frame patches
// its number, run, steps and times in place, and the checksum alone reads every byte.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/model/schema.h"
#include "net/client.h"

namespace stepdb {

// What a writer sends.
struct LoadShape {
    uint32_t metrics = 1000;
    uint32_t rows_per_frame = 16;
    bool is_float64 = false;
};

// Metrics bench/000000, bench/000001, ... with steps. kInvalidArgument if the schema or a frame of
// that shape would be too large.
Result<std::shared_ptr<const Schema>> bench_schema(const LoadShape& shape);
std::string bench_metric(uint32_t column);

class FramePool {
  public:
    // Noise by `seed`: every metric has a level that drifts from row to row, and its values lie
    // around it with a standard deviation of a tenth. As float32, or as doubles with all their
    // bits. The pool holds about `bytes` of frames, one at least, and begins anew after the last.
    FramePool(const std::shared_ptr<const Schema>& schema, const LoadShape& shape, uint64_t seed,
              size_t bytes);

    // The next frame, for `run`: its rows have the steps from `first_step` on and times from
    // `time_us` on, a microsecond apart. Valid until the next call.
    Bytes stamp(ClientRun& run, uint64_t first_step, int64_t time_us);

    size_t frame_bytes() const { return frames_.front().size(); }
    size_t frames() const { return frames_.size(); }

  private:
    uint32_t rows_;
    std::vector<std::vector<std::byte>> frames_;
    size_t next_ = 0;
};

}  // namespace stepdb
