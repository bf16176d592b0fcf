#include "engine/block_cache.h"

#include <utility>

namespace stepdb {

namespace {

// What an item takes beside itself: its list and map nodes, about.
constexpr size_t kItemBytes = 160;

}  // namespace

size_t BlockCache::HashPlace::operator()(const Place& place) const {
    // Large odd numbers spread neighbours.
    return place.file_id * 0x9E3779B97F4A7C15ULL ^ place.block * 0xC2B2AE3D27D4EB4FULL ^
           place.part * 0x165667B19E3779F9ULL;
}

std::shared_ptr<const void> BlockCache::find_any(const Place& place) {
    const auto at = places_.find(place);
    if (at == places_.end()) {
        return nullptr;
    }
    items_.splice(items_.begin(), items_, at->second);
    return at->second->item;
}

void BlockCache::put_any(const Place& place, std::shared_ptr<const void> item, size_t bytes) {
    bytes += kItemBytes;
    if (bytes > bytes_max_ || places_.contains(place)) {
        return;
    }
    items_.push_front({place, std::move(item), bytes});
    places_.emplace(place, items_.begin());
    bytes_ += bytes;
    while (bytes_ > bytes_max_) {
        const auto last = std::prev(items_.end());
        bytes_ -= last->bytes;
        places_.erase(last->place);
        items_.erase(last);
    }
}

}  // namespace stepdb
