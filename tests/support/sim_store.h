// A whole engine on the simulated disk, a client that writes to it and remembers what it was told,
// and a plain map that says what must come back. What the engine's tests are made of.
#pragma once

#include <compare>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/block_cache.h"
#include "engine/engine.h"
#include "engine/model/life_frame.h"
#include "engine/verify.h"
#include "tests/support/sim_executor.h"
#include "tests/support/sim_file_system.h"

namespace stepdb {

// What verify_store finds wrong, in words; "" if nothing is.
std::string describe_problems(const Result<VerifyReport>& report);

// --- The reference model ---

struct ModelPoint {
    int64_t time_us = 0;
    uint64_t value_bits = 0;

    auto operator<=>(const ModelPoint&) const = default;
};

// A change as the client meant it.
struct ModelRow {
    std::optional<double> step;
    std::optional<int64_t> time_us;
    std::vector<std::optional<double>> values;
};

struct ModelChange {
    ModelChange() = default;

    std::string run;  // "project/run"
    uint32_t attempt = 0;
    std::shared_ptr<const Schema> schema;
    std::vector<ModelRow> rows;
};

// What is known of a run beside its points.
struct ModelFacts {
    RunState state = RunState::kRunning;
    std::vector<uint32_t> attempts;  // open ones
    std::vector<uint32_t> discarded;
    std::string parent;  // "project/run"; "" if it is no fork
    Attributes attributes;

    bool operator==(const ModelFacts&) const = default;
};

// The rules of docs/protocol.md over plain maps: who reads what, and what a change does. A change
// that the rules refuse must not be applied.
class ReferenceModel {
  public:
    using Series = std::map<Key, ModelPoint>;
    // What every series reads as: (run, metric) -> key -> point. The newest attempt under the run's
    // path, older ones that are not discarded under "path#number". Series without points are left
    // out.
    using Contents = std::map<std::pair<std::string, std::string>, Series>;

    // Creates the run if it is missing.
    void apply(const ModelChange& change);
    void create(const std::string& run) { runs_.try_emplace(run); }
    void fork(const std::string& run, const std::string& parent, double step);
    // Nothing happens if the attempt is open.
    void restart(const std::string& run, uint32_t attempt, std::optional<double> step);
    void finish(const std::string& run, uint32_t attempt, RunState state);
    void set_attributes(const std::string& run, const std::vector<AttributeChange>& changes);
    void discard(const std::string& run, uint32_t attempt);
    void delete_metrics(const std::string& run, const std::vector<std::string>& metrics);
    void delete_run(const std::string& run) { runs_.erase(run); }

    std::vector<std::string> runs() const;
    bool has(const std::string& run) const { return runs_.contains(run); }
    std::vector<std::string> forks_of(const std::string& run) const;
    uint32_t newest(const std::string& run) const;

    Contents contents() const;
    std::map<std::string, ModelFacts> facts() const;

  private:
    struct Attempt {
        std::string parent_run;  // "": reads nothing above
        uint32_t parent_attempt = 0;
        double cut = 0;
        bool discarded = false;
        std::map<std::string, Series> stepped;  // own points, by metric
        std::map<std::string, Series> timed;
    };
    struct Run {
        Run() : attempts{{0, Attempt()}} {}

        std::map<uint32_t, Attempt> attempts;
        std::string fork_parent;
        RunState state = RunState::kRunning;
        Attributes attributes;
    };

    std::map<std::string, Series> read_stepped(const Run& run, uint32_t attempt) const;
    std::map<std::string, Series> read_timed(const Run& run, uint32_t attempt) const;

    std::map<std::string, Run> runs_;
};

// The first difference in words, or "" if there is none.
std::string describe_difference(const ReferenceModel::Contents& want,
                                const ReferenceModel::Contents& got);
std::string describe_difference(const std::map<std::string, ModelFacts>& want,
                                const std::map<std::string, ModelFacts>& got);

// --- The engine under test ---

class TestWriter;

class SimStore {
  public:
    // A small store, so that little data makes groups, files, blocks and segments in numbers.
    static EngineOptions small_options();

    SimStore(SimDisk& disk, uint64_t seed, EngineOptions options = small_options());
    ~SimStore();

    // Opens the engine; the error if it could not.
    Status open();
    // The next open() loses power as its n-th operation begins.
    void crash_next_open_at(uint64_t n) { crash_open_at_ = n; }
    // From the next open() on is called as each operation on the files begins.
    void watch_operations(std::function<void(uint64_t operation)> on_begin) {
        on_begin_ = std::move(on_begin);
    }
    // Closes it in order.
    Status close();
    // Ends this life of process or machine; the engine is gone and open() begins the next.
    void crash(CrashKind kind);
    // Lets everything under way come to its end.
    void run() { executor_->run_until_idle(); }

    Engine& engine() { return *engine_; }
    bool is_open() const { return engine_ != nullptr; }
    SimFileSystem& files() { return *files_; }
    SimExecutor& executor() { return *executor_; }
    SimClock& clock() { return clock_; }
    SimRandom& random() { return random_; }

    // How writers get a session, if not from the engine itself; and what is to be done before the
    // engine goes, in order or by a crash, when they have lost theirs.
    using OpenSession = std::function<std::unique_ptr<WriteSession>(const Id128&, OutcomeSink&)>;
    void set_sessions(OpenSession open, std::function<void()> before_end) {
        open_session_ = std::move(open);
        before_end_ = std::move(before_end);
    }
    std::unique_ptr<WriteSession> open_session(const Id128& writer, OutcomeSink& sink) {
        return open_session_ ? open_session_(writer, sink) : engine_->open_session(writer, sink);
    }

