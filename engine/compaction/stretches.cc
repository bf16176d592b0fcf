#include "engine/compaction/stretches.h"

#include <algorithm>
#include <numeric>

namespace stepdb {

namespace {

// A stretch with a larger share of the rows of a block becomes blocks of its own between others.
constexpr uint32_t kStretchShare = 8;

// Blocks of which the key ranges overlap, directly or by others between them.
struct Cluster {
    Cluster() = default;

    std::vector<size_t> blocks;
    Key key_max = kKeyMin;
};

std::vector<Cluster> clusters_of(std::span<const BlockInfo> blocks) {
    std::vector<size_t> order(blocks.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, [&](size_t a, size_t b) {
        return std::pair(blocks[a].key_min, blocks[a].first_column) <
               std::pair(blocks[b].key_min, blocks[b].first_column);
    });
    std::vector<Cluster> clusters;
    for (const size_t i : order) {
        if (clusters.empty() || blocks[i].key_min > clusters.back().key_max) {
            clusters.emplace_back();
        }
        clusters.back().blocks.push_back(i);
        clusters.back().key_max = std::max(clusters.back().key_max, blocks[i].key_max);
    }
    return clusters;
}

class Planner {
  public:
    Planner(std::span<const BlockInfo> blocks, const StretchRules& rules)
        : blocks_(blocks), rules_(rules) {}

    std::vector<MergeStretch> plan() {
        for (Cluster& cluster : clusters_of(blocks_)) {
            if (can_be_copied(cluster)) {
                add_tile(std::move(cluster.blocks));
            } else {
                add_decoded(cluster.blocks);
            }
        }
        drop_short_copies();
        return std::move(stretches_);
    }

  private:
    // Whether the cluster is one tile of which everything counts.
    bool can_be_copied(const Cluster& cluster) const {
        const BlockInfo& first = blocks_[cluster.blocks.front()];
        uint32_t end_column = 0;
        return std::ranges::all_of(cluster.blocks, [&](size_t i) {
            const BlockInfo& block = blocks_[i];
            const bool is_beside = block.first_column >= end_column;
            end_column = block.end_column;
            return is_beside && block.schema == rules_.schema && block.key_max <= rules_.last_key &&
                   block.sequence_min > rules_.dead_through && block.end_column != 0 &&
                   block.rows == first.rows && block.key_min == first.key_min &&
                   block.key_max == first.key_max && block.sequence_min == first.sequence_min &&
                   block.sequence_max == first.sequence_max;
        });
    }

    uint64_t rows_of(const MergeStretch& stretch) const {
        uint64_t rows = 0;
        for (const Tile& tile : stretch.tiles) {
            rows += blocks_[tile.front()].rows;
        }
        return rows;
    }

    // A stretch that is copied is one window of rows.
    void add_tile(Tile tile) {
        uint64_t kept_bytes = 0;
        for (const size_t i : tile) {
            kept_bytes += blocks_[i].directory_bytes;
        }
        const uint64_t rows = blocks_[tile.front()].rows;
        if (stretches_.empty() || !stretches_.back().copied ||
            copied_rows_ + rows > rules_.limits.rows ||
            kept_bytes_ + kept_bytes > rules_.limits.kept_bytes) {
            stretches_.emplace_back();
            stretches_.back().copied = true;
            copied_rows_ = 0;
            kept_bytes_ = 0;
        }
        stretches_.back().tiles.push_back(std::move(tile));
        copied_rows_ += rows;
        kept_bytes_ += kept_bytes;
    }

    void add_decoded(const std::vector<size_t>& blocks) {
        if (stretches_.empty() || stretches_.back().copied) {
            stretches_.emplace_back();
        }
        for (const size_t block : blocks) {
            stretches_.back().tiles.push_back({block});
        }
    }

    bool is_too_short(size_t index) const {
        const MergeStretch& stretch = stretches_[index];
        const uint64_t rows = rows_of(stretch);
        if (stretch.tiles.size() > 1 && rows < rules_.limits.part_rows * stretch.tiles.size()) {
            return true;
        }
        const bool beside_decoded =
            (index > 0 && !stretches_[index - 1].copied) ||
            (index + 1 < stretches_.size() && !stretches_[index + 1].copied);
        return beside_decoded && rows < rules_.limits.rows / kStretchShare;
    }

    void drop_short_copies() {
        std::vector<bool> too_short(stretches_.size());
        for (size_t i = 0; i < stretches_.size(); ++i) {
            too_short[i] = stretches_[i].copied && is_too_short(i);
        }
        std::vector<MergeStretch> planned = std::move(stretches_);
        stretches_.clear();
        for (size_t i = 0; i < planned.size(); ++i) {
            if (planned[i].copied && !too_short[i]) {
                stretches_.push_back(std::move(planned[i]));
                continue;
            }
            for (const Tile& tile : planned[i].tiles) {
                add_decoded(tile);
            }
        }
    }

    std::span<const BlockInfo> blocks_;
    const StretchRules& rules_;
    std::vector<MergeStretch> stretches_;
    uint64_t copied_rows_ = 0;  // of the last stretch
    uint64_t kept_bytes_ = 0;
};

}  // namespace

std::vector<MergeStretch> plan_stretches(std::span<const BlockInfo> blocks,
                                         const StretchRules& rules) {
    return Planner(blocks, rules).plan();
}

}  // namespace stepdb
