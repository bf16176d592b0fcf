// What a snapshot pins: the segments, and what its runs have in memory, which is tail chunks up to
// their published row, and blocks. What a run has of both is put together when it is first asked
// for, by whoever asks, so that a snapshot of a hundred thousand runs costs the engine's thread
// little more than one of a few.
//
// Any thread; what is found stays as it is and where it is as long as the snapshot is there.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/run.h"
#include "engine/catalog/run_activity.h"
#include "engine/io/guarded.h"
#include "engine/manifest/manifest.h"
#include "engine/model/schema.h"
#include "engine/segment/block.h"
#include "engine/segment/segment_reader.h"
#include "engine/tail/tail.h"

namespace stepdb {

using SegmentList = std::vector<std::shared_ptr<const SegmentMeta>>;

// A segment of which nothing can be read, and the runs that have rows in it.
struct DamagedSegment {
    DamagedSegment() = default;

    RunRanges runs;
    std::shared_ptr<const Error> error;  // names it, and says what is wrong and what to do
};
using DamagedList = std::vector<DamagedSegment>;

// Why not all of a run's rows can be read; null if they can.
std::shared_ptr<const Error> damage_of(const DamagedList& damaged, uint64_t run);

struct SegmentPiece {
    std::shared_ptr<const SegmentMeta> segment;
    size_t block = 0;  // index into segment->blocks()
};

// Rows in memory of a (run, attempt, schema).
struct MemoryPieces {
    MemoryPieces() = default;

    uint64_t run = 0;
    uint32_t attempt = 0;
    uint64_t schema = 0;
    std::vector<TailPiece> tail;
    std::vector<std::shared_ptr<const EncodedBlock>> blocks;
};

struct GroupPieces {
    uint32_t attempt = 0;
    std::shared_ptr<const Schema> schema;
    std::vector<TailPiece> tail;
    std::vector<std::shared_ptr<const EncodedBlock>> blocks;
    std::vector<SegmentPiece> segment_blocks;

    // Whether there are rows above this sequence.
    bool has_rows_above(uint64_t sequence) const;
    bool empty() const { return tail.empty() && blocks.empty() && segment_blocks.empty(); }
};

struct RunPieces {
    RunPieces() = default;

    std::shared_ptr<const Run> run;   // as of the snapshot
    std::vector<GroupPieces> groups;  // by (attempt, schema)
    // Set if rows of the run may lie in a segment that cannot be read.
    std::shared_ptr<const Error> damage;
};

// The blocks of a run that has few.
struct SettledBlocks {
    static constexpr size_t kMax = 4;

    std::array<const SegmentMeta*, kMax> segments = {};
    std::array<size_t, kMax> blocks = {};  // index into those of the segment
    size_t count = 0;
};

// None if it has more.
std::optional<SettledBlocks> find_in_segments(const SegmentList& segments, uint64_t run);

class SnapshotPieces {
  public:
    struct Parts {
        Parts() = default;

        std::shared_ptr<const Catalog> catalog;
        std::shared_ptr<const SegmentList> segments;
        std::shared_ptr<const DamagedList> damaged;
        // Of which runs `memory` is, ascending; none: of all that have any.
        std::optional<std::vector<uint64_t>> runs;
        std::vector<MemoryPieces> memory;                          // by (run, attempt, schema)
        std::vector<std::pair<uint64_t, RunActivity>> activities;  // by run
        // Those of all runs, in place of these.
        std::shared_ptr<const SharedRunActivities> all_activities;
    };

    explicit SnapshotPieces(Parts parts) : parts_(std::move(parts)) {}

    const Catalog& catalog() const { return *parts_.catalog; }

    // Null if there is no such run, or if neither it nor a run that reads through it was asked for.
    const RunPieces* find(uint64_t run) const;
    // The same of a run of which nothing is in memory and little in segments, without keeping
    // anything for the next time: none if it is another. For queries over all runs of a store.
    std::optional<SettledBlocks> find_settled(uint64_t run) const;
    // Of runs that were asked for, when they were last heard of.
    RunActivity activity(uint64_t run) const;
    const std::shared_ptr<const SegmentList>& segments() const { return parts_.segments; }
    // Whether a run that was asked for has rows in memory; whether any has.
    bool is_in_memory(uint64_t run) const { return !memory_of(run).empty(); }
    bool has_memory() const { return !parts_.memory.empty(); }
    // Whether there is damage, of any run.
    bool has_damage() const { return !parts_.damaged->empty(); }

  private:
    bool is_asked_for(uint64_t run) const {
        return !parts_.runs || std::ranges::binary_search(*parts_.runs, run);
    }
    std::span<const MemoryPieces> memory_of(uint64_t run) const;
    std::unique_ptr<const RunPieces> gather(uint64_t run) const;

    const Parts parts_;
    mutable Guarded<std::unordered_map<uint64_t, std::unique_ptr<const RunPieces>>> gathered_;
};

}  // namespace stepdb