    // Writers with a session; they lose it before the engine goes.
    void add_writer(TestWriter& writer) { writers_.insert(&writer); }
    void remove_writer(TestWriter& writer) { writers_.erase(&writer); }

    Status flush() { return run_task(*executor_, engine_->flush()); }
    Status compact() { return run_task(*executor_, engine_->compact()); }

    // What verify_store finds wrong with the files of the open store, in words; "" if all is well.
    // Lets everything under way come to its end first.
    std::string verify();
    // All that verify_store tells of them.
    Result<VerifyReport> verify_report();

    // From now on contents() reads points alone, and does not compare summaries and buckets with
    // them: for those who look for lost points in thousands of stores.
    void read_points_alone(bool alone = true) { reads_all_ = !alone; }
    bool reads_points_alone() const { return !reads_all_; }

    // Every point of every run and attempt, read through a snapshot.
    Result<ReferenceModel::Contents> contents();
    std::map<std::string, ModelFacts> facts();
    // The same through a snapshot taken before.
    Result<ReferenceModel::Contents> contents(std::shared_ptr<const Snapshot> snapshot);
    // Chunks whose own summary told, in all reads of contents so far: each is checked against a
    // scan.
    uint64_t summaries_used() const { return summaries_used_; }
    // The same of buckets and index nodes.
    uint64_t nodes_used() const { return nodes_used_; }

  private:
    void discard_engine();

    SimDisk& disk_;
    SimRandom random_;
    bool reads_all_ = true;
    uint64_t summaries_used_ = 0;
    uint64_t nodes_used_ = 0;
    SimClock clock_;
    EngineOptions options_;
    uint64_t crash_open_at_ = 0;
    std::function<void(uint64_t)> on_begin_;
    OpenSession open_session_;
    std::function<void()> before_end_;
    std::shared_ptr<BlockCache> cache_;  // of one life of the process
    std::set<TestWriter*> writers_;
    std::unique_ptr<SimExecutor> executor_;
    std::unique_ptr<SimFileSystem> files_;
    std::unique_ptr<Engine> engine_;
};

// --- A client ---

// One writer over one connection at a time. Remembers frames until they are acknowledged and sends
// them again after reconnecting.
class TestWriter final : public OutcomeSink {
  public:
    TestWriter(const Id128& writer) : writer_(writer) {}  // NOLINT(google-explicit-constructor)
    ~TestWriter() override;

    // Opens a session on the store and, in it, every run used so far; sends again what was not
    // acknowledged.
    void connect(SimStore& store);
    // Forgets the session, as a lost connection does.
    void disconnect();

    // Sends a change; `compress` and `crc32` pick the forms a frame can take. Returns its number
    // in the order of all changes sent by this writer, from 0.
    size_t send(const ModelChange& change, bool compress = false, bool crc32 = false);
    void finish_run(const std::string& run, RunState state);
    // Sends a frame of a run's life, which `encode` makes for a handle and a number. Opens the run.
    using EncodeLife = std::function<std::vector<std::byte>(uint32_t handle, uint64_t number)>;
    size_t send_life(const std::string& run, const EncodeLife& encode);
    // Opens `run` as a fork, creating it.
    void fork_run(const std::string& run, const std::string& parent, double step);
    // The run has been deleted: what comes under its name is another one.
    void forget_run(const std::string& run) { runs_.erase(run); }
    // The same of all runs of a project.
    void forget_project(const std::string& project);
    // Of what was sent nothing is sent again.
    void give_up();
    // Submits the bytes of a frame as they are; returns the ordinal.
    uint64_t submit(const std::vector<std::byte>& frame);

    // Changes below this have their outcome.
    size_t acknowledged() const { return acknowledged_; }
    size_t sent() const { return frames_.size(); }
    uint64_t late_rows() const { return late_rows_; }
    const std::vector<std::pair<uint64_t, Refusal>>& refusals() const { return refusals_; }
    // Of these, those of changes: not of runs to be opened and schemas to be announced.
    size_t changes_refused() const { return changes_refused_; }
    const std::vector<RunOpened>& opened() const { return opened_; }
    uint64_t durable_ordinal() const { return durable_ordinal_; }

    void on_durable(uint64_t ordinal, uint64_t late_rows) override;
    void on_refused(uint64_t ordinal, Refusal refusal) override;
    void on_opened(uint64_t ordinal, RunOpened opened) override;

  private:
    struct OpenedRun {
        std::string parent;  // of a fork, its id
        double fork_step = 0;
        uint32_t handle = 0;
        uint64_t next_number = 1;
        bool known = false;  // the engine has confirmed it once
    };
    struct Sent {
        std::string run;
        std::shared_ptr<const Schema> schema;  // of rows
        uint64_t number = 0;
        std::vector<std::byte> frame;
    };

    OpenedRun& opened_run(const std::string& run);
    uint64_t first_unanswered(const std::string& run, const OpenedRun& state) const;
    void open_run(const std::string& run, OpenedRun& state);
    void submit_frame(size_t index);
    void announce_schema(const std::string& run, const Schema& schema);

    Id128 writer_;
    SimStore* store_ = nullptr;
    std::unique_ptr<WriteSession> session_;
    std::map<std::string, OpenedRun> runs_;
    uint32_t next_handle_ = 1;
    std::set<std::string> announced_;  // project and schema hash, in this session
    std::vector<Sent> frames_;
    std::map<uint64_t, size_t> ordinals_;  // of this session: ordinal -> index into frames_
    std::map<uint64_t, std::string> opening_;
    size_t acknowledged_ = 0;
    uint64_t durable_ordinal_ = 0;
    uint64_t late_rows_ = 0;
    std::vector<std::pair<uint64_t, Refusal>> refusals_;
    size_t changes_refused_ = 0;
    std::vector<RunOpened> opened_;
};

}  // namespace stepdb
