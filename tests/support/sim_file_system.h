// A FileSystem over a SimDisk: one life of a process between two crashes.
//
// How a crash test goes: run the engine over a SimFileSystem; call crash() (or let
// crash_at_operation() switch the power off in the middle and call crash() then);
// executor.run_until_idle(), in which every operation that was under way, and every later one, ends
// with kCancelled "the disk was powered off", so that all coroutines run to their end; destroy the
// engine, then the SimFileSystem; open a new one over the same SimDisk.
//
// Operations that change the disk (write, sync, allocate, create, rename, remove, make directory,
// sync of a directory; write_synced is two: a write and a sync) are numbered from 1 in the order in
// which they begin. Reads, lists, locks and opening of what exists are not counted. Effects happen
// on completion, in the order that the executor draws.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/file_system.h"
#include "tests/support/sim_disk.h"
#include "tests/support/sim_executor.h"

namespace stepdb {

class SimFileSystem final : public FileSystem {
  public:
    // Both must outlive it. One live SimFileSystem to a disk is one process; several are several.
    SimFileSystem(SimDisk& disk, SimExecutor& executor) : disk_(&disk), executor_(&executor) {}

    // Nothing may be under way any more, and files and locks must be gone.
    ~SimFileSystem() override;

    std::string_view backend() const override { return "simulated"; }
    Task<Result<std::unique_ptr<File>>> open(std::string path, OpenMode mode) override;
    Task<Result<std::vector<std::string>>> list(std::string directory) override;
    Task<Status> make_directory(std::string directory) override;
    Task<Status> rename(std::string from, std::string to) override;
    Task<Status> remove(std::string path) override;
    Task<Status> sync_directory(std::string directory, SyncSite site) override;
    Task<Result<std::unique_ptr<FileLock>>> lock(std::string path) override;

    // Operations begun so far while the power was on.
    uint64_t count_operations() const { return operations_; }

    // Syncs of this site that have ended well, disabled ones included.
    uint64_t count_syncs(SyncSite site) const { return syncs_[static_cast<size_t>(site)]; }

    // Switches the power off as the n-th operation begins: it and the ones before it that have not
    // ended are in flight at the cut. crash() then says what is left of them.
    void crash_at_operation(uint64_t n) { crash_at_ = n; }

    // Is called as each operation begins, before it is in flight, while the power is on: for those
    // who look at what a crash would leave between any two.
    void watch_operations(std::function<void(uint64_t operation)> on_begin) {
        on_begin_ = std::move(on_begin);
    }

    // The n-th operation ends with `error`. Half of a failed write is written; after a failed sync
    // later syncs of the same file report success and save nothing until the next life, as the
    // page cache may do after a failed fsync. Later ones of a directory fail, as FileSystem says.
    void fail_operation(uint64_t n, Error error) {
        failures_.insert_or_assign(n, std::move(error));
    }

    // Failures that have not come yet do not come.
    void forget_failures() { failures_.clear(); }
    // Which operations have failed because of that: "write store/log-000001".
    const std::vector<std::string>& failed_operations() const { return failed_; }

    // Ends this life and leaves in the disk what survives it. Once only.
    void crash(CrashKind kind, Fate& fate);

    // What crash() would leave at this moment, on a disk of its own; this life goes on.
    SimDisk after_crash(CrashKind kind, Fate& fate) const;

    bool powered_off() const { return powered_off_; }

  private:
    friend class SimFile;
    friend class SimFileLock;

    // Numbers an operation; 0 if the power is off already. What is in writes_ and names_ under its
    // number is in flight until its end takes it out, which it does only while the power is on.
    uint64_t begin();
    // The error that was ordered for this operation, or that the power is off.
    Status outcome(uint64_t operation, std::string_view what);

    Task<Status> write(std::string path, SimWrite change, Bytes source);
    Task<Status> sync(std::string path, uint64_t file, SyncSite site);
    Task<Status> change_name(std::string what, SimNameChange change);
    Task<Result<std::unique_ptr<File>>> create(std::string path);
    Status end_write(uint64_t operation, std::string_view path, Bytes source);

    SimDisk* disk_;
    SimExecutor* executor_;
    uint64_t operations_ = 0;
    uint64_t crash_at_ = std::numeric_limits<uint64_t>::max();
    std::function<void(uint64_t)> on_begin_;
    bool powered_off_ = false;
    bool crashed_ = false;
    uint64_t under_way_ = 0;
    uint64_t handles_ = 0;
    std::map<uint64_t, SimWrite> writes_;
    std::map<uint64_t, SimNameChange> names_;
    std::map<uint64_t, Error> failures_;
    std::vector<std::string> failed_;
    std::set<uint64_t> broken_files_;
    std::vector<std::pair<uint64_t, uint64_t>> deferred_;  // syncs still to be made: file, up to
    std::map<std::string, Error> broken_directories_;
    std::array<uint64_t, kSyncSiteCount> syncs_{};
};

}  // namespace stepdb
