#include "tests/support/sim_file_system.h"

#include <algorithm>
#include <utility>

namespace stepdb {

namespace {

Error powered_off_error(std::string_view what) {
    return make_error(ErrorCode::kCancelled, "{}: the disk was powered off", what);
}

Error not_found(std::string_view what) {
    return make_error(ErrorCode::kNotFound, "{}: No such file or directory", what);
}

// One operation under way, for the check that none is left when the file system goes.
class UnderWay {
  public:
    explicit UnderWay(uint64_t& count) : count_(&count) { ++*count_; }
    ~UnderWay() { --*count_; }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;

  private:
    uint64_t* count_;
};

}  // namespace

class SimFile final : public File {
  public:
    SimFile(SimFileSystem& owner, std::string path, uint64_t file, OpenMode mode)
        : owner_(&owner),
          path_(std::move(path)),
          file_(file),
          mode_(mode),
          handle_(owner.handles_) {}

    Task<Status> read(uint64_t offset, MutableBytes into) override {
        const UnderWay under_way(owner_->under_way_);
        co_await owner_->executor_->completion();
        if (owner_->powered_off_) {
            co_return powered_off_error("read " + path_);
        }
        const uint64_t size = owner_->disk_->file_size(file_);
        if (offset > size || into.size() > size - offset) {
            co_return make_error(ErrorCode::kIoError,
                                 "read {}: short read of {} bytes at {}, the file has {}", path_,
                                 into.size(), offset, size);
        }
        owner_->disk_->read(file_, offset, into);
        co_return Status();
    }

    Task<Status> write(uint64_t offset, Bytes from) override {
        if (mode_ == OpenMode::kRead) {
            return refuse();
        }
        return owner_->write(path_, change_of(offset, from), from);
    }

    Task<Status> sync(SyncSite site) override { return owner_->sync(path_, file_, site); }

    Task<Status> write_synced(uint64_t offset, Bytes from, SyncSite site) override {
        Status written = co_await write(offset, from);
        if (!written.has_value()) {
            co_return written;
        }
        co_return co_await owner_->sync(path_, file_, site);
    }

    Task<Status> allocate(uint64_t bytes) override {
        if (mode_ == OpenMode::kRead) {
            return refuse();
        }
        SimWrite change;
        change.file = file_;
        change.size_min = bytes;
        return owner_->write(path_, std::move(change), {});
    }

    uint64_t size() const override { return owner_->disk_->file_size(file_); }

  private:
    Task<Status> refuse() {
        co_return make_error(ErrorCode::kIoError, "write {}: Bad file descriptor", path_);
    }

    SimWrite change_of(uint64_t offset, Bytes from) const {
        SimWrite change;
        change.file = file_;
        change.offset = offset;
        change.bytes.assign(from.begin(), from.end());
        return change;
    }

    SimFileSystem* owner_;
    std::string path_;
    uint64_t file_;
    OpenMode mode_;
    UnderWay handle_;
};

class SimFileLock final : public FileLock {
  public:
    SimFileLock(SimFileSystem& owner, std::string path)
        : owner_(&owner), path_(std::move(path)), handle_(owner.handles_) {}
    ~SimFileLock() override {
        if (!owner_->crashed_) {
            owner_->disk_->release_lock(path_);
        }
    }

