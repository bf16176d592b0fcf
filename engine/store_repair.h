// The inside of repair_store (repair.h): what is known of the store so far, and what will be made
// of it. Used once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/catalog/catalog_file.h"
#include "engine/manifest/manifest.h"
#include "engine/model/frame.h"
#include "engine/repair.h"
#include "engine/segment/segment_reader.h"
#include "engine/segment/segment_writer.h"
#include "engine/store_state.h"
#include "engine/store_verifier.h"
#include "engine/tail/seal.h"
#include "engine/wal/log_reader.h"

namespace stepdb {

// What of a block can be read.
enum class BlockHealth : uint8_t {
    kWhole,
    kWithoutSummaries,  // they are damaged; the values are whole
    kDamaged,           // to be carried along
    kCarried,           // a merge or a repair has carried it along already
};

// A segment that can be read, be it in part.
struct RepairSegment {
    RepairSegment() = default;

    uint64_t id = 0;   // that its checksums are made with
    std::string name;  // where it lies
    std::shared_ptr<const SegmentMeta> meta;
    std::optional<SegmentNames> names;
    std::vector<BlockHealth> health;         // by block
    std::vector<std::string> block_damages;  // likewise: what cannot be read of it
    bool is_whole = true;                    // it stays as it is
    uint64_t new_id = 0;                     // else
};

// Bytes of a log that cannot be read as they should, and what of them is whole all the same.
struct LogHole {
    LogHole() = default;

    std::string file;
    uint64_t begin = 0;  // bytes
    uint64_t end = 0;
    uint64_t first = 0;  // sequences
    uint64_t last = 0;
    std::string why;
    std::vector<std::pair<uint64_t, uint64_t>> found;  // sequences of whole records, ascending
    std::vector<RecordHeader> broken;  // headers that are whole, of frames that are not
};

class StoreRepair {
  public:
    StoreRepair(FileSystem& files, Executor& executor, RepairOptions options);

    Task<Result<RepairReport>> run();

    // The number in the name of a file of ours, also where something stands behind it; else 0.
    static uint64_t file_number(std::string_view name);

  private:
    // repair.cc
    Task<Status> examine();
    Task<Status> open_directory();
    Task<Status> list_names();
    Task<Status> find_state();
    Task<Status> identify_files();
    Task<Status> load_catalog();
    Task<Status> try_catalog(uint64_t file_id);
    void take_checkpoint(CatalogCheckpoint checkpoint);
    void name_what_has_no_name();
    void name_schemas_and_runs_of_blocks();
    void make_run(uint64_t id, uint32_t attempt);
    void name_run(uint64_t id, const OpenRunFrame& open);
    bool end_earlier_run(uint64_t id, const OpenRunFrame& open);
    void end_run(uint64_t id);
    uint32_t newest_attempt_of(uint64_t id) const;
    bool give_parent(Run& run, const OpenRunFrame& open) const;
    void find_parent(uint64_t id, const OpenRunFrame& open);
    void sum_up();

    // repair_segments.cc
    Task<Status> read_segments();
    Task<Status> read_segment(uint64_t id, std::string name, uint64_t expected_bytes);
    Task<Result<std::optional<SegmentFooter>>> find_footer(File& file, RepairSegment* segment,
                                                           uint64_t expected_bytes);
    Task<Status> read_segment_names(File& file, RepairSegment* segment);
    Task<Status> check_blocks(File& file, RepairSegment* segment);
    void judge_block(RepairSegment* segment, size_t index, Bytes bytes);
    Task<Result<bool>> is_superseded(RepairSegment* segment);
    Task<Status> note_present();
    Task<Status> each_sequence(const RepairSegment* segment,
                               const std::function<void(uint64_t)>* see);
    void lose_segment(uint64_t id, const std::string& name, uint64_t bytes, std::string why);
    void register_segment(const RepairSegment& segment);
    void describe_blocks(const RepairSegment& segment);
    void describe_lost_segments();

