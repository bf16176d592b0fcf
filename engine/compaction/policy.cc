#include "engine/compaction/policy.h"

#include <algorithm>
#include <limits>
#include <map>

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

size_t tier_of(uint64_t bytes) {
    size_t tier = 0;
    for (uint64_t size = kLowestTierBytes; bytes > size; size *= kTierFactor) {
        ++tier;
    }
    return tier;
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
            stats.dead_bytes += dead_bytes_of(info, live, exists, deletes_done);
        }
        // Blocks that share the columns out among them count by their share.
        const uint64_t columns = std::max<uint32_t>(1, end_column - first_column);
        stats.pieces += divided(widths, columns);
        stats.pieces_least += std::max<uint64_t>(1, divided(divided(values, columns), limits.rows));
    }
    return stats;
}

std::vector<uint64_t> choose_segments(std::span<const SegmentStats> segments,
                                      MergeUrgency urgency) {
    for (const SegmentStats& segment : segments) {
        if (segment.dead_bytes * kDeadShare > segment.bytes) {
            return {segment.file_id};
        }
    }
    std::map<size_t, std::vector<SegmentStats>> tiers;
    for (const SegmentStats& segment : segments) {
        tiers[tier_of(segment.bytes)].push_back(segment);
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
    if (urgency != MergeUrgency::kBusy) {
        for (const SegmentStats& segment : segments) {
            if (!segment.merged && segment.pieces > kPiecesFactor * segment.pieces_least) {
                return {segment.file_id};
            }
        }
    }
    return {};
}

}  // namespace stepdb
