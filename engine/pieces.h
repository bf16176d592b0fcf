// What a snapshot pins of a run: for every (attempt, schema) the tail chunks up to their published
// row, the blocks in memory and the blocks in segments. Immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "engine/catalog/run.h"
#include "engine/catalog/run_activity.h"
#include "engine/model/schema.h"
#include "engine/segment/block.h"
#include "engine/segment/segment_reader.h"
#include "engine/tail/tail.h"

namespace stepdb {

struct SegmentPiece {
    std::shared_ptr<const SegmentMeta> segment;
    size_t block = 0;  // index into segment->blocks()
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
    std::shared_ptr<const Run> run;   // as of the snapshot
    std::vector<GroupPieces> groups;  // by (attempt, schema)
    RunActivity activity;
    // Set if rows of the run may lie in a segment that cannot be read.
    std::shared_ptr<const Error> damage;
};

class SnapshotPieces {
  public:
    void reserve(size_t runs) { runs_.reserve(runs); }
    void add(uint64_t run, RunPieces pieces) {
        has_damage_ = has_damage_ || pieces.damage != nullptr;
        runs_.emplace(run, std::move(pieces));
    }
    // Null if the run was not asked for.
    const RunPieces* find(uint64_t run) const {
        const auto at = runs_.find(run);
        return at == runs_.end() ? nullptr : &at->second;
    }

    // Whether there is any of a run.
    bool has_damage() const { return has_damage_; }

  private:
    std::unordered_map<uint64_t, RunPieces> runs_;
    bool has_damage_ = false;
};

}  // namespace stepdb
