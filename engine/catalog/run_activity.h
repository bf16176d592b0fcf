// When runs were last heard of: what changes with every frame, and so lies beside the catalog.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "engine/base/coding.h"
#include "engine/base/result.h"

namespace stepdb {

struct RunActivity {
    int64_t last_write_us = 0;  // receive time of the newest rows; 0: none yet
    int64_t last_sign_us = 0;   // likewise of rows, heartbeats, creation and restarts
    uint32_t writers = 0;       // that have opened it
};

class RunActivities {
  public:
    RunActivity& of(uint64_t run) { return runs_[run]; }
    // All zero if nothing was heard.
    RunActivity find(uint64_t run) const {
        const auto at = runs_.find(run);
        return at == runs_.end() ? RunActivity() : at->second;
    }
    void remove(uint64_t run) { runs_.erase(run); }

    // u64 count, then each: u64 run, i64 last write, i64 last sign, u32 writers.
    void encode(ByteWriter& writer) const;
    Status decode(ByteReader& reader);

    size_t memory_bytes() const { return runs_.size() * (sizeof(RunActivity) + 40); }

  private:
    std::unordered_map<uint64_t, RunActivity> runs_;
};

}  // namespace stepdb
