// Logs metrics to a StepDB server: the library for C++ programs.
//
//   client::Options options;
//   options.port = 7420;
//   TRY_ASSIGN(const auto writer, client::Writer::connect(options));
//   TRY_ASSIGN(client::Run run, writer->open_run("llm", "r17"));
//   TRY_ASSIGN(client::RowLog train, run.row_log({"train/loss", "train/lr"}));
//   for (int step = 0; step < steps; ++step) {
//       TRY(train.log(step, std::array{loss, lr}));
//   }
//   TRY(run.finish());
//   TRY_ASSIGN(const client::Report report, writer->flush());
//
// log() copies a row into a buffer and returns; a thread of the writer's sends buffers that are
// full, or older than Options::linger, and hears what became of them. A lost connection is made
// anew and what had no outcome is sent again; the server takes every row once. The queue is bounded
// in bytes; when it is full, log() waits or drops the row, as Options::when_full says.
//
// Everything may be called on any thread, and from several at once. Rows of one run, whatever the
// RowLog, count in the order of their log() calls. Handles (Run, RowLog) are cheap to copy; used
// after their writer is gone, they return errors.
//
// Errors. A frame that the server refuses does not stop others: it is in the report. Everything is
// an error once the writer has given up (Options::give_up_time), and everything of a run once the
// server does not know its writer any more, or another process has opened it with the same writer
// id.
#pragma once

#include <initializer_list>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/options.h"
#include "clients/cpp/values.h"
#include "engine/base/result.h"
#include "engine/model/attribute.h"
#include "engine/model/frame.h"
#include "engine/model/schema.h"

namespace stepdb::client {

class RunState;
class SendQueue;
class Sender;
struct RowLane;

// As the time of a row: the moment at which it is logged.
inline constexpr int64_t kNow = std::numeric_limits<int64_t>::min();

// Takes rows of one schema into one run.
class RowLog {
  public:
    // A row of a stepped schema: finite step, one value for each metric. `time_us` is microseconds
    // since the Unix epoch. kInvalidArgument for a row that no server would take; the run's error,
    // or the writer's. Not an error if the row was dropped (Options::when_full).
    Status log(double step, const Values& values, int64_t time_us = kNow) const;
    // A row of a timed schema, whose key is its time.
    Status log_timed(const Values& values, int64_t time_us = kNow) const;

    // Rows logged so far, those of other handles to the same schema and run included: the index of
    // the next in Refused::first_row.
    uint64_t rows() const;
    const Schema& schema() const;

  private:
    friend class Run;
    RowLog(std::shared_ptr<RunState> run, std::shared_ptr<SendQueue> queue, RowLane* lane)
        : run_(std::move(run)), queue_(std::move(queue)), lane_(lane) {}
    Status log_row(Axis axis, double step, const Values& values, int64_t time_us) const;

    std::shared_ptr<RunState> run_;
    std::shared_ptr<SendQueue> queue_;
    RowLane* lane_;
};

// An open run. What changes it otherwise than by rows takes effect behind all rows logged before,
// and waits for the server's word, which it returns.
class Run {
  public:
    // Where rows of these metrics go. All runs of a project share a schema; define it once and keep
    // the handle. kInvalidArgument for paths that can be none, kFailedPrecondition if the run logs
    // the schema with another type of values.
    Result<RowLog> row_log(std::span<const std::string_view> metrics, Axis axis = Axis::kStepped,
                           ValueType type = ValueType::kFloat32);
    Result<RowLog> row_log(std::initializer_list<std::string_view> metrics,
                           Axis axis = Axis::kStepped, ValueType type = ValueType::kFloat32) {
        return row_log(std::span(metrics.begin(), metrics.size()), axis, type);
    }
    Result<RowLog> row_log(std::shared_ptr<const Schema> schema, ValueType type);

    const std::string& path() const;  // PROJECT/RUN
    bool created() const { return created_; }
    // To which rows go: the newest when the run was opened, then what restart() and set_attempt()
    // say.
    uint32_t attempt() const;

    // Opens the next attempt, which reads what came before up to and including `step` (unset:
    // nothing of it), and logs to it from then on. Every rank may say the same: the first opens,
    // the others join. `attempt` 0: the one above attempt(); ranks that may have been started at
    // different times agree on a number instead.
    Status restart(std::optional<double> step, uint32_t attempt = 0);
    // Rows go to this attempt from now on, which is open; for those that belong to an older one.
    void set_attempt(uint32_t attempt);

    Status set(std::string name, AttributeValue value);
    Status add_tags(StringSet tags);
    Status change_attributes(std::vector<AttributeChange> changes);
    // Says that the run is alive, when it has no rows for minutes. Waits for nothing.
    Status heartbeat();
    Status finish(stepdb::RunState state = stepdb::RunState::kFinished);

  private:
    friend class Writer;
    Run(std::shared_ptr<RunState> run, std::shared_ptr<SendQueue> queue, bool created)
        : run_(std::move(run)), queue_(std::move(queue)), created_(created) {}

    std::shared_ptr<RunState> run_;
    std::shared_ptr<SendQueue> queue_;
    bool created_;
};

enum class OpenMode : uint8_t {
    kCreateIfMissing,
    kMustCreate,  // kAlreadyExists if it is there
    kMustExist,   // kNotFound if it is not
    kResume,      // the server must know this writer (Options::writer) on the run
};

class Writer {
  public:
    // Connects. An error at once if there is no server: a wrong address is not tried for minutes.
    static Result<std::unique_ptr<Writer>> connect(Options options);
    // close(), whatever comes of it.
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    // Of this process at the server: what Options::writer of the next one says to go on with it.
    const Id128& id() const;

    // Opens a run and waits for the server's answer: its newest attempt. The server's refusal, or
    // the writer's error.
    Result<Run> open_run(std::string_view project, std::string_view run,
                         OpenMode mode = OpenMode::kCreateIfMissing);
    // As a fork of `parent`, of the same project, which is read up to and including `fork_step`. A
    // fork that exists is opened; kAlreadyExists if the run is none or another one.
    Result<Run> fork_run(std::string_view project, std::string_view run, std::string_view parent,
                         double fork_step);

    // Sends what has been logged so far and waits until all of it has its outcome. What became of
    // it, and of all before it since the last report; or the writer's error.
    Result<Report> flush();
    // The report as it is now, without waiting; what is in it is in no other.
    Report take_report();
    Counts counts() const;

    // Sends what has been logged and waits for its outcomes, at most Options::close_time_max; then
    // ends the connection and its thread. kUnavailable if outcomes are missing then. Afterwards
    // everything is an error, but take_report().
    Status close();

  private:
    explicit Writer(const Options& options);
    Result<Run> open(struct RunOpening opening);
    void seal_all();

    std::shared_ptr<SendQueue> queue_;
    std::unique_ptr<Sender> sender_;
    std::mutex mutex_;
    std::vector<std::weak_ptr<RunState>> runs_;
    uint32_t next_handle_ = 1;
    bool is_closed_ = false;
};

}  // namespace stepdb::client
