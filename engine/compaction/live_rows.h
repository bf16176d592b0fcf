// What of the stored rows still counts: compaction leaves out the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/model/key.h"
#include "engine/segment/block.h"

namespace stepdb {

// As of one moment; immutable, asked from any thread. What has died since then is left out by a
// later merge.
class LiveRows {
  public:
    virtual ~LiveRows() = default;

    // False if the run has been deleted: its id never comes back.
    virtual bool run_exists(uint64_t run) const = 0;

    // Points of the metric with a sequence up to this one have been deleted; 0 if none has.
    virtual uint64_t dead_through(uint64_t run, std::string_view metric) const = 0;

    // How many of the columns that the block may have values of were deleted wholly, by a delete
    // with a sequence above `after`.
    virtual uint32_t dead_columns(const BlockInfo& block, uint64_t after) const = 0;

    // Of a discarded attempt: points above this key are read by nobody any more.
    virtual std::optional<Key> kept_through(uint64_t run, uint32_t attempt, Axis axis) const = 0;
};

}  // namespace stepdb
