// The FileSystem of a real machine, over a Loop that carries out its system calls: io_uring or
// pread/pwrite on worker threads, with the same code above them.
//
// Reads, writes, syncs, allocations and syncs of directories go through the loop. Opening, naming,
// listing and locking are plain system calls on the loop's thread: they are rare and touch cached
// metadata only.
//
// Direct I/O: each file has a buffered descriptor and, from its first use on, one with O_DIRECT,
// which serves what is aligned to kPageBytes in offset, length and memory. Where the kernel refuses
// it (tmpfs) the file goes on buffered. Mixing both is coherent on Linux as long as operations that
// overlap in range do not overlap in time: a direct write drops the cached pages of its range, a
// direct read writes back the dirty ones first. Syncs always use the buffered descriptor, which has
// been open the longest and so is told of every failed write-back.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/file_system.h"
#include "engine/io/loop.h"

namespace stepdb {

class HostFileSystem final : public FileSystem {
  public:
    // `loop` must outlive it, and it its files. `backend` is a literal.
    HostFileSystem(Loop& loop, std::string_view backend) : loop_(&loop), backend_(backend) {}

    std::string_view backend() const override { return backend_; }
    Task<Result<std::unique_ptr<File>>> open(std::string path, OpenMode mode) override;
    Task<Result<std::vector<std::string>>> list(std::string directory) override;
    Task<Status> make_directory(std::string directory) override;
    Task<Status> rename(std::string from, std::string to) override;
    Task<Status> remove(std::string path) override;
    Task<Status> sync_directory(std::string directory, SyncSite site) override;
    Task<Result<std::unique_ptr<FileLock>>> lock(std::string path) override;

  private:
    Task<Status> sync_directory_now(std::string directory);

    Loop* loop_;
    std::string_view backend_;
    std::map<std::string, Error, std::less<>> failed_directories_;  // whose sync has failed
};

}  // namespace stepdb
