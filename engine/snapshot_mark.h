// What a snapshot showed, in little: enough to tell whether a later snapshot of the same runs shows
// anything else. Holds nothing of the snapshot but the runs' entries in the catalog.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "engine/snapshot.h"

namespace stepdb {

class SnapshotMark {
  public:
    // Of nothing: shows what no snapshot shows.
    SnapshotMark() = default;
    // `sequence` is Engine::sequence() when the snapshot was taken.
    SnapshotMark(const Snapshot& snapshot, uint64_t sequence);

    // Whether `later` has the same runs, these and those they read through, with nothing more of
    // rows, attempts, attributes, deletes and signs of life. False if there are none.
    bool shows_the_same(const Snapshot& later) const;

  private:
    struct RunMark {
        std::shared_ptr<const Run> run;
        RunActivity activity;
    };

    std::unordered_map<uint64_t, RunMark> runs_;
    size_t asked_ = 0;  // runs that the snapshot was asked for
    uint64_t sequence_ = 0;
};

}  // namespace stepdb
