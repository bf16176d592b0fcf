#include "engine/base/bytes.h"

#include <cstdlib>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/page_heap.h"

namespace stepdb {

namespace {

// From here on the kernel's handing out and pinning of pages is what costs.
constexpr size_t kFromHeapBytes = 64U << 10U;

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) : bytes_(round_up(bytes, kPageBytes)) {
    memory_.reset(kUsePageHeap && bytes_ >= kFromHeapBytes
                      ? page_heap().take(bytes_)
                      : static_cast<std::byte*>(std::aligned_alloc(kPageBytes, bytes_)));
    CHECK(memory_ != nullptr || bytes_ == 0, "out of memory for {} bytes", bytes_);
    std::memset(memory_.get(), 0, bytes_);
}

void AlignedBuffer::Free::operator()(std::byte* memory) const {
    if (!kUsePageHeap || !page_heap().give_back(memory)) {
        std::free(memory);
    }
}

}  // namespace stepdb
