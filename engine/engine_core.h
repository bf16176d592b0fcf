// The engine behind engine.h: holds the parts together and starts background work. What each part
// does stands in write_path, log_files, row_store; here are opening, flushing and closing.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "engine/compaction/merge.h"
#include "engine/compaction/policy.h"
#include "engine/disk_reserve.h"
#include "engine/engine.h"
#include "engine/log_files.h"
#include "engine/log_turns.h"
#include "engine/manifest/manifest.h"
#include "engine/salvage.h"
#include "engine/store_state.h"
#include "engine/tail/seal.h"
#include "engine/wal/log_reader.h"
#include "engine/wal/log_writer.h"
#include "engine/write_path.h"

namespace stepdb {

// Where segments say that nobody reads them any more. Held by the engine as long as it is open;
// what is still read then goes when the store is opened next.
struct RetiredFiles {
    RetiredFiles(Executor& its_executor, std::function<void(std::string)> its_remove)
        : executor(its_executor), remove(std::move(its_remove)) {}

    Executor& executor;
    std::function<void(std::string)> remove;  // on `executor`
};

class EngineCore final : public Engine, private LogWriter::Owner {
  public:
    EngineCore(EngineEnvironment environment, EngineOptions options);
    ~EngineCore() override;

    // Engine::open's work; recovery.cc.
    Task<Status> recover();
    // Must be waited for before an engine that was not opened goes.
    Task<void> all_blocks_made();

    using Engine::open_session;
    std::unique_ptr<WriteSession> open_session(const Id128& writer, OutcomeSink& sink,
                                               uint64_t connection,
                                               std::shared_ptr<const Rights> rights) override;
    std::shared_ptr<const Catalog> catalog() const override;
    std::shared_ptr<const Snapshot> snapshot(std::span<const uint64_t> runs) const override;
    Task<Status> flush() override;
    Task<Status> compact() override;
    Task<Result<BackupReport>> backup(BackupOptions options) override;
    Task<Status> close() override;
    bool has_room() const override;
    void when_room(std::function<void()> call) override;
    uint64_t sequence() const override { return write_path_.published_sequence(); }
    void when_published(std::function<void()> call) override;
    void tick() override;
    const StoreMemory& memory() const override { return state_.memory; }
    EngineStats stats() const override;
    EngineStats quick_stats() const override;
    const RecoveryReport& recovery() const override { return report_; }
    const Id128& store_id() const override { return state_.store; }
    std::optional<Error> read_only_reason() const override { return write_path_.latched(); }

  private:
    // LogWriter::Owner
    void on_log_durable(uint64_t sequence) override;
    void on_log_failed(const Error& error) override;
    void on_log_file_wanted() override;

    // recovery.cc
    Task<Result<std::optional<SalvagedManifest>>> find_manifest();
    Task<Status> refuse_leftovers();
    Task<Status> load_checkpoint(ManifestState state);
    void count_as_written_now(const CatalogCheckpoint& checkpoint);
    void take_highest_keys(const CatalogCheckpoint& checkpoint);
    Status load_segment(std::shared_ptr<const SegmentMeta> segment);
    Task<Status> take_names(std::shared_ptr<const SegmentMeta> segment);
    void note_damaged_segment(const ManifestState& state, uint64_t file_id, const Error& why);
    Task<Status> begin_epoch(ManifestState state);
    Task<Result<std::shared_ptr<LogFile>>> prepare_first_log_file(ManifestState recovered);
    Task<Status> begin_manifest(ManifestState state);
    Task<Status> give_up_reserve_to_begin();
    void start_log(uint64_t epoch, Result<std::shared_ptr<LogFile>> log_file);
    Task<Status> clear_full_disk(ManifestState state);
    Task<Status> remove_orphans(ManifestState state, uint64_t manifest_id);

    // log_replay.cc
    Task<Status> replay_logs(ManifestState state);
    Task<Result<LogFileContents>> replay_log(uint64_t file_id, uint64_t expected,
                                             uint64_t checkpoint);
    Status replay_record(const RecordHeader& record, Bytes frame, uint64_t checkpoint);
    struct LogFault;
    struct ReplayProgress;
    void note_log_damage(const ManifestState& state, uint64_t file_id,
                         const LogFileContents& contents, ReplayProgress& progress);
    void note_replay_errors();
    LogFault describe_end(uint64_t file_id, const LogFileContents& contents) const;
    void note_missing(const ManifestState& state, uint64_t first, uint64_t last, LogFault fault);

    // flush.cc
    Task<Status> flush_locked();
    struct FlushContents;
    struct SealJob;
    Task<Status> write_flush_files(FlushContents* contents, ManifestEdit& edit,
                                   std::vector<std::shared_ptr<const SegmentMeta>>& segments);
    Task<Result<std::shared_ptr<const SegmentMeta>>> write_flush_segment_apart(
        const FlushContents* contents,
        const std::vector<std::shared_ptr<const EncodedBlock>>* blocks, uint64_t file_id);
    void make_blocks(SealedList sealed);
    Task<void> blocks_made(const SealedList* sealed);
    Task<void> discard_flush_files(const ManifestEdit& edit);
    Task<Status> prepare_log_file();
    void start_flush_if_needed();
    void start_flush();

    // compact.cc
    Task<Status> merge_while_needed(MergeUrgency urgency);
    Task<Status> merge(std::vector<uint64_t> file_ids);
    Task<void> log_wanted_schemas(const std::vector<std::shared_ptr<const SegmentMeta>>* sources);
    void go_on_without_schemas();
    Task<Status> publish_merge(std::vector<uint64_t> file_ids, MergeOutcome* outcome,
                               uint64_t as_of);
    void note_merged(const Status& status);
    std::vector<uint64_t> choose_merge(MergeUrgency urgency) const;
    void start_merges_if_needed(MergeUrgency urgency);
    void consider_settled();
    bool settled() const;
    void remove_later(std::string file);

