#include "engine/compaction/policy.h"

#include <algorithm>
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
// Blocks of a segment that are too many: a merge leaves at most about twice the least.
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

}  // namespace

SegmentStats measure_segment(const SegmentMeta& segment, const LiveRows& live,
                             const MergeLimits& limits) {
    SegmentStats stats;
    stats.file_id = segment.file_id();
    stats.bytes = segment.file_bytes();
    const std::vector<SegmentBlock>& blocks = segment.blocks();
    for (size_t i = 0; i < blocks.size();) {
        const BlockInfo& first = blocks[i].info;
        const bool exists = live.run_exists(first.run);
        uint64_t values = 0;
        uint64_t rows = 0;
        uint64_t columns = 0;
        for (; i < blocks.size() && !sorts_before(first, blocks[i].info); ++i) {
            const BlockInfo& info = blocks[i].info;
            const uint64_t width = info.end_column - info.first_column;
            columns = std::max(columns, width);
            values += info.rows * width;
            stats.dead_bytes += exists ? 0 : info.total_bytes();
            ++stats.blocks;
        }
        // The rows of blocks that share the columns out among them count once.
        rows = columns == 0 ? 0 : divided(values, columns);
        const uint64_t windows = std::max<uint64_t>(1, divided(rows, limits.rows));
        const uint64_t columns_together =
            std::max<uint64_t>(1, limits.values / std::max<uint64_t>(1, divided(rows, windows)));
        stats.blocks_least += windows * std::max<uint64_t>(1, divided(columns, columns_together));
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
            if (!segment.merged && segment.blocks > kPiecesFactor * segment.blocks_least) {
                return {segment.file_id};
            }
        }
    }
    return {};
}

}  // namespace stepdb
