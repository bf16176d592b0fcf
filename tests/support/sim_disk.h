// SimDisk: what a machine has on its disk and in its page cache. It outlives the process: a test
// crashes the SimFileSystem and opens another one over the same disk.
//
// The model is never kinder than ext4 without barriers:
// - A file has durable bytes, and visible bytes that also hold what no sync has covered. A change
//   (a write or a growth) is remembered until a sync that began after it ended.
// - A directory has durable and visible names likewise. Syncing a new file does not save its name;
//   only syncing the directory does. A directory itself is durable once it is made.
// - A power cut decides for every change that was not synced, each for itself: kept, dropped, torn
//   (any subset of its 512-byte sectors; the rest as before, zeros where the file is grown), or
//   size without data. Every unsynced creation, rename and removal is kept or dropped by itself; a
//   rename or removal of a name that was not kept has no effect.
// - When the process alone is killed, everything that had ended stays visible, and stays unsynced:
//   a later power cut may still take it.
//
// A value: a copy is another disk with the same contents. Paths are plain "directory/name".
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/io/file_system.h"
#include "tests/support/sim_executor.h"

namespace stepdb {

enum class CrashKind : uint8_t {
    kPowerCut,     // everything unsynced is at risk
    kProcessKill,  // only what is in flight is at risk, for now
};

// A change of a file: bytes at an offset, and the size that the file has at least afterwards.
struct SimWrite {
    SimWrite() = default;  // no aggregate: see task.h
    uint64_t file = 0;
    uint64_t offset = 0;
    std::vector<std::byte> bytes;
    uint64_t size_min = 0;
    uint64_t sequence = 0;  // in order of completion, over the whole disk
};

// A change of the names in a directory.
struct SimNameChange {
    SimNameChange() = default;
    enum class Kind : uint8_t { kCreate, kRename, kRemove };
    Kind kind = Kind::kCreate;
    std::string directory;
    std::string name;
    std::string new_name;  // of a rename
    uint64_t file = 0;
    uint64_t sequence = 0;
};

// Bytes that copies share until one of them is changed: a test looks at thousands of disks that are
// nearly the same.
class SharedBytes {
  public:
    const std::vector<std::byte>& get() const { return *bytes_; }
    std::vector<std::byte>& edit() {
        if (bytes_.use_count() > 1) {
            bytes_ = std::make_shared<std::vector<std::byte>>(*bytes_);
        }
        return *bytes_;
    }

  private:
    std::shared_ptr<std::vector<std::byte>> bytes_ = std::make_shared<std::vector<std::byte>>();
};

class SimDisk {
  public:
    static constexpr size_t kSectorBytes = 512;

    // A disk with one empty directory for each of `directories`.
    explicit SimDisk(std::vector<std::string> directories = {});

    // Faults that last. A disabled site syncs nothing and reports success; a deferred one syncs
    // when the next sync of a directory begins, behind what was renamed meanwhile. Capacity counts
    // the visible sizes of the files that have a name.
    void disable_site(SyncSite site) { disabled_[static_cast<size_t>(site)] = true; }
    bool site_disabled(SyncSite site) const { return disabled_[static_cast<size_t>(site)]; }
    void defer_site(SyncSite site) { deferred_[static_cast<size_t>(site)] = true; }
    bool site_deferred(SyncSite site) const { return deferred_[static_cast<size_t>(site)]; }
    void set_capacity(uint64_t bytes) { capacity_ = bytes; }
    uint64_t used_bytes() const;
    // What there is no room for is lost, and reported as written.
    void hide_that_it_is_full() { hides_full_ = true; }
    bool hides_full() const { return hides_full_; }

    // For inspection. Paths are sorted; durable_* is what a power cut cannot take away.
    std::vector<std::string> files() const;
    std::vector<std::string> durable_files() const;
    std::optional<std::vector<std::byte>> contents(std::string_view path) const;
    std::optional<std::vector<std::byte>> durable_contents(std::string_view path) const;

    // Damages what is stored: inverts the bits of `mask` in one byte. False if there is no such
    // file or byte.
    bool flip_byte(std::string_view path, uint64_t offset, std::byte mask = std::byte{0xFF});

    // Replaces or makes a durable file, its directory included.
    void put_file(std::string_view path, Bytes contents);

    // ---- For SimFileSystem. ----

    bool has_directory(std::string_view directory) const;
    void make_directory(std::string_view directory);
    // As if it had never been there.
    void forget_directory(std::string_view directory);
    std::vector<std::string> names(std::string_view directory) const;
    std::optional<uint64_t> find(std::string_view path) const;
    uint64_t new_file();
    uint64_t file_size(uint64_t file) const;
    void read(uint64_t file, uint64_t offset, MutableBytes into) const;

    // True if the disk has room for the growth that `write` means.
    bool has_room(const SimWrite& write) const;
    void apply(SimWrite write);
    void apply(SimNameChange change);

    // The changes up to this one are those that had ended before now.
    uint64_t sequence() const { return sequence_; }
    void sync_file(uint64_t file, uint64_t up_to);
    void sync_directory(std::string_view directory, uint64_t up_to);

    // Makes what a crash would leave, in place, given what was in flight.
    void crash(CrashKind kind, const std::vector<SimWrite>& writes,
               const std::vector<SimNameChange>& names, Fate& fate);

    // Two disks with the same fingerprint look and behave alike from now on, whatever crashes come.
    uint64_t fingerprint() const;

    bool take_lock(const std::string& path);
    void release_lock(const std::string& path) { locks_.erase(path); }

  private:
    struct FileState {
        SharedBytes visible;
        SharedBytes durable;
        std::vector<SimWrite> unsynced;
    };
    using Names = std::map<std::string, uint64_t, std::less<>>;
    struct DirectoryState {
        Names visible;
        Names durable;
        std::vector<SimNameChange> unsynced;
    };

    FileState& file_state(uint64_t file);
    const FileState& file_state(uint64_t file) const;
    DirectoryState& directory_state(std::string_view directory);
    std::optional<uint64_t> find_durable(std::string_view path) const;
    void cut_power(Fate& fate);
    void forget_files_without_name();

    std::map<std::string, DirectoryState, std::less<>> directories_;
    std::map<uint64_t, FileState> files_;
    std::map<std::string, bool> locks_;
    std::array<bool, kSyncSiteCount> disabled_{};
    std::array<bool, kSyncSiteCount> deferred_{};
    uint64_t capacity_ = std::numeric_limits<uint64_t>::max();
    bool hides_full_ = false;
    uint64_t sequence_ = 0;
    uint64_t file_next_ = 1;
};

}  // namespace stepdb
