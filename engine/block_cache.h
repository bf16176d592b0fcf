// What queries have read of segments, verified and taken apart once, and kept for the next: what
// was not used since it came, or since it was last spared, goes first. Any thread.
//
// One cache under one lock. A cache for each query thread would keep what all of them read as often
// as there are threads, and a chart that comes to another thread next time would find nothing. The
// lock is held for a look into a hash table, less than a thousandth of what a block takes to be
// walked over; what goes is freed outside of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "engine/io/guarded.h"

namespace stepdb {

class BlockCache {
  public:
    // What is kept takes at most `bytes_max`; what a reader holds besides is the reader's.
    explicit BlockCache(size_t bytes_max) : bytes_max_(bytes_max) {}
    BlockCache(const BlockCache&) = delete;
    BlockCache& operator=(const BlockCache&) = delete;

    // A part of a block: one of its columns, or one of these. File ids are never used twice.
    static constexpr uint32_t kAxis = UINT32_MAX;
    static constexpr uint32_t kDirectory = UINT32_MAX - 1;
    static constexpr uint32_t kSummaries = uint32_t{1} << 30U;  // plus the column; block: the page
    static constexpr uint32_t kStrips = uint32_t{1} << 31U;     // plus the number of the strip
    struct Place {
        uint64_t file_id = 0;
        size_t block = 0;
        uint32_t part = 0;

        bool operator==(const Place&) const = default;
    };
    struct HashPlace {
        size_t operator()(const Place& place) const;
    };

    // Null if it is not kept. T is what was put at such a place.
    template <typename T>
    std::shared_ptr<const T> find(const Place& place) {
        return std::static_pointer_cast<const T>(find_any(place));
    }
    // What is put is read by any number of threads from then on, and must not change: no part of it
    // that is worked out when it is asked for, unless it is made for that (summary_pages.h). Of two
    // that were read at the same time the first stays.
    template <typename T>
    void put(const Place& place, std::shared_ptr<const T> item, size_t bytes) {
        put_any(place, std::move(item), bytes);
    }

    size_t bytes_max() const { return bytes_max_; }
    size_t bytes() const;
    // How often something was looked for, and how often it was there.
    struct Uses {
        uint64_t looks = 0;
        uint64_t hits = 0;
    };
    Uses uses() const;

  private:
    struct Item {
        Place place;
        std::shared_ptr<const void> item;
        size_t bytes = 0;
        // A mark, where a place in the order of use would touch its neighbours' memory at each use,
        // too: F. Corbato, "A Paging Experiment with the Multics System", 1968.
        bool was_used = false;
    };
    using Items = std::list<Item>;
    struct Kept {
        Items items;  // those that came or were spared last first
        std::unordered_map<Place, Items::iterator, HashPlace> places;
        size_t bytes = 0;
        Uses uses;
    };

    std::shared_ptr<const void> find_any(const Place& place);
    static void make_room(Kept& kept, size_t bytes_max, Items& gone);
    void put_any(const Place& place, std::shared_ptr<const void> item, size_t bytes);

    const size_t bytes_max_;
    Guarded<Kept> kept_;
};

}  // namespace stepdb
