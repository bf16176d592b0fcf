#include "engine/base/large_buffer.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <list>
#include <map>
#include <mutex>
#include <new>

#include "engine/base/check.h"

namespace stepdb {

namespace {

// Smaller ones malloc reuses by itself.
constexpr size_t kPooledMin = 64U << 10U;
constexpr size_t kSmallPage = 4096;
constexpr size_t kHugePage = 2U << 20U;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kKeptMaxDefault = 0;  // what is given back must not be used again unnoticed
#else
constexpr size_t kKeptMaxDefault = 32U << 20U;
#endif

std::byte* allocate(size_t bytes) {
    const size_t alignment = bytes >= kHugePage ? kHugePage : kSmallPage;
    void* memory = nullptr;
    // Not aligned_alloc, which wants a multiple of the alignment.
    if (posix_memalign(&memory, alignment, bytes) != 0) {
        throw std::bad_alloc();
    }
    if (bytes >= kHugePage) {
        // Where there are none, small pages do as well.
        static_cast<void>(madvise(memory, bytes, MADV_HUGEPAGE));
    } else {
        // All at once, where the kernel can: a page that is touched first costs an interrupt each.
        static_cast<void>(madvise(memory, bytes / kSmallPage * kSmallPage, MADV_POPULATE_WRITE));
    }
    return static_cast<std::byte*>(memory);
}

// Sizes in steps of at most an eighth, so that a buffer serves others of about its size.
size_t pooled_size(size_t bytes) {
    const size_t step = std::bit_floor(bytes) / 8;
    return (bytes + step - 1) / step * step;
}

// Buffers given back, the oldest of which goes when there are too many.
class Pool {
  public:
    std::byte* take(size_t size) {
        const std::lock_guard lock(mutex_);
        // The newest of its size, which may still be in a cache.
        auto at = by_size_.upper_bound(size);
        if (at == by_size_.begin() || (--at)->first != size) {
            return nullptr;
        }
        std::byte* data = at->second->data;
        kept_bytes_ -= size;
        by_age_.erase(at->second);
        by_size_.erase(at);
        return data;
    }

    void give_back(std::byte* data, size_t size) {
        const std::lock_guard lock(mutex_);
        if (size > kept_max_) {
            std::free(data);  // NOLINT(cppcoreguidelines-no-malloc): of posix_memalign
            return;
        }
        by_age_.push_back({data, size});
        by_size_.emplace(size, std::prev(by_age_.end()));
        kept_bytes_ += size;
        drop_beyond_max();
    }

    void set_kept_max(size_t bytes) {
        const std::lock_guard lock(mutex_);
        kept_max_ = bytes;
        drop_beyond_max();
    }

    size_t kept_bytes() {
        const std::lock_guard lock(mutex_);
        return kept_bytes_;
    }

  private:
    struct Kept {
        std::byte* data;
        size_t size;
    };

    void drop_beyond_max() {
        while (kept_bytes_ > kept_max_) {
            const auto oldest = by_age_.begin();
            auto at = by_size_.find(oldest->size);
            while (at->second != oldest) {
                ++at;
            }
            kept_bytes_ -= oldest->size;
            std::free(oldest->data);  // NOLINT(cppcoreguidelines-no-malloc): of posix_memalign
            by_size_.erase(at);
            by_age_.erase(oldest);
        }
    }

    std::mutex mutex_;
    std::list<Kept> by_age_;
    std::multimap<size_t, std::list<Kept>::iterator> by_size_;
    size_t kept_bytes_ = 0;
    size_t kept_max_ = kKeptMaxDefault;
};

// Never destroyed: buffers may be given back while the process ends.
Pool& pool() {
    static auto* const shared = new Pool();
    return *shared;
}

}  // namespace

LargeBuffer::LargeBuffer(size_t bytes) : size_(bytes), capacity_(bytes) {
    if (bytes < kPooledMin) {
        data_ = new std::byte[bytes];
        return;
    }
    capacity_ = pooled_size(bytes);
    data_ = pool().take(capacity_);
    if (data_ == nullptr) {
        data_ = allocate(capacity_);
    }
}

LargeBuffer::~LargeBuffer() {
    if (capacity_ < kPooledMin) {
        delete[] data_;
    } else {
        pool().give_back(data_, capacity_);
    }
}

void LargeBuffer::set_kept_max(size_t bytes) {
    pool().set_kept_max(bytes);
}

size_t LargeBuffer::kept_bytes() {
    return pool().kept_bytes();
}

}  // namespace stepdb
