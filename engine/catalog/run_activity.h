// When runs were last heard of: what changes with every frame, and so lies beside the catalog.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/coding.h"
#include "engine/base/result.h"

namespace stepdb {

struct RunActivity {
    int64_t last_write_us = 0;  // receive time of the newest rows; 0: none yet
    int64_t last_sign_us = 0;   // likewise of rows, heartbeats, creation and restarts
    uint32_t writers = 0;       // that have opened it
};

// Of runs with neighbouring ids.
struct RunActivityPage {
    static constexpr uint64_t kRuns = 64;

    std::array<RunActivity, kRuns> runs;
    uint64_t known = 0;  // a bit for each that is there
};

// What was heard of all runs at one moment. Any thread.
class SharedRunActivities {
  public:
    // By number, which is the first run's id by kRuns.
    using Pages = std::vector<std::pair<uint64_t, std::shared_ptr<const RunActivityPage>>>;

    explicit SharedRunActivities(Pages pages) : pages_(std::move(pages)) {}

    // All zero if nothing was heard.
    RunActivity find(uint64_t run) const;

  private:
    const Pages pages_;
};

// Of one thread, but for what is shared. To share what a hundred thousand runs have costs less than
// to look for it: whatever page changes afterwards is copied first.
class RunActivities {
  public:
    RunActivity& of(uint64_t run);
    // All zero if nothing was heard.
    RunActivity find(uint64_t run) const;
    void remove(uint64_t run);

    // The same again until something changes.
    std::shared_ptr<const SharedRunActivities> share() const;

    // u64 count, then each: u64 run, i64 last write, i64 last sign, u32 writers.
    void encode(ByteWriter& writer) const;
    Status decode(ByteReader& reader);

    size_t memory_bytes() const {
        constexpr size_t kEntry = 80;  // of the map, and what is allocated
        return pages_.size() * (sizeof(RunActivityPage) + kEntry);
    }

  private:
    struct Page {
        std::shared_ptr<RunActivityPage> page;
        uint64_t made_at = 0;  // in shares_
    };

    RunActivityPage& change(Page& page);

    std::unordered_map<uint64_t, Page> pages_;                   // by number
    mutable std::shared_ptr<const SharedRunActivities> shared_;  // null: something has changed
    mutable uint64_t shares_ = 1;
};

}  // namespace stepdb
