#include "engine/io/host_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/io/host_error.h"

namespace stepdb {

namespace {

int flags_of(OpenMode mode) {
    switch (mode) {
        case OpenMode::kRead:
            return O_RDONLY;
        case OpenMode::kReadWrite:
            return O_RDWR;
        case OpenMode::kCreate:
            return O_RDWR | O_CREAT | O_EXCL;
    }
    return O_RDONLY;
}

bool is_interruption(int64_t result) {
    return result == -EINTR || result == -EAGAIN;
}

}  // namespace

Result<std::unique_ptr<File>> HostFile::open(Loop& loop, std::string path, OpenMode mode) {
    const std::string_view verb = mode == OpenMode::kCreate ? "create" : "open";
    TRY_ASSIGN(Descriptor descriptor, Descriptor::open(verb, path, flags_of(mode)));
    struct stat status {};
    if (::fstat(descriptor.number(), &status) != 0) {
        return host_error(fmt::format("{} {}", verb, path), errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return make_error(ErrorCode::kIoError, "{} {}: not a regular file", verb, path);
    }
    const auto size = static_cast<uint64_t>(status.st_size);
    return std::unique_ptr<File>(
        new HostFile(loop, std::move(path), mode, std::move(descriptor), size));
}

HostFile::HostFile(Loop& loop, std::string path, OpenMode mode, Descriptor buffered, uint64_t size)
    : loop_(&loop),
      path_(std::move(path)),
      mode_(mode),
      buffered_(std::move(buffered)),
      size_(size) {}

int HostFile::descriptor_for(uint64_t offset, const void* memory, uint64_t length) {
    const uint64_t together = offset | length | reinterpret_cast<uintptr_t>(memory);
    if (together % kPageBytes != 0 || direct_refused_) {
        return buffered_.number();
    }
    if (!direct_.is_open()) {
        // By descriptor, not by path: the file may have been renamed since.
        const int flags = mode_ == OpenMode::kRead ? O_RDONLY : O_RDWR;
        Result<Descriptor> opened = Descriptor::open(
            "open", fmt::format("/proc/self/fd/{}", buffered_.number()), flags | O_DIRECT);
        if (!opened.has_value()) {
            direct_refused_ = true;
            return buffered_.number();
        }
        direct_ = std::move(*opened);
    }
    return direct_.number();
}

bool HostFile::try_again(const IoRequest& request) {
    if (is_interruption(request.result)) {
        return true;
    }
    if (request.result == -EINVAL && request.descriptor == direct_.number() && !direct_refused_) {
        direct_refused_ = true;
        return true;
    }
    return false;
}

Error HostFile::failed(std::string_view verb, int64_t result) const {
    return host_error(fmt::format("{} {}", verb, path_), static_cast<int>(-result));
}

Task<Status> HostFile::read(uint64_t offset, MutableBytes into) {
    while (!into.empty()) {
        IoRequest request;
        request.kind = IoRequest::Kind::kRead;
        request.offset = offset;
        request.into = into.first(std::min<uint64_t>(into.size(), Loop::kTransferBytesMax));
        request.descriptor = descriptor_for(offset, into.data(), request.into.size());
        co_await IoCall(*loop_, request);
        if (try_again(request)) {
            continue;
        }
        if (request.result < 0) {
            co_return failed("read", request.result);
        }
        if (request.result == 0) {
            co_return make_error(ErrorCode::kIoError,
                                 "read {}: short read, {} bytes are missing at {}", path_,
                                 into.size(), offset);
        }
        offset += static_cast<uint64_t>(request.result);
        into = into.subspan(static_cast<size_t>(request.result));
    }
    co_return Status();
}

Task<Status> HostFile::write(uint64_t offset, Bytes from) {
    while (!from.empty()) {
        IoRequest request;
        request.kind = IoRequest::Kind::kWrite;
        request.offset = offset;
        request.from = from.first(std::min<uint64_t>(from.size(), Loop::kTransferBytesMax));
        request.descriptor = descriptor_for(offset, from.data(), request.from.size());
        co_await IoCall(*loop_, request);
        if (try_again(request)) {
            continue;
        }
        if (request.result <= 0) {
            co_return failed("write", request.result == 0 ? -EIO : request.result);
        }
        offset += static_cast<uint64_t>(request.result);
        from = from.subspan(static_cast<size_t>(request.result));
        size_ = std::max(size_, offset);
    }
    co_return Status();
}

Task<Status> HostFile::write_synced(uint64_t offset, Bytes from, SyncSite site) {
    // Parts too long for one transfer, and the rest after a short write, are written by themselves;
    // the sync is linked to the last part alone, for it covers what ended before it.
    const uint64_t last_bytes = std::min<uint64_t>(from.size(), Loop::kTransferBytesMax);
    const Bytes head = from.first(from.size() - last_bytes);
    Status written = co_await write(offset, head);
    if (!written.has_value()) {
        co_return written;
    }
    offset += head.size();
    from = from.last(last_bytes);
    while (!from.empty()) {
        IoRequest request;
        request.kind = IoRequest::Kind::kWrite;
        request.then_sync = true;
        request.offset = offset;
        request.from = from;
        request.descriptor = descriptor_for(offset, from.data(), from.size());
        request.sync_descriptor = buffered_.number();
        co_await IoCall(*loop_, request);
        if (try_again(request)) {
            continue;
        }
        if (request.result <= 0) {
            co_return failed("write", request.result == 0 ? -EIO : request.result);
        }
        offset += static_cast<uint64_t>(request.result);
        from = from.subspan(static_cast<size_t>(request.result));
        size_ = std::max(size_, offset);
        if (!from.empty()) {
            continue;  // a short write breaks the link: the rest brings its own sync
        }
        if (request.sync_result == 0) {
            co_return Status();
        }
        if (request.sync_result != -ECANCELED && !is_interruption(request.sync_result)) {
            co_return failed("sync", request.sync_result);
        }
    }
    co_return co_await sync(site);
}

Task<Status> HostFile::sync(SyncSite /*site*/) {
    IoRequest request;
    request.kind = IoRequest::Kind::kDataSync;
    request.descriptor = buffered_.number();
    do {
        co_await IoCall(*loop_, request);
    } while (is_interruption(request.result));
    if (request.result < 0) {
        co_return failed("sync", request.result);
    }
    co_return Status();
}

Task<Status> HostFile::allocate(uint64_t bytes) {
    if (bytes == 0) {
        co_return Status();
    }
    IoRequest request;
    request.kind = IoRequest::Kind::kAllocate;
    request.descriptor = buffered_.number();
    request.length = bytes;
    do {
        co_await IoCall(*loop_, request);
    } while (is_interruption(request.result));
    if (request.result == -EOPNOTSUPP) {
        // The file system cannot reserve; at least the size is as promised.
        if (bytes <= size_) {
            co_return Status();
        }
        request.result =
            ::ftruncate(buffered_.number(), static_cast<off_t>(bytes)) == 0 ? 0 : -errno;
    }
    if (request.result < 0) {
        co_return failed("allocate", request.result);
    }
    size_ = std::max(size_, bytes);
    co_return Status();
}

}  // namespace stepdb
