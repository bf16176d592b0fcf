// A whole engine on the simulated disk, a client that writes to it and remembers what it was told,
// and a plain map that says what must come back. What the engine's tests are made of.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "tests/support/sim_executor.h"
#include "tests/support/sim_file_system.h"

namespace stepdb {

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
    std::shared_ptr<const Schema> schema;
    std::vector<ModelRow> rows;
};

// What every series reads as: (run, metric) -> key -> point. Series without points are left out.
class ReferenceModel {
  public:
    using Series = std::map<Key, ModelPoint>;
    using Contents = std::map<std::pair<std::string, std::string>, Series>;

    void apply(const ModelChange& change);
    const Contents& contents() const { return contents_; }

  private:
    Contents contents_;
};

// The first difference in words, or "" if there is none.
std::string describe_difference(const ReferenceModel::Contents& want,
                                const ReferenceModel::Contents& got);

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

    // Writers with a session; they lose it before the engine goes.
    void add_writer(TestWriter& writer) { writers_.insert(&writer); }
    void remove_writer(TestWriter& writer) { writers_.erase(&writer); }

    Status flush() { return run_task(*executor_, engine_->flush()); }

    // What verify_store finds wrong with the files of the open store, in words; "" if all is well.
    // Lets everything under way come to its end first.
    std::string verify();

    // Every point of every run, read through a snapshot.
    Result<ReferenceModel::Contents> contents();

  private:
    void discard_engine();

    SimDisk& disk_;
    SimRandom random_;
    SimClock clock_;
    EngineOptions options_;
    uint64_t crash_open_at_ = 0;
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
    // Submits the bytes of a frame as they are; returns the ordinal.
    uint64_t submit(const std::vector<std::byte>& frame);

    // Changes below this are acknowledged.
    size_t acknowledged() const { return acknowledged_; }
    size_t sent() const { return frames_.size(); }
    uint64_t late_rows() const { return late_rows_; }
    const std::vector<std::pair<uint64_t, Refusal>>& refusals() const { return refusals_; }
    const std::vector<RunOpened>& opened() const { return opened_; }
    uint64_t durable_ordinal() const { return durable_ordinal_; }

    void on_durable(uint64_t ordinal, uint64_t late_rows) override;
    void on_refused(uint64_t ordinal, Refusal refusal) override;
    void on_opened(uint64_t ordinal, RunOpened opened) override;

  private:
    struct OpenedRun {
        uint32_t handle = 0;
        uint64_t next_number = 1;
        bool known = false;  // the engine has confirmed it once
    };
    struct Sent {
        std::string run;
        std::shared_ptr<const Schema> schema;
        std::vector<std::byte> frame;
    };

    void open_run(const std::string& run, OpenedRun& state);
    void submit_frame(size_t index);
    void announce_schema(const std::string& run, const Schema& schema);

    Id128 writer_;
    SimStore* store_ = nullptr;
    std::unique_ptr<WriteSession> session_;
    std::map<std::string, OpenedRun> runs_;
    std::set<std::string> announced_;  // project and schema hash, in this session
    std::vector<Sent> frames_;
    std::map<uint64_t, size_t> ordinals_;  // of this session: ordinal -> index into frames_
    std::map<uint64_t, std::string> opening_;
    size_t acknowledged_ = 0;
    uint64_t durable_ordinal_ = 0;
    uint64_t late_rows_ = 0;
    std::vector<std::pair<uint64_t, Refusal>> refusals_;
    std::vector<RunOpened> opened_;
};

}  // namespace stepdb
