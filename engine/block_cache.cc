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
        kept.items.splice(kept.items.begin(), kept.items, at->second);
        return at->second->item;
    });
}

void BlockCache::put_any(const Place& place, std::shared_ptr<const void> item, size_t bytes) {
    bytes += kItemBytes;
    if (bytes > bytes_max_) {
        return;
    }
    Items added;
    added.push_back({place, std::move(item), bytes});
    Items gone;  // freed when nobody is kept waiting
    kept_.with([&](Kept& kept) {
        if (!kept.places.try_emplace(place, added.begin()).second) {
            return;
        }
        kept.items.splice(kept.items.begin(), added);
        kept.bytes += bytes;
        while (kept.bytes > bytes_max_) {
            const auto last = std::prev(kept.items.end());
            kept.bytes -= last->bytes;
            kept.places.erase(last->place);
            gone.splice(gone.end(), kept.items, last);
        }
    });
}

}  // namespace stepdb
