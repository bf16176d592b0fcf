#include "engine/disk_reserve.h"

namespace stepdb {

DiskReserve::DiskReserve(FileSystem& files, const std::string& directory, uint64_t bytes)
    : files_(files), path_(directory + "/" + std::string(kReserveName)), bytes_(bytes) {}

Task<Status> DiskReserve::find() {
    uint64_t size = 0;
    {
        const Result<std::unique_ptr<File>> file = co_await files_.open(path_, OpenMode::kRead);
        if (!file && file.error().code() == ErrorCode::kNotFound) {
            co_return Status();
        }
        if (!file) {
            co_return file.error();
        }
        size = (*file)->size();
    }
    if (size == bytes_ && bytes_ != 0) {
        state_ = State::kHeld;
        co_return Status();
    }
    // A crash may have kept the name and not the room.
    co_return co_await files_.remove(path_);
}

// Nothing is synced: what a crash takes of it is found missing, and is made anew.
Task<Status> DiskReserve::take() {
    Status allocated;
    {
        Result<std::unique_ptr<File>> file = co_await files_.open(path_, OpenMode::kCreate);
        if (!file && file.error().code() == ErrorCode::kAlreadyExists) {
            // Of a try before, which could not remove it.
            const Status removed = co_await files_.remove(path_);
            if (!removed) {
                co_return removed;
            }
            file = co_await files_.open(path_, OpenMode::kCreate);
        }
        if (!file) {
            co_return file.error();
        }
        allocated = co_await (*file)->allocate(bytes_);
    }
    if (allocated) {
        state_ = State::kHeld;
        co_return Status();
    }
    const Status removed = co_await files_.remove(path_);
    co_return removed ? allocated : removed;
}

Task<Status> DiskReserve::give_up() {
    const Status removed = co_await files_.remove(path_);
    if (removed) {
        state_ = State::kGivenUp;
    }
    co_return removed;
}

}  // namespace stepdb
