#include "engine/compaction/policy.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string_view>
#include <unordered_map>

#include "engine/model/limits.h"

namespace stepdb {

namespace {

// Segments that grow by less than this are of one size.
constexpr uint64_t kTierFactor = 4;
constexpr size_t kSegmentsOfTier = 4;
// Below it all are of one size: a file costs more than its bytes.
constexpr uint64_t kLowestTierBytes = 1U << 20U;
// A segment is written anew if a quarter of it is dead.
constexpr uint64_t kDeadShare = 4;
// Pieces of its series that are too many: a merge leaves at most about twice the least.
constexpr uint64_t kPiecesFactor = 3;
// Segments of which the blocks are smaller than this on average are of quiet runs.
constexpr uint64_t kSmallBlockBytes = 64U << 10U;
// In a settled store a series is to be in so many pieces at most, beyond those it needs.
constexpr uint64_t kSettledPiecesMax = 6;
// Of the most rows of a block, what is many rows.
constexpr uint32_t kWholeRowsShare = 4;
// How far apart the pieces of a series may lie.
constexpr uint64_t kWholeBytes = 64U << 20U;
// Of a segment, what may be in smaller blocks for it to be left alone.
constexpr uint64_t kPartialShare = 4;
// Of the schemas of an attempt; the others are taken to be like them.
constexpr uint64_t kSchemasLookedAt = 64;

size_t tier_of(uint64_t bytes) {
    size_t tier = 0;
    for (uint64_t size = kLowestTierBytes; bytes > size; size *= kTierFactor) {
        ++tier;
    }
    return tier;
}

bool has_small_blocks(const SegmentStats& segment) {
    return segment.bytes < kSmallBlockBytes * segment.blocks;
}

bool is_mostly_whole(const SegmentStats& segment) {
    return segment.whole_bytes != 0 &&
           (segment.bytes - std::min(segment.bytes, segment.whole_bytes)) * kPartialShare <
               segment.bytes;
}

// The smallest of them, as many as fit into one segment.
std::vector<uint64_t> take_smallest(std::vector<SegmentStats> segments) {
    std::ranges::stable_sort(segments, {}, &SegmentStats::bytes);
    std::vector<uint64_t> chosen;
    uint64_t bytes = 0;
    for (const SegmentStats& segment : segments) {
        bytes += segment.bytes;
        if (bytes > kMergedBytesMax) {
            break;
        }
        chosen.push_back(segment.file_id);
    }
    if (chosen.size() < 2) {
        chosen.clear();
    }
    return chosen;
}

uint64_t divided(uint64_t amount, uint64_t by) {
    return (amount + by - 1) / by;
}

// Of a run that was deleted, of an attempt that was discarded, or of metrics that were deleted: by
// their share of the columns.
uint64_t dead_bytes_of(const BlockInfo& info, const LiveRows& live, bool exists,
                       uint64_t deletes_done) {
    if (!exists ||
        info.key_min > live.kept_through(info.run, info.attempt, info.axis).value_or(kKeyMax)) {
        return info.total_bytes();
    }
    const uint64_t width = info.end_column - info.first_column;
    const uint64_t dead = live.dead_columns(info, deletes_done);
    return dead == width && width != 0 ? info.total_bytes()
                                       : info.strips_bytes * dead / std::max<uint64_t>(1, width);
}

}  // namespace

bool is_whole(uint64_t rows, uint64_t bytes, uint64_t pieces, const MergeLimits& limits) {
    return rows >= limits.rows / kWholeRowsShare * pieces || bytes >= kWholeBytes * pieces;
}

SegmentStats measure_segment(const SegmentMeta& segment, const LiveRows& live,
                             const MergeLimits& limits, uint64_t deletes_done) {
    SegmentStats stats;
    stats.file_id = segment.file_id();
    stats.bytes = segment.file_bytes();
    const std::vector<SegmentBlock>& blocks = segment.blocks();
    for (size_t i = 0; i < blocks.size();) {
        const BlockInfo& first = blocks[i].info;
        const bool exists = live.run_exists(first.run);
        uint64_t values = 0;
        uint64_t bytes = 0;
        uint64_t widths = 0;
        uint32_t first_column = std::numeric_limits<uint32_t>::max();
        uint32_t end_column = 0;
        for (; i < blocks.size() && !sorts_before(first, blocks[i].info); ++i) {
            const BlockInfo& info = blocks[i].info;
            const uint64_t width = info.end_column - info.first_column;
            first_column = std::min(first_column, info.first_column);
            end_column = std::max(end_column, info.end_column);
            widths += width;
            values += info.rows * width;
            bytes += info.total_bytes();
            stats.dead_bytes += dead_bytes_of(info, live, exists, deletes_done);
        }
        // Blocks that share the columns out among them count by their share.
        const uint64_t columns = std::max<uint32_t>(1, end_column - first_column);
        const uint64_t pieces = divided(widths, columns);
        const uint64_t rows = divided(values, columns);
        if (is_whole(rows, bytes, pieces, limits)) {
            stats.whole_bytes += bytes;
            continue;
        }
        const uint64_t least = std::max<uint64_t>(1, divided(rows, limits.rows));
        stats.pieces += pieces;
        stats.pieces_least += least;
        stats.pieces_most = std::max<uint64_t>(
            stats.pieces_most, pieces > kPiecesFactor * least ? pieces - least + 1 : 1);
    }
    stats.blocks = blocks.size();
    return stats;
}

uint64_t pieces_by_schemas(const SegmentMeta& segment, const Catalog& catalog) {
    const std::vector<SegmentBlock>& blocks = segment.blocks();
    uint64_t most = 1;
    for (size_t i = 0; i < blocks.size();) {
        const BlockInfo& first = blocks[i].info;
        uint64_t schemas = 0;
        std::unordered_map<std::string_view, uint64_t> named;
        for (; i < blocks.size() && blocks[i].info.run == first.run &&
               blocks[i].info.attempt == first.attempt;
             ++i) {
            if (i > 0 && !sorts_before(blocks[i - 1].info, blocks[i].info)) {
                continue;  // one more of its schema
            }
            const StoredSchema* schema =
                ++schemas > kSchemasLookedAt ? nullptr : catalog.find_schema(blocks[i].info.schema);
            for (uint32_t column = 0; schema != nullptr && column < schema->schema->width();
                 ++column) {
                ++named[schema->schema->metric(column)];
            }
        }
        for (const auto& [metric, by] : named) {
            most = std::max(most, by * schemas / std::min(schemas, kSchemasLookedAt));
        }
    }
    return most;
}

namespace {

// For a settled store: segments whose series are in many small blocks by themselves, and segments
// that are too many for the series that are in all of them.
std::vector<uint64_t> choose_settled(std::span<const SegmentStats> segments) {
    std::vector<SegmentStats> in_pieces;
    std::vector<SegmentStats> by_blocks[2];
    for (const SegmentStats& segment : segments) {
        const bool is_in_pieces = segment.pieces > kPiecesFactor * segment.pieces_least ||
                                  segment.pieces_most > kSettledPiecesMax;
        if (is_mostly_whole(segment)) {
            continue;
        }
        if (!segment.merged && is_in_pieces) {
            in_pieces.push_back(segment);
        }
        by_blocks[has_small_blocks(segment) ? 0 : 1].push_back(segment);
    }
    if (!in_pieces.empty()) {
        const std::vector<uint64_t> chosen = take_smallest(in_pieces);
        return chosen.empty() ? std::vector<uint64_t>{in_pieces.front().file_id} : chosen;
    }
    for (const std::vector<SegmentStats>& some : by_blocks) {
        uint64_t pieces = 0;
        for (const SegmentStats& segment : some) {
            pieces += segment.merged ? 1 : segment.pieces_most;
        }
        if (pieces > kSettledPiecesMax) {
            std::vector<uint64_t> chosen = take_smallest(some);
            if (!chosen.empty()) {
                return chosen;
            }
        }
    }
    return {};
}

}  // namespace

std::vector<uint64_t> choose_segments(std::span<const SegmentStats> segments,
                                      MergeUrgency urgency) {
    for (const SegmentStats& segment : segments) {
        if (segment.dead_bytes * kDeadShare > segment.bytes) {
            return {segment.file_id};
        }
    }
    std::map<std::pair<size_t, bool>, std::vector<SegmentStats>> tiers;
    for (const SegmentStats& segment : segments) {
        if (!is_mostly_whole(segment)) {
            tiers[{tier_of(segment.bytes), has_small_blocks(segment)}].push_back(segment);
        }
    }
    for (const auto& [tier, of_tier] : tiers) {
        if (of_tier.size() >= kSegmentsOfTier) {
            std::vector<uint64_t> chosen = take_smallest(of_tier);
            if (!chosen.empty()) {
                return chosen;
            }
        }
    }
    if (urgency == MergeUrgency::kFull) {
        std::vector<uint64_t> chosen = take_smallest({segments.begin(), segments.end()});
        if (!chosen.empty()) {
            return chosen;
        }
    }
    return urgency == MergeUrgency::kBusy ? std::vector<uint64_t>() : choose_settled(segments);
}

}  // namespace stepdb
