#include "engine/block_cache.h"

#include <iterator>
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

size_t BlockCache::bytes() const {
    return kept_.with([](const Kept& kept) { return kept.bytes; });
}

BlockCache::Uses BlockCache::uses() const {
    return kept_.with([](const Kept& kept) { return kept.uses; });
}

std::shared_ptr<const void> BlockCache::find_any(const Place& place) {
    return kept_.with([&](Kept& kept) -> std::shared_ptr<const void> {
        ++kept.uses.looks;
        const auto at = kept.places.find(place);
        if (at == kept.places.end()) {
            return nullptr;
        }
        ++kept.uses.hits;
        at->second->was_used = true;
        return at->second->item;
    });
}

void BlockCache::put_any(const Place& place, std::shared_ptr<const void> item, size_t bytes) {
    bytes += kItemBytes;
    if (bytes > bytes_max_) {
        return;
    }
    Items added;
    added.push_back({place, std::move(item), bytes, false});
    Items gone;  // freed when nobody is kept waiting
    kept_.with([&](Kept& kept) {
        if (!kept.places.try_emplace(place, added.begin()).second) {
            return;
        }
        kept.items.splice(kept.items.begin(), added);
        kept.bytes += bytes;
        make_room(kept, bytes_max_, gone);
    });
}

// The newest item stays. Each that is spared loses its mark, so this ends.
void BlockCache::make_room(Kept& kept, size_t bytes_max, Items& gone) {
    const auto newest = kept.items.begin();
    while (kept.bytes > bytes_max) {
        const auto last = std::prev(kept.items.end());
        if (last == newest || std::exchange(last->was_used, false)) {
            kept.items.splice(kept.items.begin(), kept.items, last);
            continue;
        }
        kept.bytes -= last->bytes;
        kept.places.erase(last->place);
        gone.splice(gone.end(), kept.items, last);
    }
}

}  // namespace stepdb
