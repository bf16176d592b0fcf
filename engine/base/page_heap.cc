#include "engine/base/page_heap.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>
#include <new>

#include "engine/base/bytes.h"
#include "engine/base/check.h"

namespace stepdb {

namespace {

// Addresses alone: memory comes with the first byte written.
constexpr size_t kArenaBytes = 64U << 20U;

// Until it is set.
constexpr size_t kHeldMaxDefault = 64U << 20U;

}  // namespace

PageHeap& page_heap() {
    static auto* const shared = new PageHeap(kHeldMaxDefault);
    return *shared;
}

PageHeap::~PageHeap() {
    for (const auto& [data, arena] : arenas_) {
        munmap(data, arena.bytes);
    }
}

// Best fit, which leaves the largest free stretch, where no memory is yet, to the last.
std::byte* PageHeap::take(size_t bytes) {
    CHECK(bytes != 0 && bytes % kPageBytes == 0, "{} bytes are not whole pages", bytes);
    const std::lock_guard lock(mutex_);
    auto fit = free_by_size_.lower_bound({bytes, nullptr});
    if (fit == free_by_size_.end()) {
        add_arena(bytes);
        fit = free_by_size_.lower_bound({bytes, nullptr});
    }
    const auto [there, data] = *fit;
    remove_free(free_.find(data));
    if (there > bytes) {
        add_free(data + bytes, there - bytes);
    }
    taken_.emplace(data, bytes);
    count(data, bytes, true);
    drop_beyond(kept_max());
    return data;
}

bool PageHeap::give_back(std::byte* data) {
    const std::lock_guard lock(mutex_);
    const auto taken = taken_.find(data);
    if (taken == taken_.end()) {
        return false;
    }
    size_t bytes = taken->second;
    taken_.erase(taken);
    count(data, bytes, false);
    const auto arena = arena_of(data);
    const auto next = free_.lower_bound(data);
    if (next != free_.end() && next->first == data + bytes &&
        next->first < arena->first + arena->second.bytes) {
        bytes += next->second;
        remove_free(next);
    }
    const auto behind = free_.lower_bound(data);
    if (behind != free_.begin()) {
        const auto before = std::prev(behind);
        if (before->first + before->second == data && before->first >= arena->first) {
            data = before->first;
            bytes += before->second;
            remove_free(before);
        }
    }
    add_free(data, bytes);
    drop_beyond(kept_max());
    return true;
}

void PageHeap::add_free(std::byte* data, size_t bytes) {
    free_.emplace(data, bytes);
    free_by_size_.emplace(bytes, data);
}

void PageHeap::remove_free(std::map<std::byte*, size_t>::iterator at) {
    free_by_size_.erase({at->second, at->first});
    free_.erase(at);
}

void PageHeap::add_arena(size_t bytes) {
    Arena arena;
    arena.unit = unit_;
    arena.bytes = round_up(std::max(bytes, kArenaBytes), kHugePageBytes);
    // With room to begin at a boundary of huge pages.
    const size_t mapped = arena.bytes + kHugePageBytes;
    void* const memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::bad_alloc();
    }
    auto* const first = static_cast<std::byte*>(memory);
    const size_t before = round_up(reinterpret_cast<uintptr_t>(first), kHugePageBytes) -
                          reinterpret_cast<uintptr_t>(first);
    std::byte* const data = first + before;
    if (before != 0) {
        munmap(first, before);
    }
    munmap(data + arena.bytes, kHugePageBytes - before);
    // Where there are no huge pages, small ones do as well.
    madvise(data, arena.bytes, unit_ == kHugePageBytes ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    arena.used.resize(arena.bytes / arena.unit);
    arena.backed.resize(arena.bytes / arena.unit);
    add_free(data, arena.bytes);
    arenas_.emplace(data, std::move(arena));
}

void PageHeap::count(std::byte* data, size_t bytes, bool in_use) {
    const auto at = arena_of(data);
    Arena& arena = at->second;
    const auto offset = static_cast<size_t>(data - at->first);
    for (size_t unit = offset / arena.unit; unit * arena.unit < offset + bytes; ++unit) {
        const size_t begin = std::max(offset, unit * arena.unit);
        const size_t here = std::min(offset + bytes, (unit + 1) * arena.unit) - begin;
        arena.used[unit] += in_use ? here : 0 - here;
        if (arena.backed[unit] == 0) {
            arena.backed[unit] = 1;
            backed_bytes_ += arena.unit;
        }
    }
    used_bytes_ += in_use ? bytes : 0 - bytes;
}

// The highest addresses go first: of stretches of a size the lowest is taken.
void PageHeap::drop_beyond(size_t kept_max) {
    for (auto at = arenas_.begin(); at != arenas_.end() && kept() > kept_max; ++at) {
        Arena& arena = at->second;
        for (size_t unit = arena.used.size(); unit-- > 0 && kept() > kept_max;) {
            if (arena.backed[unit] != 0 && arena.used[unit] == 0) {
                madvise(at->first + unit * arena.unit, arena.unit, MADV_DONTNEED);
                arena.backed[unit] = 0;
                backed_bytes_ -= arena.unit;
            }
        }
    }
}

void PageHeap::set_limits(size_t held_max, size_t idle_max) {
    const std::lock_guard lock(mutex_);
    held_max_ = held_max;
    idle_max_ = idle_max;
    unit_ = held_max >= kHugeFromBytes ? kHugePageBytes : kSmallUnitBytes;
    drop_beyond(kept_max());
}

void PageHeap::trim() {
    const std::lock_guard lock(mutex_);
    drop_beyond(idle_max_);
}

size_t PageHeap::kept_bytes() const {
    const std::lock_guard lock(mutex_);
    return kept();
}

}  // namespace stepdb
