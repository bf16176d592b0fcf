#include "engine/snapshot_mark.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "engine/pieces.h"

namespace stepdb {

namespace {

bool is_same_activity(const RunActivity& a, const RunActivity& b) {
    return a.last_write_us == b.last_write_us && a.last_sign_us == b.last_sign_us &&
           a.writers == b.writers;
}

// Calls visit(pieces) for the runs of a snapshot and those that they read through, each once.
template <typename Visit>
void for_each_run(const Snapshot& snapshot, const Visit& visit) {
    std::unordered_set<uint64_t> seen;
    std::vector<uint64_t> open;
    const auto add = [&](uint64_t id) {
        if (seen.insert(id).second) {
            open.push_back(id);
        }
    };
    for (const auto& run : snapshot.runs()) {
        add(run->id);
    }
    while (!open.empty()) {
        const RunPieces* pieces = snapshot.pieces().find(open.back());
        open.pop_back();
        if (pieces == nullptr) {
            continue;
        }
        visit(*pieces);
        for (const Attempt& attempt : pieces->run->attempts) {
            if (attempt.parent_run != 0) {
                add(attempt.parent_run);
            }
        }
    }
}

}  // namespace

SnapshotMark::SnapshotMark(const Snapshot& snapshot, uint64_t sequence)
    : asked_(snapshot.runs().size()), sequence_(sequence) {
    for_each_run(snapshot, [&](const RunPieces& pieces) {
        runs_.emplace(pieces.run->id, RunMark{pieces.run, snapshot.activity(*pieces.run)});
    });
}

bool SnapshotMark::shows_the_same(const Snapshot& later) const {
    size_t runs = 0;
    bool is_same = asked_ != 0 && asked_ == later.runs().size();
    for_each_run(later, [&](const RunPieces& pieces) {
        ++runs;
        const auto at = runs_.find(pieces.run->id);
        // The catalog makes a run anew for each change.
        is_same = is_same && at != runs_.end() && at->second.run == pieces.run &&
                  is_same_activity(at->second.activity, later.activity(*pieces.run)) &&
                  std::ranges::none_of(pieces.groups, [&](const GroupPieces& group) {
                      return group.has_rows_above(sequence_);
                  });
    });
    return is_same && runs == runs_.size();
}

}  // namespace stepdb
