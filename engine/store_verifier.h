// The inside of verify_store (verify.h): what is known of the store so far, and the checks of each
// kind of file. Used once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/catalog/catalog_file.h"
#include "engine/manifest/manifest.h"
#include "engine/segment/segment_format.h"
#include "engine/store_state.h"
#include "engine/verify.h"
#include "engine/wal/log_reader.h"

namespace stepdb {

// Which sequences have been seen; a bit each, in pieces made when they are needed.
class SequenceSet {
  public:
    // False if it was there.
    bool insert(uint64_t sequence);

  private:
    static constexpr uint64_t kPieceBits = 1U << 16U;
    std::unordered_map<uint64_t, std::vector<uint64_t>> pieces_;
};

class StoreVerifier {
  public:
    StoreVerifier(FileSystem& files, VerifyOptions options)
        : files_(files), options_(std::move(options)) {}

    Task<Result<VerifyReport>> run();

  private:
    // verify.cc
    Task<Status> list_files();
    Task<void> verify_manifest();
    Task<std::optional<uint64_t>> find_manifest();
    Task<void> verify_sizes();
    Task<void> verify_catalog();
    void check_runs();
    void check_names();
    void note_unnamed();
    std::vector<std::string> named_files() const;
    // The bytes of a file; problem() has been called if there are none.
    Task<std::optional<std::vector<std::byte>>> read_file(std::string name, std::string remedy);

    // verify_segments.cc
    Task<void> verify_segments();
    Task<void> verify_segment(uint64_t file_id);
    struct OpenSegment;
    Task<bool> read_segment_head(OpenSegment* segment);
    Task<void> read_segment_names(OpenSegment* segment);
    void check_segment_names(const OpenSegment& segment, const SegmentNames& names);
    Task<void> verify_blocks(OpenSegment* segment);
    void verify_block(const OpenSegment& segment, size_t index, Bytes bytes);
    void check_block_owner(const OpenSegment& segment, size_t index);
    void check_block_axis(const OpenSegment& segment, size_t index, Bytes section);
    void check_block_strips(const OpenSegment& segment, size_t index, Bytes directory,
                            Bytes strips);

    // verify_logs.cc
    Task<void> verify_logs();
    Task<void> verify_log(uint64_t file_id, uint64_t epoch);
    void verify_groups(const std::string& name, const LogPlace& place, Bytes file);
    // Where the next intact group behind a damaged place begins.
    std::optional<uint64_t> next_group(const LogPlace& place, Bytes file, uint64_t from) const;
    void verify_record(const std::string& name, const LogRecord& record);
    Status check_rows(const LogRecord& record, Bytes body);
    Status check_writer(const LogRecord& record, const FrameHeader& frame);

    void problem(std::string_view file, std::optional<uint64_t> offset, std::string what,
                 std::string_view remedy);
    void note(std::string_view file, std::string what);
    void progress(uint64_t bytes);
    std::string path(std::string_view name) const {
        return options_.directory + "/" + std::string(name);
    }

    FileSystem& files_;
    VerifyOptions options_;
    VerifyReport report_;
    uint64_t bytes_done_ = 0;
    std::vector<std::string> names_;  // in the directory
    std::unique_ptr<FileLock> lock_;

    bool has_manifest_ = false;
    uint64_t manifest_file_ = 0;
    Id128 store_;
    ManifestState manifest_;
    // With what the log adds. Without a readable catalog nothing is compared with it.
    bool has_catalog_ = false;
    Catalog catalog_;
    WriterTable writers_;
    AxisRegistry axes_;
    SequenceSet sequences_;  // of segments

    uint64_t sequence_due_ = 0;  // in the log
    std::string last_log_;       // with groups
    bool log_is_whole_ = true;   // no damage so far
};

}  // namespace stepdb
