// A spool: frames on disk that a client has written and its server may not have yet. The Python
// client makes them (docs/protocol.md, "Spool"); here they are read, when its process is gone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/checksum.h"
#include "engine/base/result.h"
#include "engine/io/descriptor.h"
#include "engine/model/frame.h"

namespace stepdb {

// run.json of a spool.
struct SpoolRun {
    SpoolRun() = default;

    static Result<SpoolRun> parse(std::string_view text);
    std::string to_json() const;

    std::string server;
    std::string project;
    std::string run;
    std::optional<std::string> parent;  // of a fork, with its step
    double fork_step = 0;
    Id128 writer;
    uint64_t base = 0;                // the frame numbered n goes out as n - base
    std::optional<uint32_t> attempt;  // of frames that leave it open, once it is known
};

// The attempt of frames that leave it open.
inline constexpr uint32_t kSpoolAttemptOpen = UINT32_MAX;

struct SpoolFrame {
    SpoolFrame(const FrameHeader& its_header, Bytes its_bytes)
        : header(its_header), bytes(its_bytes) {}

    // Of a frame of rows; else 0.
    uint64_t rows() const;

    FrameHeader header;
    Bytes bytes;  // all of it
};

// A file of frames, read as a whole: they are of 16 MiB and a frame.
class SpoolFile {
  public:
    // Up to the first frame that is torn or damaged.
    static Result<SpoolFile> read(const std::string& path);

    const std::vector<SpoolFrame>& frames() const { return frames_; }
    uint64_t sound_bytes() const { return sound_; }
    // Behind the last sound frame.
    uint64_t other_bytes() const { return content_.size() - sound_; }
    // Whether these are what a crash of the machine may leave: the beginning of a frame, or zeros.
    bool is_torn() const;

  private:
    std::vector<std::byte> content_;
    std::vector<SpoolFrame> frames_;  // views into it
    uint64_t sound_ = 0;
};

// Directories with a spool below `root`, the oldest first.
Result<std::vector<std::string>> find_spools(const std::string& root);

// One directory, locked as long as this lives. Single-threaded.
class Spool {
  public:
    // kUnavailable if another process has it, kNotFound if it has gone.
    static Result<Spool> open(const std::string& directory);

    const std::string& directory() const { return directory_; }
    const SpoolRun& run() const { return run_; }
    // On stable storage once it returns.
    Status save_run(const SpoolRun& run);

    // Ascending.
    Result<std::vector<uint64_t>> file_numbers() const;
    std::string file_path(uint64_t number) const;
    Status remove_file(uint64_t number) const;
    // What could not be read of it stays, under another name.
    Status set_aside(uint64_t number) const;
    // The names of such files.
    std::vector<std::string> set_aside_files() const;
    // All of it, and the directories above that become empty.
    Status remove() const;

  private:
    Spool(std::string directory, Descriptor lock)
        : directory_(std::move(directory)), lock_(std::move(lock)) {}

    std::string directory_;
    Descriptor lock_;
    SpoolRun run_;
};

}  // namespace stepdb
