// Memory in whole pages for buffers that are large and come and go all the time. The kernel hands
// out pages zeroed and one by one, pins them one by one for direct I/O, and translates addresses by
// page, all of which takes about as long as moving the bytes does. So memory is taken from it in
// arenas of huge pages, and what is given back is kept for whatever fits.
//
// Any thread. Memory that the process has is counted by unit: a huge page, or 64 KiB where it has
// little memory. A unit in which nothing is in use can be given back to the kernel.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace stepdb {

// Under these sanitizers buffers do without it: what is given back must not be used again
// unnoticed.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STEPDB_SANITIZES_MEMORY
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    defined(STEPDB_SANITIZES_MEMORY)
inline constexpr bool kUsePageHeap = false;
#else
inline constexpr bool kUsePageHeap = true;
#endif

class PageHeap {
  public:
    static constexpr size_t kHugePageBytes = 2U << 20U;
    static constexpr size_t kSmallUnitBytes = 64U << 10U;
    // With less than that held at most, the rest of a huge page is worth more than its speed.
    static constexpr size_t kHugeFromBytes = 512U << 20U;

    explicit PageHeap(size_t held_max) { set_limits(held_max, held_max); }
    ~PageHeap();
    PageHeap(const PageHeap&) = delete;
    PageHeap& operator=(const PageHeap&) = delete;

    // `bytes` bytes of any content, from a page boundary on; a multiple of kPageBytes. Throws
    // std::bad_alloc if the kernel has none.
    std::byte* take(size_t bytes);
    // False if it is not what take() gave; nothing has been done then.
    bool give_back(std::byte* data);

    // `held_max`: bytes in use and bytes kept together; what is kept beyond that goes. From then on
    // huge pages are taken if that is kHugeFromBytes or more. `idle_max`: bytes kept after trim().
    void set_limits(size_t held_max, size_t idle_max);
    // To be called when nothing is done for now.
    void trim();
    // Memory of the process in which nothing is.
    size_t kept_bytes() const;

  private:
    struct Arena {
        size_t bytes = 0;
        size_t unit = 0;
        std::vector<size_t> used;  // bytes in use, by unit
        std::vector<char> backed;  // whether the process has its memory
    };
    using Arenas = std::map<std::byte*, Arena, std::greater<>>;

    void add_arena(size_t bytes);
    Arenas::iterator arena_of(std::byte* data) { return arenas_.lower_bound(data); }
    void add_free(std::byte* data, size_t bytes);
    void remove_free(std::map<std::byte*, size_t>::iterator at);
    // Counts [data, data + bytes) as in use, or no longer.
    void count(std::byte* data, size_t bytes, bool in_use);
    void drop_beyond(size_t kept_max);
    size_t kept() const { return backed_bytes_ - used_bytes_; }
    size_t kept_max() const {
        return held_max_ - (used_bytes_ < held_max_ ? used_bytes_ : held_max_);
    }

    mutable std::mutex mutex_;
    Arenas arenas_;                                         // the highest address first
    std::map<std::byte*, size_t> free_;                     // by address; neighbours are one
    std::set<std::pair<size_t, std::byte*>> free_by_size_;  // the same
    std::unordered_map<const std::byte*, size_t> taken_;
    size_t held_max_ = 0;
    size_t idle_max_ = 0;
    size_t unit_ = kSmallUnitBytes;  // of the next arena
    size_t used_bytes_ = 0;
    size_t backed_bytes_ = 0;
};

// The one of the process. It is never destroyed: buffers may be given back while the process ends.
PageHeap& page_heap();

}  // namespace stepdb
