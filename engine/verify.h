// Checks a whole store without opening it: every checksum of every file, and that the files agree
// with each other. Nothing is written, repaired or kept. What recovery passes over, such as blocks
// that no query has read yet, is read here.
//
// Runs on the file system's executor; one file, or one block of a segment, is in memory at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/io/file_system.h"

namespace stepdb {

// More problems than this are counted, not kept.
inline constexpr size_t kVerifyProblemsMax = 10'000;

// Something that is not as it must be.
struct StoreProblem {
    StoreProblem() = default;

    std::string file;                // its name in the directory
    std::optional<uint64_t> offset;  // of the byte where it begins, if it has a place
    std::string what;
    std::string remedy;  // what to do about it
};

// Something worth knowing that keeps nothing from being read or written: a file that nothing names,
// a torn end, damage in a log that is not needed any more.
struct StoreNote {
    StoreNote() = default;

    std::string file;
    std::string what;
    std::string remedy;  // what to do about it; "" if nothing needs to be done
};

struct VerifyReport {
    VerifyReport() = default;

    bool good() const { return problems.empty(); }

    Id128 store;         // as the manifest says, or for want of one the headers; zeros if none does
    uint64_t files = 0;  // that the store is made of
    uint64_t bytes = 0;  // of these
    uint64_t runs = 0;   // without a readable catalog, those that segments and log tell of
    uint64_t schemas = 0;
    uint64_t segments = 0;
    uint64_t blocks = 0;
    uint64_t log_groups = 0;
    uint64_t log_records = 0;   // above the checkpoint
    uint64_t rows = 0;          // of the runs there are, each once; replaced and deleted ones too
    uint64_t points = 0;        // in these rows
    uint64_t deleted_rows = 0;  // of runs that are deleted; merges will leave them out
    std::vector<StoreProblem> problems;
    uint64_t problems_left_out = 0;
    std::vector<StoreNote> notes;
};

struct VerifyOptions {
    VerifyOptions() = default;

    std::string directory;
    // A store that this process has open, and that is idle, can be verified without its lock.
    bool take_lock = true;
    // So many bytes of so many are read.
    std::function<void(uint64_t done, uint64_t total)> on_progress;
};

// kNotFound if the directory holds no store, kFailedPrecondition if another process has it, or
// why the directory cannot be listed. Everything else is in the report.
Task<Result<VerifyReport>> verify_store(FileSystem& files, VerifyOptions options);

}  // namespace stepdb
