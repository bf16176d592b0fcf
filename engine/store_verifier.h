// The inside of verify_store (verify.h): what is known of the store so far, and the checks of each
// kind of file. Used once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
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
    bool contains(uint64_t sequence) const;

  private:
    static constexpr uint64_t kPieceBits = 1U << 12U;
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
    // After `why`: what recovery reads instead of the manifest that counts.
    Task<void> salvage(Error why);
    Task<std::optional<uint64_t>> find_manifest();
    Task<void> verify_sizes();
    Task<void> verify_catalog();
    Task<void> verify_catalog_file(uint64_t file_id);
    void check_runs();
    void sum_up();
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
    void verify_damaged_block(const OpenSegment& segment, size_t index, Bytes bytes);
    void verify_block(const OpenSegment& segment, size_t index, Bytes bytes);
    void check_block_owner(const OpenSegment& segment, size_t index);
    std::optional<AxisColumns> check_block_axis(const OpenSegment& segment, size_t index,
                                                Bytes section);
    void check_rows_come_once(const OpenSegment& segment, size_t index, uint32_t column,
                              Bytes chunk, const AxisColumns& axis);
    void check_block_summaries(const OpenSegment& segment, size_t index, Bytes bytes,
                               bool can_compare);
    void check_block_strips(const OpenSegment& segment, size_t index, Bytes directory, Bytes strips,
                            const std::optional<AxisColumns>& rows);
    void count_rows(const BlockInfo& info, const AxisColumns& axis);

    // verify_logs.cc
    // Something wrong in a log file, and what to do if it matters.
    struct LogFinding {
        LogFinding(std::string_view its_file, uint64_t at, std::string its_what);

        std::string file;
        uint64_t offset;
        std::string what;
        std::string_view remedy;
    };
    Task<void> verify_logs();
    Task<void> verify_log(uint64_t file_id, uint64_t epoch);
    LogFileContents verify_groups(const std::string& name, const LogPlace& place, Bytes file);
    void judge_log_header(const std::string& name, const Error& why,
                          const LogFileContents& contents);
    void verify_record(const std::string& name, const RecordHeader& header, Bytes frame,
                       uint64_t offset);
    void see_record(const RecordHeader& header, Bytes frame);
    Status check_rows(const RecordHeader& header, Bytes body);
    Status check_writer(const RecordHeader& header, const FrameHeader& frame);
    // A finding is a problem if the records that it may concern, from where the
    // log is up to `last` (0: nobody knows how far), are not all below the checkpoint, else a note.
    void log_problem(const LogFinding& finding, uint64_t last);
    // The same, once the next file or the manifest tells how far it concerns.
    void judge_later(LogFinding finding) { pending_.push_back(std::move(finding)); }
    void judge_pending(uint64_t last);
    void check_log_start(const std::string& name, const LogFileContents& contents, uint64_t due);

    void problem(std::string_view file, std::optional<uint64_t> offset, std::string what,
                 std::string_view remedy);
    void note(std::string_view file, std::string what, std::string_view remedy = "");
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
    // The manifest that counts is lost, so no file can be said to be superfluous; `from_files_`:
    // nothing is known but which files are there.
    bool manifest_lost_ = false;
    bool from_files_ = false;
    uint64_t manifest_file_ = 0;
    Id128 store_;
    ManifestState manifest_;
    // With what the log adds. Without a readable catalog nothing is compared with it.
    bool has_catalog_ = false;
    Catalog catalog_;
    // Without one: what segments and log tell of.
    std::set<uint64_t> seen_runs_;
    std::set<uint64_t> seen_schemas_;
    WriterTable writers_;
    AxisRegistry axes_;
    // Of segments, of rows that have a value in a column: by schema and column.
    std::map<std::pair<uint64_t, uint32_t>, SequenceSet> sequences_;
    // Of segments and log, so that a row whose columns are in several blocks counts once.
    SequenceSet counted_;
    struct RunTotals {
        uint64_t rows = 0;
        uint64_t points = 0;
    };
    std::map<uint64_t, RunTotals> totals_;  // by run; which of them exist the end of the log tells

    uint64_t sequence_due_ = 0;        // in the log; 0: not known
    std::string last_log_;             // with groups
    uint64_t last_log_end_ = 0;        // where its groups end
    bool log_is_whole_ = true;         // no damage so far
    std::vector<LogFinding> pending_;  // whose last sequence only the next file tells
};

}  // namespace stepdb