  private:
    SimFileSystem* owner_;
    std::string path_;
    UnderWay handle_;
};

SimFileSystem::~SimFileSystem() {
    CHECK(under_way_ == 0, "{} operations are under way", under_way_);
    CHECK(handles_ == 0, "{} files or locks are left", handles_);
}

uint64_t SimFileSystem::begin() {
    if (powered_off_) {
        return 0;
    }
    ++operations_;
    if (on_begin_) {
        on_begin_(operations_);
    }
    powered_off_ = operations_ >= crash_at_;
    return operations_;
}

Status SimFileSystem::outcome(uint64_t operation, std::string_view what) {
    if (powered_off_) {
        return powered_off_error(what);
    }
    const auto failure = failures_.find(operation);
    if (failure == failures_.end()) {
        return {};
    }
    failed_.emplace_back(what);
    return failure->second.within(what);
}

Task<Status> SimFileSystem::write(std::string path, SimWrite change, Bytes source) {
    const UnderWay under_way(under_way_);
    const uint64_t operation = begin();
    if (operation != 0) {
        writes_.emplace(operation, std::move(change));
    }
    co_await executor_->completion();
    co_return end_write(operation, path, source);
}

Status SimFileSystem::end_write(uint64_t operation, std::string_view path, Bytes source) {
    Status status = outcome(operation, fmt::format("write {}", path));
    if (powered_off_) {
        return status;
    }
    SimWrite change = std::move(writes_.extract(operation).mapped());
    CHECK(std::ranges::equal(change.bytes, source), "{}: memory changed under a write", path);
    if (status.has_value() && !disk_->has_room(change)) {
        if (disk_->hides_full()) {
            return status;
        }
        return make_error(ErrorCode::kResourceExhausted, "write {}: No space left on device", path);
    }
    if (!status.has_value()) {
        change.bytes.resize(change.bytes.size() / 2 / SimDisk::kSectorBytes *
                            SimDisk::kSectorBytes);
        change.size_min = 0;
        if (change.bytes.empty() || !disk_->has_room(change)) {
            return status;
        }
    }
    disk_->apply(std::move(change));
    return status;
}

Task<Status> SimFileSystem::sync(std::string path, uint64_t file, SyncSite site) {
    const UnderWay under_way(under_way_);
    const uint64_t operation = begin();
    const uint64_t covered = disk_->sequence();
    co_await executor_->completion();
    Status status = outcome(operation, fmt::format("sync {}", path));
    if (powered_off_) {
        co_return status;
    }
    if (!status.has_value()) {
        broken_files_.insert(file);
        co_return status;
    }
    ++syncs_[static_cast<size_t>(site)];
    if (disk_->site_deferred(site)) {
        deferred_.emplace_back(file, covered);
    } else if (!disk_->site_disabled(site) && !broken_files_.contains(file)) {
        disk_->sync_file(file, covered);
    }
    co_return status;
}

Task<Status> SimFileSystem::sync_directory(std::string directory, SyncSite site) {
    const UnderWay under_way(under_way_);
    const uint64_t operation = begin();
    for (const auto& [file, up_to] : std::exchange(deferred_, {})) {
        disk_->sync_file(file, up_to);
    }
    const uint64_t covered = disk_->sequence();
    co_await executor_->completion();
    Status status = outcome(operation, fmt::format("sync directory {}", directory));
    if (powered_off_) {
        co_return status;
    }
    if (!disk_->has_directory(directory)) {
        co_return not_found("sync directory " + directory);
    }
    if (!status.has_value()) {
        broken_directories_.insert_or_assign(directory, status.error());
        co_return status;
    }
    if (const auto broken = broken_directories_.find(directory);
        broken != broken_directories_.end()) {
        co_return broken->second;
    }
    ++syncs_[static_cast<size_t>(site)];
    if (!disk_->site_disabled(site)) {
        disk_->sync_directory(directory, covered);
    }
    co_return status;
}

Task<Status> SimFileSystem::change_name(std::string what, SimNameChange change) {
    const UnderWay under_way(under_way_);
    const uint64_t operation = begin();
    if (operation != 0) {
        names_.emplace(operation, std::move(change));
    }
    co_await executor_->completion();
    Status status = outcome(operation, what);
    if (!powered_off_) {
        auto ended = names_.extract(operation);
        if (status.has_value()) {
            disk_->apply(std::move(ended.mapped()));
        }
    }
    co_return status;
}

Task<Result<std::unique_ptr<File>>> SimFileSystem::create(std::string path) {
    if (!disk_->has_directory(directory_of(path))) {
        co_return not_found("create " + path);
    }
    if (disk_->find(path).has_value()) {
        co_return make_error(ErrorCode::kAlreadyExists, "create {}: File exists", path);
    }
    SimNameChange change;
    change.kind = SimNameChange::Kind::kCreate;
    change.directory = directory_of(path);
    change.name = name_of(path);
    change.file = disk_->new_file();
    const uint64_t file = change.file;
    Status status = co_await change_name("create " + path, std::move(change));
    if (!status.has_value()) {
        co_return std::move(status).error();
    }
    co_return std::make_unique<SimFile>(*this, std::move(path), file, OpenMode::kCreate);
}

Task<Result<std::unique_ptr<File>>> SimFileSystem::open(std::string path, OpenMode mode) {
    const UnderWay under_way(under_way_);
    co_await executor_->completion();
    if (powered_off_) {
        co_return powered_off_error("open " + path);
    }
    if (mode == OpenMode::kCreate) {
        co_return co_await create(std::move(path));
    }
    const std::optional<uint64_t> file = disk_->find(path);
    if (!file.has_value()) {
        co_return not_found("open " + path);
    }
    co_return std::make_unique<SimFile>(*this, std::move(path), *file, mode);
}

Task<Result<std::vector<std::string>>> SimFileSystem::list(std::string directory) {
    const UnderWay under_way(under_way_);
    co_await executor_->completion();
    if (powered_off_) {
        co_return powered_off_error("list " + directory);
    }
    if (!disk_->has_directory(directory)) {
        co_return not_found("list " + directory);
    }
    co_return disk_->names(directory);
}

Task<Status> SimFileSystem::make_directory(std::string directory) {
    const UnderWay under_way(under_way_);
    const uint64_t operation = begin();
    co_await executor_->completion();
    Status status = outcome(operation, fmt::format("make directory {}", directory));
    if (!status.has_value()) {
        co_return status;
    }
    for (size_t slash = directory.find('/', 1); slash != std::string::npos;
         slash = directory.find('/', slash + 1)) {
        disk_->make_directory(std::string_view(directory).substr(0, slash));
    }
    disk_->make_directory(directory);
    co_return status;
}

Task<Status> SimFileSystem::rename(std::string from, std::string to) {
    const UnderWay under_way(under_way_);
    const std::string what = fmt::format("rename {} to {}", from, to);
    const std::optional<uint64_t> file = disk_->find(from);
    if (powered_off_) {
        co_await executor_->completion();
        co_return powered_off_error(what);
    }
    if (directory_of(from) != directory_of(to)) {
        co_return make_error(ErrorCode::kInvalidArgument,
                             "{}: rename works within one directory only", what);
    }
    if (!file.has_value()) {
        co_return not_found(what);
    }
    SimNameChange change;
    change.kind = SimNameChange::Kind::kRename;
    change.directory = directory_of(from);
    change.name = name_of(from);
    change.new_name = name_of(to);
    change.file = *file;
    co_return co_await change_name(what, std::move(change));
}

Task<Status> SimFileSystem::remove(std::string path) {
    const UnderWay under_way(under_way_);
    const std::optional<uint64_t> file = disk_->find(path);
    if (powered_off_) {
        co_await executor_->completion();
        co_return powered_off_error("remove " + path);
    }
    if (!file.has_value()) {
        co_return not_found("remove " + path);
    }
    SimNameChange change;
    change.kind = SimNameChange::Kind::kRemove;
    change.directory = directory_of(path);
    change.name = name_of(path);
    change.file = *file;
    co_return co_await change_name("remove " + path, std::move(change));
}

Task<Result<std::unique_ptr<FileLock>>> SimFileSystem::lock(std::string path) {
    const UnderWay under_way(under_way_);
    co_await executor_->completion();
    if (powered_off_) {
        co_return powered_off_error("lock " + path);
    }
    if (!disk_->has_directory(directory_of(path))) {
        co_return not_found("lock " + path);
    }
    if (!disk_->take_lock(path)) {
        co_return make_error(ErrorCode::kFailedPrecondition,
                             "lock {}: another process holds it; stop that process first", path);
    }
    if (!disk_->find(path).has_value()) {
        disk_->put_file(path, {});
    }
    co_return std::make_unique<SimFileLock>(*this, std::move(path));
}

SimDisk SimFileSystem::after_crash(CrashKind kind, Fate& fate) const {
    std::vector<SimWrite> writes;
    for (const auto& [operation, write] : writes_) {
        writes.push_back(write);
    }
    std::vector<SimNameChange> names;
    for (const auto& [operation, change] : names_) {
        names.push_back(change);
    }
    SimDisk left = *disk_;
    left.crash(kind, writes, names, fate);
    return left;
}

void SimFileSystem::crash(CrashKind kind, Fate& fate) {
    CHECK(!crashed_, "a file system crashes once");
    *disk_ = after_crash(kind, fate);
    powered_off_ = true;
    crashed_ = true;
}

}  // namespace stepdb
