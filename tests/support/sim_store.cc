#include "tests/support/sim_store.h"

#include <algorithm>

#include "engine/model/rows.h"
#include "engine/snapshot.h"
#include "engine/verify.h"

namespace stepdb {

namespace {

std::pair<std::string_view, std::string_view> split_run(std::string_view path) {
    const size_t slash = path.find('/');
    CHECK(slash != std::string_view::npos, "{}", path);
    return {path.substr(0, slash), path.substr(slash + 1)};
}

Task<Result<ReferenceModel::Series>> read_series(SnapshotReader& reader, const Run& run,
                                                 std::string metric) {
    const std::unique_ptr<SeriesCursor> cursor =
        reader.open_series(run, run.newest_attempt().number, metric, KeyRange());
    ReferenceModel::Series series;
    Points batch;
    while (true) {
        const Result<bool> more = co_await cursor->next(batch);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            co_return series;
        }
        for (size_t i = 0; i < batch.size(); ++i) {
            CHECK(series.empty() || series.rbegin()->first < batch.keys[i], "key {} out of order",
                  batch.keys[i]);
            series[batch.keys[i]] = {batch.times[i], bits_of(batch.values[i])};
        }
    }
}

}  // namespace

void ReferenceModel::apply(const ModelChange& change) {
    const bool stepped = change.schema->axis() == Axis::kStepped;
    for (const ModelRow& row : change.rows) {
        const Key key = stepped ? key_of_step(*row.step) : *row.time_us;
        for (uint32_t column = 0; column < change.schema->width(); ++column) {
            if (row.values[column]) {
                contents_[{change.run, change.schema->metric(column)}][key] = {
                    *row.time_us, bits_of(*row.values[column])};
            }
        }
    }
}

std::string describe_difference(const ReferenceModel::Contents& want,
                                const ReferenceModel::Contents& got) {
    for (const auto& [name, series] : want) {
        const auto found = got.find(name);
        if (found == got.end()) {
            return fmt::format("series {} {} is missing", name.first, name.second);
        }
        for (const auto& [key, point] : series) {
            const auto at = found->second.find(key);
            if (at == found->second.end()) {
                return fmt::format("{} {}: key {} is missing", name.first, name.second, key);
            }
            if (at->second != point) {
                return fmt::format("{} {} key {}: value {:x} at {}, expected {:x} at {}",
                                   name.first, name.second, key, at->second.value_bits,
                                   at->second.time_us, point.value_bits, point.time_us);
            }
        }
        if (found->second.size() != series.size()) {
            return fmt::format("{} {}: {} points, expected {}", name.first, name.second,
                               found->second.size(), series.size());
        }
    }
    for (const auto& [name, series] : got) {
        if (!want.contains(name)) {
            return fmt::format("series {} {} should not be there", name.first, name.second);
        }
    }
    return "";
}

EngineOptions SimStore::small_options() {
    EngineOptions options;
    options.directory = "store";
    options.log_file_bytes = 64U << 10U;
    options.log_live_bytes_max = 256U << 10U;
    options.log_group_bytes_max = 16U << 10U;
    options.tail_rows_max = 16;
    options.tail_bytes_max = 4096;
    options.memory_blocks_bytes_max = 64U << 10U;
    options.manifest_bytes_max = 8U << 10U;
    return options;
}

SimStore::SimStore(SimDisk& disk, uint64_t seed, EngineOptions options)
    : disk_(disk), random_(seed), options_(std::move(options)) {}

SimStore::~SimStore() {
    if (engine_ != nullptr) {
        crash(CrashKind::kProcessKill);
    }
}

Status SimStore::open() {
    CHECK(engine_ == nullptr);
    executor_ = std::make_unique<SimExecutor>(random_.next());
    files_ = std::make_unique<SimFileSystem>(disk_, *executor_);
    if (const uint64_t at = std::exchange(crash_open_at_, 0); at != 0) {
        files_->crash_at_operation(at);
    }
    const EngineEnvironment environment(*executor_, *files_, clock_, random_);
    Result<std::unique_ptr<Engine>> engine =
        run_task(*executor_, Engine::open(environment, options_));
    if (!engine) {
        crash(CrashKind::kPowerCut);
        return engine.error();
    }
    engine_ = std::move(*engine);
    return {};
}

Status SimStore::close() {
    Status closed = run_task(*executor_, engine_->close());
    run();
    discard_engine();
    return closed;
}

void SimStore::crash(CrashKind kind) {
    if (files_ != nullptr) {
        files_->crash(kind, random_);
        executor_->run_until_idle();
    }
    discard_engine();
}

void SimStore::discard_engine() {
    while (!writers_.empty()) {
        (*writers_.begin())->disconnect();
    }
    engine_.reset();
    files_.reset();
}

std::string SimStore::verify() {
    run();
    VerifyOptions options;
    options.directory = options_.directory;
    options.take_lock = false;
    const Result<VerifyReport> report = run_task(*executor_, verify_store(*files_, options));
    if (!report) {
        return report.error().to_string();
    }
    std::string words;
    for (const StoreProblem& problem : report->problems) {
        words +=
            fmt::format("{} byte {}: {}\n", problem.file, problem.offset.value_or(0), problem.what);
    }
    return words;
}