    // full_disk.cc
    bool is_disk_full() const;
    bool takes_deletes() const;
    void on_delete();
    Error reserve_in_use() const;
    void give_up_reserve();
    void use_reserve();
    void take_reserve_if_due();
    void start_taking_reserve();
    Task<Status> take_reserve();

    // backup.cc
    struct BackupPin;
    Task<Result<BackupReport>> backup_now(BackupOptions options);
    Task<Status> pin_for_backup(BackupPin* pin);
    bool checkpoint_covers_merges() const;
    Task<void> unpin_catalog(uint64_t file_id);

    std::string path(std::string_view name) const {
        return options_.directory + "/" + std::string(name);
    }
    bool log_is_full() const;
    bool log_is_busy() const { return log_ != nullptr && log_->writing() && !log_->failed(); }
    void give_turns();
    void begin_background() { ++background_; }
    void end_background();
    void after_publish();
    void call_waiting_for_room();
    void call_waiting_for_news();
    void note_durable_when_idle();
    void apply_retention();
    void tell_of_troubles();
    void tell_of_retention(const std::string& project, const std::vector<std::string>& runs) const;
    void begin_epoch_when_room();

    // A log file that was replayed; first_sequence is 0 if it held no group.
    struct ReplayedLog {
        uint64_t file_id = 0;
        uint64_t first_sequence = 0;
        uint64_t end = 0;
    };

    EngineEnvironment environment_;
    EngineOptions options_;
    StoreState state_;
    WritePath write_path_;
    std::unique_ptr<FileLock> lock_;
    std::unique_ptr<Manifest> manifest_;
    std::unique_ptr<LogFiles> log_files_;
    std::unique_ptr<LogWriter> log_;
    std::unique_ptr<DiskReserve> reserve_;
    bool using_reserve_ = false;     // it is being taken or given up
    bool merge_by_reserve_ = false;  // something was deleted: a merge and a flush are to make room
    bool flush_by_reserve_ = false;
    int64_t reserve_retry_us_ = 0;
    RecoveryReport report_;
    std::vector<ReplayedLog> replayed_;
    AlignedBuffer replay_buffer_;
    // What was recovered, while the disk has no room to begin an epoch on it.
    std::optional<ManifestState> waiting_epoch_;
    bool beginning_epoch_ = false;
    std::vector<StoreDamage> replay_errors_;
    bool catalog_lost_ = false;
    bool has_highest_keys_ = false;   // the checkpoint has; else the blocks tell them
    uint64_t current_manifest_ = 0;   // that CURRENT names
    uint64_t next_sequence_ = 1;      // after recovery
    uint64_t flush_retry_bytes_ = 0;  // the next flush after one that failed starts above it
    uint64_t sequence_at_tick_ = 0;
    int64_t durable_noted_us_ = 0;
    int64_t retention_due_us_ = 0;
    bool noting_durable_ = false;
    int64_t flush_retry_us_ = 0;  // the same as a time
    std::vector<std::function<void()>> waiting_for_room_;
    std::vector<std::function<void()>> waiting_for_news_;
    std::optional<Error> flush_error_;  // of the last flush that started by itself
    TaskMutex flush_mutex_;
    TaskMutex merge_mutex_;
    bool merging_by_itself_ = false;
    uint64_t checkpoint_schemas_end_ = 0;      // the catalog's file knows the schemas below
    uint64_t checkpoint_runs_ = 0;             // in the catalog's file
    std::multiset<uint64_t> pinned_catalogs_;  // files that backups copy
    bool merge_due_ = true;                    // segments have changed since none had to be merged
    uint64_t sequence_settled_ = 0;
    int64_t settled_since_us_ = 0;
    bool settled_considered_ = false;
    int64_t merge_retry_us_ = 0;  // after a merge that failed
    std::optional<Error> merge_error_;
    std::shared_ptr<Signal> schemas_told_;  // while a merge waits for its schemas
    std::shared_ptr<std::atomic<bool>> merge_cancelled_ =
        std::make_shared<std::atomic<bool>>(false);
    // Segments written by a merge since the store was opened, and up to which sequence it had seen
    // deletes.
    std::map<uint64_t, uint64_t> merged_;
    std::map<uint64_t, Error> unreadable_;  // segments that no merge takes: they cannot be read
    std::set<BlockPlace> damaged_blocks_;   // that merges found; the next one carries them along
    DurationHistogram flush_times_;
    DurationHistogram merge_times_;
    uint64_t merges_ = 0;
    uint64_t merge_bytes_read_ = 0;
    uint64_t merge_bytes_written_ = 0;
    std::shared_ptr<RetiredFiles> retired_;
    // What the operator has been told of.
    bool told_read_only_ = false;
    bool told_full_ = false;
    bool told_flush_error_ = false;
    bool flush_started_ = false;
    bool closing_ = false;
    uint64_t flushes_ = 0;
    uint64_t flush_bytes_written_ = 0;
    uint64_t background_ = 0;
    Sealer sealer_;  // on the seal executor
    uint64_t seal_jobs_ = 0;
    uint64_t groups_seen_ = 0;  // of the log, by give_turns
    Signal blocks_made_;
    LogTurns log_turns_;
    SegmentTurns segment_turns_;
    SegmentTurns backup_turns_;
    Signal quiet_;  // fired when background work or pending frames run out while closing
};

}  // namespace stepdb
