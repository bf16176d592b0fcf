// The store's whole view of a disk: an asynchronous interface with three implementations:
// HostFileSystem over liburing (uring_loop) or over pread/pwrite on worker threads (posix_loop, the
// fallback), and a simulated disk for tests (tests/support/sim_file_system) that loses, tears and
// reorders whatever was not synced. Nothing else in the engine may touch a file.
//
// Threads: every call is made on, and every Task resumes on, the executor that the file system was
// made with. Operations on one file may overlap; the caller keeps the memory of a read or write
// alive until it is done. Paths are plain names inside one directory tree, given by the caller.
//
// Errors: kNotFound, kAlreadyExists, kResourceExhausted (no space), kIoError; each names the path,
// the operation and the errno text. A Task never ends with a short read or write: that is an error
// too. A Task that waits for the disk must not be destroyed before it has ended.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/base/task.h"

namespace stepdb {

// Why a sync is made. The crash tests switch off one site at a time and must then find a loss, so
// every site here is needed and every sync in the engine has its own.
enum class SyncSite : uint8_t {
    kLogGroup,            // a group of records, before it is acknowledged
    kLogHeader,           // a log file's header, before the manifest names the file
    kLogDirectory,        // a log file's name, before the manifest names the file
    kLogReplayed,         // replayed records, before readers see what a power cut could take back
    kSegmentData,         // a segment, before the manifest names it
    kCatalogData,         // a catalog checkpoint, before the manifest names it
    kFlushDirectory,      // the names of both, likewise
    kCompactedData,       // a merged segment, before the manifest names it
    kCompactedDirectory,  // its name, likewise
    kManifestEdit,        // an appended edit, before what it releases is reused
    kManifestData,        // a new manifest, before CURRENT names it
    kManifestDirectory,   // its name, likewise
    kCurrentData,         // CURRENT's new contents, before the rename
    kCurrentDirectory,    // the rename, before the store acknowledges anything
    // Of backups, with the four before; engine/backup_crash_test.cc leaves these out one by one.
    kBackupMark,           // what says whose backups a directory takes, before it has its name
    kBackupMarkDirectory,  // that name, before anything else lies there
    kBackupData,           // a copied file, before it has its name
};
inline constexpr size_t kSyncSiteCount = 17;
// Of a store by itself, without backups: the first so many.
inline constexpr size_t kStoreSyncSiteCount = 14;

std::string_view sync_site_name(SyncSite site);

enum class OpenMode : uint8_t {
    kRead,       // must exist
    kReadWrite,  // must exist
    kCreate,     // must not exist; opened for reading and writing
};

// "a/b/c" is name "c" in directory "a/b"; without a slash the directory is ".", and that of "/c" is
// "/".
std::string_view directory_of(std::string_view path);
std::string_view name_of(std::string_view path);

class File {
  public:
    virtual ~File() = default;

    // Fills all of `into`; reading past the end is kIoError ("short read").
    virtual Task<Status> read(uint64_t offset, MutableBytes into) = 0;

    // Writes all of `from`, growing the file if need be. Not durable.
    virtual Task<Status> write(uint64_t offset, Bytes from) = 0;

    // Makes durable every write to this file that had completed before the call.
    virtual Task<Status> sync(SyncSite site) = 0;

    // write and then sync, in one submission (linked in the ring). The hot path of the log. Several
    // may be in flight; direct I/O is used where file, offset, length and memory are aligned to
    // kPageBytes.
    virtual Task<Status> write_synced(uint64_t offset, Bytes from, SyncSite site) = 0;

    // Reserves space so that writes below `bytes` cannot run out of it; the size is at least
    // `bytes` afterwards (it never shrinks). Not durable.
    virtual Task<Status> allocate(uint64_t bytes) = 0;

    // Bytes of the file, as of the last operation that has ended.
    virtual uint64_t size() const = 0;
};

// Held as long as the object lives.
class FileLock {
  public:
    virtual ~FileLock() = default;
};

class FileSystem {
  public:
    virtual ~FileSystem() = default;

    // "io_uring", "pread/pwrite", "simulated": for the start-up message and tests.
    virtual std::string_view backend() const = 0;

    virtual Task<Result<std::unique_ptr<File>>> open(std::string path, OpenMode mode) = 0;

    // Names in a directory, without "." and "..", sorted.
    virtual Task<Result<std::vector<std::string>>> list(std::string directory) = 0;

    // Creates the directory and what is missing above it; fine if it exists. What it creates is
    // durable when it ends.
    virtual Task<Status> make_directory(std::string directory) = 0;

    // Within one directory (else kInvalidArgument); replaces `to`.
    virtual Task<Status> rename(std::string from, std::string to) = 0;
    virtual Task<Status> remove(std::string path) = 0;

    // Makes creations, renames and removals in this directory durable. Once it has failed, it fails
    // for this directory until the process ends: the kernel may have forgotten what it could not
    // write, and would call the next sync a success.
    virtual Task<Status> sync_directory(std::string directory, SyncSite site) = 0;

    // An exclusive lock on `path` (created if missing) against other processes and other opens;
    // kFailedPrecondition naming the path if somebody holds it.
    virtual Task<Result<std::unique_ptr<FileLock>>> lock(std::string path) = 0;
};

}  // namespace stepdb
