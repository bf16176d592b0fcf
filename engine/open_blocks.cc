#include "engine/open_blocks.h"

#include <algorithm>

namespace stepdb {

void BucketStretches::use(std::span<const Key> edges) {
    if (!std::ranges::equal(edges, edges_)) {
        edges_.assign(edges.begin(), edges.end());
        entries_ = {};
    }
}

const std::vector<Stretch>& BucketStretches::find(const std::shared_ptr<const OpenAxis>& axis,
                                                  uint32_t begin, uint32_t end) {
    for (const Entry& entry : entries_) {
        const bool is_of_axis = !entry.axis.owner_before(axis) && !axis.owner_before(entry.axis);
        if (is_of_axis && entry.begin == begin && entry.end == end) {
            return entry.stretches;
        }
    }
    Entry& entry = entries_[next_++ % kEntries];
    entry.axis = axis;
    entry.begin = begin;
    entry.end = end;
    entry.stretches.clear();
    const BlockKeys& keys = axis->keys;
    const size_t last_bucket = edges_.size() - 2;
    // That of the first row by halving, which bucket_of() would go through one by one.
    const auto above = std::upper_bound(edges_.begin() + 1, edges_.end() - 1, keys[begin]);
    auto bucket = static_cast<size_t>(above - edges_.begin()) - 1;
    for (uint32_t row = begin; row < end;) {
        bucket = bucket_of(edges_, bucket, keys[row]);
        row = bucket == last_bucket ? end
                                    : std::min(end, keys.lower_bound(edges_[bucket + 1], row + 1));
        entry.stretches.push_back({static_cast<uint32_t>(bucket), row});
    }
    return entry.stretches;
}

}  // namespace stepdb
