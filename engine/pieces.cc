#include "engine/pieces.h"

#include <algorithm>

#include "engine/base/check.h"

namespace stepdb {

namespace {

// Where rows of a (attempt, schema) are: one of the two.
struct FoundRows {
    uint32_t attempt = 0;
    uint64_t schema = 0;
    SegmentPiece segment_block;
    const MemoryPieces* memory = nullptr;

    std::pair<uint32_t, uint64_t> group() const { return {attempt, schema}; }
};

void add_rows(FoundRows& found, GroupPieces& pieces) {
    if (found.memory == nullptr) {
        pieces.segment_blocks.push_back(std::move(found.segment_block));
        return;
    }
    pieces.tail = found.memory->tail;
    pieces.blocks = found.memory->blocks;
}

}  // namespace

std::shared_ptr<const Error> damage_of(const DamagedList& damaged, uint64_t run) {
    for (const DamagedSegment& segment : damaged) {
        for (const auto& [first, last] : segment.runs) {
            if (first <= run && run <= last) {
                return segment.error;
            }
        }
    }
    return nullptr;
}

bool GroupPieces::has_rows_above(uint64_t sequence) const {
    const auto tail_has = [&](const TailPiece& piece) {
        return piece.rows > 0 && piece.chunk->sequences()[piece.rows - 1] > sequence;
    };
    const auto block_has = [&](const auto& block) { return block->info.sequence_max > sequence; };
    const auto segment_has = [&](const SegmentPiece& piece) {
        return piece.segment->blocks()[piece.block].info.sequence_max > sequence;
    };
    return std::ranges::any_of(tail, tail_has) || std::ranges::any_of(blocks, block_has) ||
           std::ranges::any_of(segment_blocks, segment_has);
}

const RunPieces* SnapshotPieces::find(uint64_t run) const {
    const RunPieces* known = gathered_.with([run](const auto& gathered) -> const RunPieces* {
        const auto at = gathered.find(run);
        return at == gathered.end() ? nullptr : at->second.get();
    });
    if (known != nullptr) {
        return known;
    }
    std::unique_ptr<const RunPieces> made = gather(run);
    if (made == nullptr) {
        return nullptr;
    }
    // Of two that were made at the same time the first stays.
    return gathered_.with([&](auto& gathered) -> const RunPieces* {
        return gathered.try_emplace(run, std::move(made)).first->second.get();
    });
}

std::optional<SettledBlocks> SnapshotPieces::find_settled(uint64_t run) const {
    return !is_asked_for(run) || has_damage() || is_in_memory(run)
               ? std::nullopt
               : find_in_segments(*parts_.segments, run);
}

std::optional<SettledBlocks> find_in_segments(const SegmentList& segments, uint64_t run) {
    SettledBlocks found;
    for (const auto& segment : segments) {
        const auto [first, last] = segment->blocks_of_run(run);
        if (last - first > SettledBlocks::kMax - found.count) {
            return std::nullopt;
        }
        for (size_t block = first; block < last; ++block) {
            found.segments[found.count] = segment.get();
            found.blocks[found.count] = block;
            ++found.count;
        }
    }
    return found;
}

RunActivity SnapshotPieces::activity(uint64_t run) const {
    if (parts_.all_activities != nullptr) {
        return parts_.all_activities->find(run);
    }
    const auto at = std::ranges::lower_bound(parts_.activities, run, {},
                                             &std::pair<uint64_t, RunActivity>::first);
    return at == parts_.activities.end() || at->first != run ? RunActivity() : at->second;
}

std::span<const MemoryPieces> SnapshotPieces::memory_of(uint64_t run) const {
    const auto first = std::ranges::lower_bound(parts_.memory, run, {}, &MemoryPieces::run);
    auto last = first;
    while (last != parts_.memory.end() && last->run == run) {
        ++last;
    }
    return {first, last};
}

// Of a hundred thousand runs at a time: nothing is looked up or allocated that one block of one
// segment does not take.
std::unique_ptr<const RunPieces> SnapshotPieces::gather(uint64_t run) const {
    if (!is_asked_for(run)) {
        return nullptr;
    }
    auto pieces = std::make_unique<RunPieces>();
    pieces->run = catalog().find_run(run);
    if (pieces->run == nullptr) {
        return nullptr;
    }
    std::vector<FoundRows> found;
    for (const auto& segment : *parts_.segments) {
        const auto [first, last] = segment->blocks_of_run(run);
        for (size_t block = first; block < last; ++block) {
            const BlockInfo& info = segment->blocks()[block].info;
            found.push_back({info.attempt, info.schema, {segment, block}, nullptr});
        }
    }
    for (const MemoryPieces& memory : memory_of(run)) {
        found.push_back({memory.attempt, memory.schema, {}, &memory});
    }
    if (found.size() > 1) {
        std::ranges::stable_sort(found, {}, &FoundRows::group);
    }
    pieces->damage = damage_of(*parts_.damaged, run);
    for (size_t at = 0; at < found.size(); ++at) {
        if (at == 0 || found[at].group() != found[at - 1].group()) {
            const StoredSchema* schema = catalog().find_schema(found[at].schema);
            CHECK(schema != nullptr, "run {} has rows of schema {}, which is not in the catalog",
                  run, found[at].schema);
            GroupPieces& group = pieces->groups.emplace_back();
            group.attempt = found[at].attempt;
            group.schema = schema->schema;
        }
        add_rows(found[at], pieces->groups.back());
    }
    return pieces;
}

}  // namespace stepdb
