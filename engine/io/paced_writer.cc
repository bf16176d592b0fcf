#include "engine/io/paced_writer.h"

#include <algorithm>
#include <cstring>

namespace stepdb {

Task<Status> PacedWriter::put(Bytes bytes) {
    while (!bytes.empty()) {
        const size_t part = std::min(bytes.size(), buffer_.size() - used_);
        std::memcpy(buffer_.data() + used_, bytes.data(), part);
        used_ += part;
        bytes = bytes.subspan(part);
        if (used_ == buffer_.size()) {
            const Status written = co_await write_out();
            if (!written) {
                co_return written;
            }
        }
    }
    co_return Status();
}

Task<Status> PacedWriter::put_zeros(uint64_t bytes) {
    static constexpr std::byte kZeros[kPageBytes]{};
    while (bytes > 0) {
        const Bytes part = Bytes(kZeros).first(std::min<uint64_t>(bytes, kPageBytes));
        const Status put_part = co_await put(part);
        if (!put_part) {
            co_return put_part;
        }
        bytes -= part.size();
    }
    co_return Status();
}

Task<Status> PacedWriter::write_out() {
    if (used_ == 0) {
        co_return Status();
    }
    const Status may_write = co_await pace_.next(used_);
    if (!may_write) {
        co_return may_write;
    }
    const Bytes piece = buffer_.span().first(used_);
    const Status written = co_await file_.write(written_, piece);
    if (!written) {
        co_return written;
    }
    written_ += used_;
    used_ = 0;
    co_return Status();
}

}  // namespace stepdb