Result<ReferenceModel::Contents> SimStore::contents() {
    ReferenceModel::Contents contents;
    std::vector<uint64_t> ids;
    for (const auto& [name, run] : engine_->catalog()->runs()) {
        ids.push_back(run->id);
    }
    const std::shared_ptr<const Snapshot> snapshot = engine_->snapshot(ids);
    SnapshotReader reader(*files_, snapshot);
    for (const auto& run : snapshot->runs()) {
        for (const MetricInfo& metric : snapshot->metrics(*run, run->newest_attempt().number)) {
            Result<ReferenceModel::Series> series =
                run_task(*executor_, read_series(reader, *run, metric.name));
            if (!series) {
                return series.error();
            }
            if (!series->empty()) {
                contents[{run->path(), metric.name}] = std::move(*series);
            }
        }
    }
    return contents;
}

TestWriter::~TestWriter() {
    disconnect();
}

void TestWriter::connect(SimStore& store) {
    disconnect();
    store_ = &store;
    store.add_writer(*this);
    session_ = store.engine().open_session(writer_, *this);
    announced_.clear();
    ordinals_.clear();
    opening_.clear();
    durable_ordinal_ = 0;
    uint32_t handle = 0;
    for (auto& [run, state] : runs_) {
        state.handle = ++handle;
        open_run(run, state);
    }
    for (size_t index = acknowledged_; index < frames_.size(); ++index) {
        // The frame holds the handle of the session it was first sent on.
        std::vector<std::byte>& frame = frames_[index].frame;
        store_le(frame.data() + kFrameHeaderBytes, runs_[frames_[index].run].handle);
        const auto kind = static_cast<ChecksumKind>(load_le<uint8_t>(frame.data() + 6));
        store_le(frame.data() + 8, frame_checksum(kind, frame));
        submit_frame(index);
    }
}

void TestWriter::disconnect() {
    session_.reset();
    if (store_ != nullptr) {
        store_->remove_writer(*this);
        store_ = nullptr;
    }
}

void TestWriter::open_run(const std::string& run, OpenedRun& state) {
    const auto [project, name] = split_run(run);
    OpenRunFrame open;
    open.handle = state.handle;
    open.mode = OpenRunFrame::kCreateIfMissing;
    open.mode |= state.known ? OpenRunFrame::kResume : uint8_t{0};
    open.project = project;
    open.run = name;
    const uint64_t ordinal = session_->submit(encode_open_run_frame(open));
    opening_[ordinal] = run;
}

void TestWriter::announce_schema(const std::string& run, const Schema& schema) {
    const std::string project(split_run(run).first);
    if (announced_.insert(project + " " + schema.hash().to_hex()).second) {
        session_->submit(encode_schema_frame(project, schema));
    }
}

size_t TestWriter::send(const ModelChange& change, bool compress, bool crc32) {
    const auto [at, added] = runs_.try_emplace(change.run);
    if (added) {
        at->second.handle = static_cast<uint32_t>(runs_.size());
        open_run(change.run, at->second);
    }
    RowsBuilder builder(change.schema);
    for (const ModelRow& row : change.rows) {
        builder.add(row.step, row.time_us, std::span(row.values));
    }
    Sent sent;
    sent.run = change.run;
    sent.schema = change.schema;
    sent.frame = builder.finish(at->second.handle, 0, at->second.next_number++, compress);
    if (crc32) {
        sent.frame[6] = static_cast<std::byte>(ChecksumKind::kCrc32);
        store_le(sent.frame.data() + 8, frame_checksum(ChecksumKind::kCrc32, sent.frame));
    }
    frames_.push_back(std::move(sent));
    if (session_ != nullptr) {
        submit_frame(frames_.size() - 1);
    }
    return frames_.size() - 1;
}

void TestWriter::submit_frame(size_t index) {
    const Sent& sent = frames_[index];
    announce_schema(sent.run, *sent.schema);
    ordinals_[session_->submit(sent.frame)] = index;
}

void TestWriter::finish_run(const std::string& run, RunState state) {
    OpenedRun& mine = runs_.at(run);
    FinishRunFrame finish;
    finish.handle = mine.handle;
    finish.state = state;
    session_->submit(encode_finish_run_frame(finish, mine.next_number++));
}

uint64_t TestWriter::submit(const std::vector<std::byte>& frame) {
    return session_->submit(frame);
}

void TestWriter::on_durable(uint64_t ordinal, uint64_t late_rows) {
    CHECK(ordinal > durable_ordinal_, "ordinal {} after {}", ordinal, durable_ordinal_);
    durable_ordinal_ = ordinal;
    late_rows_ += late_rows;
    while (!ordinals_.empty() && ordinals_.begin()->first <= ordinal) {
        acknowledged_ = std::max(acknowledged_, ordinals_.begin()->second + 1);
        ordinals_.erase(ordinals_.begin());
    }
}

void TestWriter::on_refused(uint64_t ordinal, Refusal refusal) {
    refusals_.emplace_back(ordinal, std::move(refusal));
}

void TestWriter::on_opened(uint64_t ordinal, RunOpened opened) {
    const auto at = opening_.find(ordinal);
    if (at != opening_.end()) {
        runs_[at->second].known = true;
    }
    opened_.push_back(opened);
}

}  // namespace stepdb
