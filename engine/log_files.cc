#include "engine/log_files.h"

#include <algorithm>

#include "engine/model/limits.h"

namespace stepdb {

LogFiles::LogFiles(FileSystem& files, std::string directory, Id128 store, Manifest& manifest,
                   uint64_t file_bytes)
    : files_(files),
      directory_(std::move(directory)),
      store_(store),
      manifest_(manifest),
      file_bytes_(file_bytes) {}

std::string LogFiles::path(uint64_t file_id) const {
    return directory_ + "/" + log_file_name(file_id);
}

void LogFiles::add_old(uint64_t file_id, uint64_t first_sequence, uint64_t bytes) {
    live_.push_back({file_id, first_sequence, bytes, nullptr});
}

// A recycled file's blocks have been written before, so that a synced write need not wait for the
// file system's journal (1.5 to 1.9 times the commits of a new file).
Task<Result<std::unique_ptr<File>>> LogFiles::create_or_recycle(uint64_t file_id,
                                                                bool& is_recycled) {
    is_recycled = !spare_.empty();
    if (is_recycled) {
        const uint64_t spare = spare_.back();
        spare_.pop_back();
        const Status renamed = co_await files_.rename(path(spare), path(file_id));
        if (!renamed) {
            co_return renamed.error();
        }
        co_return co_await files_.open(path(file_id), OpenMode::kReadWrite);
    }
    Result<std::unique_ptr<File>> file = co_await files_.open(path(file_id), OpenMode::kCreate);
    if (!file) {
        co_return file;
    }
    const Status allocated = co_await (*file)->allocate(file_bytes_);
    if (!allocated) {
        file->reset();
        // Without room for the whole file nothing of it is kept; the next try makes another.
        const Status removed = co_await files_.remove(path(file_id));
        static_cast<void>(removed);
        co_return allocated.error();
    }
    co_return file;
}

Task<Result<std::shared_ptr<LogFile>>> LogFiles::prepare() {
    const uint64_t file_id = manifest_.take_file_id();
    bool is_recycled = false;
    Result<std::unique_ptr<File>> file = co_await create_or_recycle(file_id, is_recycled);
    if (!file) {
        co_return file.error();
    }
    FileHeader header;
    header.store = store_;
    header.file_id = file_id;
    header.details[0] = epoch;
    header.details[1] = file_bytes_;
    header.details[2] = is_recycled ? 1 : 0;
    const std::vector<std::byte> page = encode_file_header(kLogKind, header);
    const Status written = co_await (*file)->write_synced(0, page, SyncSite::kLogHeader);
    if (!written) {
        co_return written.error();
    }
    const Status named = co_await files_.sync_directory(directory_, SyncSite::kLogDirectory);
    if (!named) {
        co_return named.error();
    }
    auto log_file = std::make_shared<LogFile>(file_id, std::move(*file));
    live_.push_back({file_id, 0, 0, log_file});
    co_return log_file;
}

Task<Result<std::shared_ptr<LogFile>>> LogFiles::prepare_and_register(uint64_t durable_sequence) {
    Result<std::shared_ptr<LogFile>> file = co_await prepare();
    if (!file) {
        co_return file;
    }
    ManifestEdit edit;
    const uint64_t file_id = (*file)->file_id;
    edit.add_logs[file_id] = epoch;
    edit.durable_sequence = durable_sequence;
    const Status registered = co_await manifest_.append(std::move(edit));
    if (!registered) {
        file->reset();
        live_.pop_back();
        if (registered.error().code() == ErrorCode::kResourceExhausted) {
            // Nothing names the file; another is made when there is room.
            const Status removed = co_await files_.remove(path(file_id));
            static_cast<void>(removed);
        }
        co_return registered.error();
    }
    co_return file;
}

void LogFiles::on_begun(uint64_t file_id, uint64_t first_sequence) {
    for (Live& live : live_) {
        if (live.file_id == file_id) {
            live.first_sequence = first_sequence;
        }
    }
}

void LogFiles::plan_release(uint64_t checkpoint, ManifestEdit& edit) const {
    // A file ends where the next one begins; the last one begun is in use.
    for (size_t i = 0; i + 1 < live_.size(); ++i) {
        const uint64_t next_first = live_[i + 1].first_sequence;
        if (next_first == 0 || next_first > checkpoint + 1) {
            break;
        }
        edit.remove_logs.push_back(live_[i].file_id);
        edit.log_sequence = next_first;
    }
}

Task<Status> LogFiles::release(const ManifestEdit& edit) {
    for (const uint64_t file_id : edit.remove_logs) {
        const auto at =
            std::ranges::find_if(live_, [&](const Live& live) { return live.file_id == file_id; });
        CHECK(at != live_.end(), "log file {}", file_id);
        // Old files of another size would change what a recycled file is.
        const bool recycle = at->file != nullptr && spare_.size() < kLogFilesSpareMax;
        live_.erase(at);
        if (recycle) {
            spare_.push_back(file_id);
            continue;
        }
        const Status removed = co_await files_.remove(path(file_id));
        if (!removed) {
            co_return removed;
        }
    }
    co_return Status();
}

Task<Status> LogFiles::remove_spare() {
    const uint64_t spare = spare_.back();
    spare_.pop_back();
    co_return co_await files_.remove(path(spare));
}

uint64_t LogFiles::live_bytes() const {
    uint64_t bytes = 0;
    for (const Live& live : live_) {
        bytes += live.file != nullptr ? live.file->end : live.bytes;
    }
    return bytes;
}

uint64_t LogFiles::oldest_sequence(uint64_t next_sequence) const {
    for (const Live& live : live_) {
        if (live.first_sequence != 0) {
            return live.first_sequence;
        }
    }
    return next_sequence;
}

}  // namespace stepdb
