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
#include "tools/bench/workload.h"

namespace stepdb {

// Metrics bench/000000, bench/000001, ... with steps. kInvalidArgument if the schema or a frame of
// that shape would be too large.
Result<std::shared_ptr<const Schema>> bench_schema(const LoadShape& shape);
std::string bench_metric(uint32_t column);

// How many rows are made ahead: enough that no codec finds one again in what it encodes together,
// if that fits some memory.
size_t pool_rows(const LoadShape& shape);

class FramePool {
  public:
    // Values by LoadValues. At least one frame, and pool_rows() in all.
    FramePool(const std::shared_ptr<const Schema>& schema, const LoadShape& shape, uint64_t seed);

    // Frame `at` (below frames()), for `run`: its rows have the steps from `first_step` on and
    // times from `time_us` on, a microsecond apart. Valid until it is stamped anew.
    Bytes stamp(size_t at, ClientRun& run, uint64_t first_step, int64_t time_us);

    size_t frames() const { return frames_.size(); }

  private:
    uint32_t rows_;
    std::vector<std::vector<std::byte>> frames_;
};

}  // namespace stepdb
