#include "engine/base/large_buffer.h"

#include <new>

#include "engine/base/check.h"
#include "engine/base/page_heap.h"

namespace stepdb {

namespace {

// Smaller ones malloc reuses by itself.
constexpr size_t kPooledMin = 64U << 10U;

}  // namespace

LargeBuffer::LargeBuffer(size_t bytes) : size_(bytes), capacity_(bytes) {
    if (bytes < kPooledMin) {
        data_ = new std::byte[bytes];
        return;
    }
    capacity_ = round_up(bytes, kPageBytes);
    data_ = kUsePageHeap ? page_heap().take(capacity_)
                         : new (std::align_val_t{kPageBytes}) std::byte[capacity_];
}

LargeBuffer::~LargeBuffer() {
    if (capacity_ < kPooledMin) {
        delete[] data_;
    } else if (!kUsePageHeap) {
        ::operator delete[](data_, std::align_val_t{kPageBytes});
    } else {
        const bool was_taken = page_heap().give_back(data_);
        CHECK(was_taken, "a buffer of {} bytes is not of the page heap", capacity_);
    }
}

void LargeBuffer::set_limits(size_t held_max, size_t idle_max) {
    page_heap().set_limits(held_max, idle_max);
}

void LargeBuffer::trim() {
    page_heap().trim();
}

size_t LargeBuffer::kept_bytes() {
    return page_heap().kept_bytes();
}

}  // namespace stepdb
