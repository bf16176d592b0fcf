#include "clients/cpp/writer.h"

#include <sys/random.h>
#include <time.h>

#include "clients/cpp/run_state.h"
#include "clients/cpp/send_queue.h"
#include "clients/cpp/sender.h"
#include "engine/model/life_frame.h"
#include "engine/model/limits.h"

namespace stepdb::client {

namespace {

int64_t system_now_us() {
    timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

Result<Id128> random_id() {
    Id128 id;
    if (getrandom(id.bytes.data(), id.bytes.size(), 0) != static_cast<ssize_t>(id.bytes.size())) {
        return make_error(ErrorCode::kIoError, "the system gives no random bytes");
    }
    return id;
}

Status check_options(const Options& options) {
    if (options.frame_bytes == 0 || options.frame_bytes > kFrameBytesMax ||
        options.queue_bytes_max == 0) {
        return make_error(ErrorCode::kInvalidArgument,
                          "frame_bytes {} and queue_bytes_max {}: both at least 1, frame_bytes at "
                          "most {}",
                          options.frame_bytes, options.queue_bytes_max, kFrameBytesMax);
    }
    if (options.linger.count() < 0 || options.retry_delay_min.count() < 1 ||
        options.retry_delay_max < options.retry_delay_min) {
        return make_error(ErrorCode::kInvalidArgument,
                          "linger of {} us, delays from {} to {} ms: linger is 0 or more, delays "
                          "at least 1 ms and the second not below the first",
                          options.linger.count(), options.retry_delay_min.count(),
                          options.retry_delay_max.count());
    }
    return {};
}

uint8_t mode_bits(OpenMode mode) {
    switch (mode) {
        case OpenMode::kCreateIfMissing:
            return OpenRunFrame::kCreateIfMissing;
        case OpenMode::kMustCreate:
            return OpenRunFrame::kMustCreate;
        case OpenMode::kMustExist:
            return 0;
        case OpenMode::kResume:
            return OpenRunFrame::kResume;
    }
    return 0;
}

}  // namespace

// --- RowLog ---

Status RowLog::log_row(Axis axis, double step, const Values& values, int64_t time_us) const {
    if (lane_->format.axis != axis) {
        return make_error(ErrorCode::kInvalidArgument, "run {}: the schema of '{}' is {}; use {}",
                          run_->path(), schema().metric(0),
                          axis == Axis::kStepped ? "timed" : "stepped",
                          axis == Axis::kStepped ? "log_timed()" : "log() with a step");
    }
    if (time_us == kNow) {
        const auto& now_us = queue_->options().now_us;
        time_us = now_us ? now_us() : system_now_us();
    }
    return run_->log(*lane_, step, time_us, values);
}

Status RowLog::log(double step, const Values& values, int64_t time_us) const {
    return log_row(Axis::kStepped, step, values, time_us);
}

Status RowLog::log_timed(const Values& values, int64_t time_us) const {
    return log_row(Axis::kTimed, 0, values, time_us);
}

uint64_t RowLog::rows() const {
    return run_->rows(*lane_);
}

const Schema& RowLog::schema() const {
    return *lane_->schema;
}

// --- Run ---

Result<RowLog> Run::row_log(std::span<const std::string_view> metrics, Axis axis, ValueType type) {
    TRY_ASSIGN(Schema schema, Schema::create(axis, metrics));
    return row_log(std::make_shared<const Schema>(std::move(schema)), type);
}

Result<RowLog> Run::row_log(std::shared_ptr<const Schema> schema, ValueType type) {
    TRY_ASSIGN(RowLane* const lane, run_->lane(std::move(schema), type));
    return RowLog(run_, queue_, lane);
}

const std::string& Run::path() const {
    return run_->path();
}

uint32_t Run::attempt() const {
    return run_->attempt();
}

void Run::set_attempt(uint32_t attempt) {
    run_->set_attempt(attempt);
}

Status Run::restart(std::optional<double> step, uint32_t attempt) {
    RestartRunFrame frame;
    frame.handle = run_->handle();
    frame.attempt = attempt == 0 ? run_->attempt() + 1 : attempt;
    frame.step = step;
    const auto outcome =
        run_->push([&](uint64_t number) { return encode_restart_run_frame(frame, number); }, true);
    TRY(queue_->wait_for(*outcome));
    run_->set_attempt(frame.attempt);
    return {};
}

Status Run::set(std::string name, AttributeValue value) {
    std::vector<AttributeChange> changes;
    changes.emplace_back(AttributeChange::Kind::kSet, std::move(name), std::move(value));
    return change_attributes(std::move(changes));
}

Status Run::add_tags(StringSet tags) {
    AttributeValue value;
    value.emplace<StringSet>(std::move(tags));
    std::vector<AttributeChange> changes;
    changes.emplace_back(AttributeChange::Kind::kAddToSet, std::string(kTagsAttribute),
                         std::move(value));
    return change_attributes(std::move(changes));
}

Status Run::change_attributes(std::vector<AttributeChange> changes) {
    if (changes.empty()) {
        return {};
    }
    for (const AttributeChange& change : changes) {
        TRY(check_attribute_change(change));
    }
    SetAttributesFrame frame;
    frame.handle = run_->handle();
    frame.changes = std::move(changes);
    const auto outcome = run_->push(
        [&](uint64_t number) { return encode_set_attributes_frame(frame, number); }, true);
    return queue_->wait_for(*outcome);
}

Status Run::heartbeat() {
    if (queue_->has_failed()) {
        return queue_->failure();
    }
    run_->push([&](uint64_t number) { return encode_heartbeat_frame(run_->handle(), number); },
               false);
    return {};
}

Status Run::finish(stepdb::RunState state) {
    FinishRunFrame frame;
    frame.handle = run_->handle();
    frame.attempt = run_->attempt();
    frame.state = state;
    const auto outcome =
        run_->push([&](uint64_t number) { return encode_finish_run_frame(frame, number); }, true);
    return queue_->wait_for(*outcome);
}

// --- Writer ---

Writer::Writer(const Options& options)
    : queue_(std::make_shared<SendQueue>(options)), sender_(std::make_unique<Sender>(*queue_)) {}

Result<std::unique_ptr<Writer>> Writer::connect(Options options) {
    TRY(check_options(options));
    if (options.writer.is_zero()) {
        TRY_ASSIGN(options.writer, random_id());
    }
    std::unique_ptr<Writer> writer(new Writer(options));
    TRY(writer->sender_->start());
    return writer;
}

Writer::~Writer() {
    static_cast<void>(close());
}

const Id128& Writer::id() const {
    return queue_->options().writer;
}

Result<Run> Writer::open_run(std::string_view project, std::string_view run, OpenMode mode) {
    RunOpening opening;
    opening.project = project;
    opening.run = run;
    opening.mode = mode_bits(mode);
    return open(std::move(opening));
}

Result<Run> Writer::fork_run(std::string_view project, std::string_view run,
                             std::string_view parent, double fork_step) {
    RunOpening opening;
    opening.project = project;
    opening.run = run;
    opening.mode = OpenRunFrame::kCreateIfMissing;
    opening.parent = parent;
    opening.fork_step = fork_step;
    return open(std::move(opening));
}

Result<Run> Writer::open(RunOpening opening) {
    TRY(check_id("project", opening.project));
    TRY(check_id("run", opening.run));
    std::shared_ptr<RunState> run;
    {
        const std::lock_guard lock(mutex_);
        run = std::make_shared<RunState>(queue_, std::move(opening), next_handle_++);
        if (runs_.size() == runs_.capacity()) {
            std::erase_if(runs_, [](const auto& each) { return each.expired(); });
        }
        runs_.push_back(run);
    }
    TRY_ASSIGN(const RunOpened opened, run->open());
    return Run(run, queue_, opened.created);
}

// Of all runs: the sender may be about to seal one that it has taken off the list of dirty lanes.
void Writer::seal_all() {
    std::vector<std::weak_ptr<RunState>> runs;
    {
        const std::lock_guard lock(mutex_);
        runs = runs_;
    }
    for (const std::weak_ptr<RunState>& each : runs) {
        if (const std::shared_ptr<RunState> run = each.lock()) {
            run->seal_all();
        }
    }
}

Result<Report> Writer::flush() {
    seal_all();
    TRY(queue_->wait_until_settled());
    return queue_->take_report();
}

Report Writer::take_report() {
    return queue_->take_report();
}

Counts Writer::counts() const {
    return queue_->counts();
}

Status Writer::close() {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(is_closed_, true)) {
            return {};
        }
    }
    seal_all();
    queue_->stop(std::chrono::steady_clock::now() + queue_->options().close_time_max);
    Status settled = queue_->wait_until_settled();
    sender_->join();
    return settled;
}

}  // namespace stepdb::client
