// An open file of a HostFileSystem.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/io/descriptor.h"
#include "engine/io/file_system.h"
#include "engine/io/loop.h"

namespace stepdb {

class HostFile final : public File {
  public:
    static Result<std::unique_ptr<File>> open(Loop& loop, std::string path, OpenMode mode);

    HostFile(Loop& loop, std::string path, OpenMode mode, Descriptor buffered, uint64_t size);

    Task<Status> read(uint64_t offset, MutableBytes into) override;
    Task<Status> write(uint64_t offset, Bytes from) override;
    Task<Status> sync(SyncSite site) override;
    Task<Status> write_synced(uint64_t offset, Bytes from, SyncSite site) override;
    Task<Status> allocate(uint64_t bytes) override;
    uint64_t size() const override { return size_; }

  private:
    // The direct descriptor if this transfer may use it, else the buffered one.
    int descriptor_for(uint64_t offset, const void* memory, uint64_t length);
    // True if the transfer must be tried again: interrupted, or direct I/O was refused and is off
    // from now on.
    bool try_again(const IoRequest& request);
    Error failed(std::string_view verb, int64_t result) const;

    Loop* loop_;
    std::string path_;
    OpenMode mode_;
    Descriptor buffered_;
    Descriptor direct_;
    bool direct_refused_ = false;
    uint64_t size_;
};

}  // namespace stepdb
