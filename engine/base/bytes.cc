#include "engine/base/bytes.h"

#include <cstdlib>
#include <cstring>

#include "engine/base/check.h"

namespace stepdb {

AlignedBuffer::AlignedBuffer(size_t bytes) : bytes_(round_up(bytes, kPageBytes)) {
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, bytes_)));
    CHECK(memory_ != nullptr || bytes_ == 0, "out of memory for {} bytes", bytes_);
    std::memset(memory_.get(), 0, bytes_);
}

void AlignedBuffer::Free::operator()(std::byte* memory) const {
    std::free(memory);
}

}  // namespace stepdb
