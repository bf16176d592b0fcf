#include "engine/io/host_file_system.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/io/descriptor.h"
#include "engine/io/host_error.h"
#include "engine/io/host_file.h"

namespace stepdb {

namespace {

class HostFileLock final : public FileLock {
  public:
    explicit HostFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

  private:
    Descriptor descriptor_;
};

// The directories named by the prefixes of a path, outermost first.
std::vector<std::string> prefixes_of(const std::string& directory) {
    std::vector<std::string> prefixes;
    for (size_t slash = directory.find('/', 1); slash != std::string::npos;
         slash = directory.find('/', slash + 1)) {
        prefixes.push_back(directory.substr(0, slash));
    }
    prefixes.push_back(directory);
    return prefixes;
}

bool is_directory(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

Task<Result<std::unique_ptr<File>>> HostFileSystem::open(std::string path, OpenMode mode) {
    co_return HostFile::open(*loop_, std::move(path), mode);
}

Task<Result<std::vector<std::string>>> HostFileSystem::list(std::string directory) {
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator entry(directory, error);
    while (!error && entry != std::filesystem::directory_iterator()) {
        names.push_back(entry->path().filename().string());
        entry.increment(error);
    }
    if (error) {
        co_return host_error("list " + directory, error.value());
    }
    std::sort(names.begin(), names.end());
    co_return names;
}

Task<Status> HostFileSystem::make_directory(std::string directory) {
    constexpr mode_t kDirectoryMode = 0755;
    for (const std::string& prefix : prefixes_of(directory)) {
        if (::mkdir(prefix.c_str(), kDirectoryMode) != 0) {
            const int error = errno;
            if (is_directory(prefix)) {
                continue;
            }
            co_return host_error("make directory " + prefix, error);
        }
        Status synced = co_await sync_directory_now(std::string(directory_of(prefix)));
        if (!synced.has_value()) {
            co_return synced;
        }
    }
    co_return Status();
}

Task<Status> HostFileSystem::rename(std::string from, std::string to) {
    const std::string what = fmt::format("rename {} to {}", from, to);
    if (directory_of(from) != directory_of(to)) {
        co_return make_error(ErrorCode::kInvalidArgument,
                             "{}: rename works within one directory only", what);
    }
    if (::rename(from.c_str(), to.c_str()) != 0) {
        co_return host_error(what, errno);
    }
    co_return Status();
}

Task<Status> HostFileSystem::remove(std::string path) {
    if (::unlink(path.c_str()) != 0) {
        co_return host_error("remove " + path, errno);
    }
    co_return Status();
}

Task<Status> HostFileSystem::sync_directory(std::string directory, SyncSite /*site*/) {
    return sync_directory_now(std::move(directory));
}

Task<Status> HostFileSystem::sync_directory_now(std::string directory) {
    Result<Descriptor> opened =
        Descriptor::open("sync directory", directory, O_RDONLY | O_DIRECTORY);
    if (!opened.has_value()) {
        co_return std::move(opened).error();
    }
    IoRequest request;
    request.kind = IoRequest::Kind::kSync;
    request.descriptor = opened->number();
    do {
        co_await IoCall(*loop_, request);
    } while (request.result == -EINTR || request.result == -EAGAIN);
    if (request.result < 0) {
        const Error why =
            host_error("sync directory " + directory, static_cast<int>(-request.result));
        failed_directories_.insert_or_assign(directory, why);
        co_return why;
    }
    // One that failed while this one was under way counts for both.
    const auto failed = failed_directories_.find(directory);
    co_return failed == failed_directories_.end() ? Status() : Status(failed->second);
}

Task<Result<std::unique_ptr<FileLock>>> HostFileSystem::lock(std::string path) {
    Result<Descriptor> opened = Descriptor::open("lock", path, O_RDWR | O_CREAT);
    if (!opened.has_value()) {
        // Where nothing can be written a lock can still be held, on a file that is there.
        const Error why = opened.error();
        opened = Descriptor::open("lock", path, O_RDONLY);
        if (!opened.has_value()) {
            co_return why;
        }
    }
    int failed = 0;
    do {
        failed = ::flock(opened->number(), LOCK_EX | LOCK_NB);
    } while (failed != 0 && errno == EINTR);
    if (failed != 0) {
        if (errno == EWOULDBLOCK) {
            co_return make_error(ErrorCode::kFailedPrecondition,
                                 "lock {}: another process holds it; stop that process first",
                                 path);
        }
        co_return host_error("lock " + path, errno);
    }
    std::unique_ptr<FileLock> lock = std::make_unique<HostFileLock>(std::move(*opened));
    co_return lock;
}

}  // namespace stepdb