    // repair_logs.cc
    Task<Status> read_logs();
    struct LogBegin {
        uint64_t first = 0;       // the sequence it begins with; 0: its first group cannot be read
        bool has_groups = false;  // that can be read, be it later ones
    };
    Task<LogBegin> find_begin(uint64_t id);
    // The file goes up to sequence `known_last` at least, and no further if that `is_exact`; 0:
    // nobody knows.
    Task<Status> read_log(uint64_t id, uint64_t known_last, bool is_exact);
    std::vector<LogHole> find_holes(const std::string& name, const LogPlace& place,
                                    const LogFileContents& contents, Bytes file,
                                    uint64_t known_last) const;
    // `exact_last`: the file's last sequence; 0: nobody knows.
    void judge_header(const std::string& name, const LogFileContents& contents, Bytes file,
                      uint64_t exact_last);
    void describe_hole(const LogHole& hole);
    bool is_needed(const RecordHeader& header) const;
    void replay(const std::string& name, const LogRecord& record);
    Status replay_rows(const LogRecord& record);
    Status replay_change(const LogRecord& record);
    bool replay_name(const LogRecord& record);
    void note_writer(const RecordHeader& header);
    std::string describe_rows(const RecordHeader& header) const;

    // repair_write.cc
    Task<Status> write();
    Task<Status> write_files();
    Task<void> discard_files();
    Task<Status> write_segments();
    Task<Status> write_segment_anew(RepairSegment* segment);
    Task<Status> put_block(SegmentWriter& writer, File& file, const RepairSegment* segment,
                           size_t index);
    bool is_deleted(uint64_t run) const;
    SegmentNames names_for(const RepairSegment& segment) const;
    Task<Status> write_log_rows();
    Task<Status> write_catalog();
    Task<Status> switch_manifest();
    Task<Status> save_current();
    Task<Status> finish_file(std::string name);
    Task<Status> set_aside();

    // Reads what can be read; pages that cannot are zeros.
    static Task<void> read_some(File& file, uint64_t offset, MutableBytes into);
    Task<Result<std::vector<std::byte>>> read_all(std::string name);
    void find(RepairKind kind, std::string_view file,
              std::optional<std::pair<uint64_t, uint64_t>> bytes, std::string what);
    std::string path(std::string_view name) const {
        return options_.directory + "/" + std::string(name);
    }
    uint64_t take_id() { return next_file_id_++; }

    FileSystem& files_;
    Executor& executor_;
    RepairOptions options_;
    RepairReport report_;
    std::vector<std::string> names_;  // in the directory
    std::unique_ptr<FileLock> lock_;
    // By what their headers say of them, or for want of one their names: id -> name.
    std::map<uint64_t, std::string> segment_files_;
    std::map<uint64_t, std::string> log_files_;
    std::map<uint64_t, std::string> catalog_files_;
    uint64_t next_file_id_ = 1;
    uint64_t first_new_id_ = 0;  // of what is written

    Id128 store_;
    ManifestState manifest_;
    bool from_files_ = false;
    StoreState state_;
    Sealer sealer_;
    uint64_t manifest_file_ = 0;  // 0: there is none
    bool has_catalog_ = false;    // the one that counts
    uint64_t base_next_run_ = 1;  // of the catalog that was read: what lies below was given out
    std::set<uint64_t> deleted_runs_;   // by the log
    std::set<uint64_t> nameless_runs_;  // that have made-up names
    // Forks whose parents were not known where they began.
    std::set<uint64_t> parentless_forks_;
    bool has_highest_keys_ = false;  // of a catalog; else the blocks tell them
    uint64_t catalog_sequence_ = 0;  // up to which the catalog that was read goes
    uint64_t checkpoint_ = 0;        // up to which rows are in segments, if that is known
    uint64_t last_sequence_ = 0;     // that has been given out
    uint64_t epoch_ = 0;
    std::vector<RepairSegment> segments_;
    struct LostSegment {
        uint64_t id = 0;
        std::string name;
        uint64_t bytes = 0;
        std::string why;
        RunRanges runs;  // that had rows in it; empty: nobody knows
    };
    std::vector<LostSegment> lost_segments_;
    SequenceSet seen_;     // of rows in segments, where the manifest is lost
    SequenceSet present_;  // of rows in segments that a log may hold too
    bool uses_present_ = false;
    uint64_t sequence_due_ = 0;
    std::map<uint64_t, uint64_t> new_segments_;  // id -> bytes
    std::map<uint64_t, RunRanges> new_runs_;
    uint64_t new_catalog_ = 0;
};

}  // namespace stepdb
