#include "tests/support/sim_store.h"

#include <algorithm>
#include <cmath>

#include "engine/model/rows.h"
#include "engine/segment/summary_section.h"
#include "engine/snapshot.h"
#include "engine/verify.h"

namespace stepdb {

namespace {

// Enough for some of what is read to be there the next time, and some not.
constexpr size_t kCacheBytes = 16U << 10U;

std::pair<std::string_view, std::string_view> split_run(std::string_view path) {
    const size_t slash = path.find('/');
    CHECK(slash != std::string_view::npos, "{}", path);
    return {path.substr(0, slash), path.substr(slash + 1)};
}

Summary scan(const ReferenceModel::Series& series, KeyRange range) {
    Points points;
    for (const auto& [key, point] : series) {
        if (range.contains(key)) {
            points.keys.push_back(key);
            points.times.push_back(point.time_us);
            points.values.push_back(std::bit_cast<double>(point.value_bits));
        }
    }
    return summarize(points.keys, points.times, points.values);
}

// Where nothing has to be read for it, it is that too.
void check_kept_summary(SnapshotReader& reader, RunView view, std::string_view metric,
                        const ReferenceModel::Series& series) {
    const std::optional<SeriesSummary> kept = reader.kept_summary(view, metric);
    if (!kept) {
        return;
    }
    CHECK(agrees(kept->summary, scan(series, KeyRange())),
          "what is kept of {} of {}#{}: {} finite of {} points of {}", metric, view.run->path(),
          view.attempt, kept->summary.count, kept->summary.points(), series.size());
    const std::optional<Axis> axis = reader.snapshot().find_metric(view, metric);
    CHECK(axis == std::optional(kept->axis), "what is kept of {} of {} is on another axis", metric,
          view.run->path());
}

// The summary of a series, or of a part of it, is that of a scan.
Task<Status> check_summary(SnapshotReader& reader, RunView view, std::string metric,
                           const ReferenceModel::Series* series, KeyRange range) {
    const Result<Summary> read = co_await reader.summarize(view, metric, range);
    if (!read) {
        co_return read.error();
    }
    const Summary scanned = scan(*series, range);
    CHECK(agrees(*read, scanned),
          "summary of {} of {}#{} in keys {}..{}: {} finite of {}, {} to {}, mean {}; of its {} "
          "points {} finite, {} to {}, mean {}",
          metric, view.run->path(), view.attempt, range.first, range.last, read->count,
          read->points(), read->first.key, read->last.key, read->count == 0 ? 0 : read->mean(),
          scanned.points(), scanned.count, scanned.first.key, scanned.last.key,
          scanned.count == 0 ? 0 : scanned.mean());
    co_return Status();
}

// Of the whole, and of what lies between two of its points.
Task<Status> check_summaries(SnapshotReader& reader, RunView view, std::string metric,
                             const ReferenceModel::Series* series) {
    const Status whole = co_await check_summary(reader, view, metric, series, KeyRange());
    if (!whole) {
        co_return whole;
    }
    check_kept_summary(reader, view, metric, *series);
    if (series->size() < 4) {
        co_return whole;
    }
    const auto quarter = static_cast<ptrdiff_t>(series->size() / 4);
    const KeyRange middle{std::next(series->begin(), quarter)->first,
                          std::prev(series->end(), quarter)->first};
    co_return co_await check_summary(reader, view, metric, series, middle);
}

void check_bucket(const Bucket& read, const Bucket& scanned, double magnitude, size_t number) {
    const auto same = [](double a, double b) { return same_bits(a, b); };
    const double sum = scanned.sum.sum();
    const bool is_sum_right =
        std::isfinite(sum) ? std::fabs(read.sum.sum() - sum) <= 1e-12 * magnitude : true;
    CHECK(read.count == scanned.count && read.nan == scanned.nan &&
              read.positive_infinity == scanned.positive_infinity &&
              read.negative_infinity == scanned.negative_infinity && same(read.min, scanned.min) &&
              same(read.max, scanned.max) && read.min_key == scanned.min_key &&
              read.max_key == scanned.max_key && same(read.first, scanned.first) &&
              same(read.last, scanned.last) && read.first_key == scanned.first_key &&
              read.last_key == scanned.last_key && is_sum_right,
          "bucket {}: {} of {} finite, {} to {}, sum {}, first {}, last {}; of its points {} of "
          "{}, {} to {}, sum {}, first {}, last {}",
          number, read.count, read.points(), read.min, read.max, read.sum.sum(), read.first_key,
          read.last_key, scanned.count, scanned.points(), scanned.min, scanned.max, sum,
          scanned.first_key, scanned.last_key);
}

// Buckets are those of a scan, whatever pieces their points lie in; and so are the outermost keys.
Task<Status> check_buckets(SnapshotReader& reader, RunView view, std::string metric,
                           const ReferenceModel::Series* series, std::vector<Key> edges) {
    const KeyRange range{edges.front(), edges.back()};
    std::vector<Bucket> buckets(edges.size() - 1);
    const BucketRow row{edges, buckets};
    const std::unique_ptr<BucketScan> scan = reader.open_buckets(view, metric, range, row);
    while (true) {
        const Result<size_t> points = co_await scan->next();
        if (!points) {
            co_return points.error();
        }
        if (*points == 0) {
            break;
        }
    }
    std::vector<Bucket> scanned(buckets.size());
    std::vector<double> magnitudes(buckets.size());
    for (const auto& [key, point] : *series) {
        if (range.contains(key)) {
            const size_t bucket = bucket_of(edges, 0, key);
            const double value = std::bit_cast<double>(point.value_bits);
            scanned[bucket].add(key, value);
            magnitudes[bucket] += std::isfinite(value) ? std::fabs(value) : 0;
        }
    }
    for (size_t i = 0; i < buckets.size(); ++i) {
        check_bucket(buckets[i], scanned[i], magnitudes[i], i);
    }
    const auto keys = co_await reader.key_range(view, metric);
    if (!keys) {
        co_return keys.error();
    }
    const bool is_range_right = series->empty() ? !keys->has_value()
                                                : keys->has_value() &&
                                                      (*keys)->first == series->begin()->first &&
                                                      (*keys)->last == series->rbegin()->first;
    CHECK(is_range_right, "keys of {} of {}#{}", metric, view.run->path(), view.attempt);
    co_return Status();
}

// Edges at points, between them, twice at the same key, and beyond the ends.
Task<Status> check_all_buckets(SnapshotReader& reader, RunView view, std::string metric,
                               const ReferenceModel::Series* series) {
    std::vector<Key> edges;
    size_t number = 0;
    const size_t stride = std::max<size_t>(1, series->size() / 9);
    for (const auto& [key, point] : *series) {
        if (number % stride == 0) {
            edges.push_back(number % 2 == 0 ? key : key + 1);
        }
        if (number % (3 * stride) == 0) {
            edges.push_back(edges.back());
        }
        ++number;
    }
    if (edges.size() < 2) {
        co_return Status();
    }
    const Status inner = co_await check_buckets(reader, view, metric, series, edges);
    if (!inner) {
        co_return inner;
    }
    edges.front() = kKeyMin;
    edges.back() = kKeyMax;
    co_return co_await check_buckets(reader, view, metric, series, std::move(edges));
}

// What else can be asked of a series is what its points give.
Task<Status> check_series(SnapshotReader& reader, RunView view, std::string metric,
                          const ReferenceModel::Series* series) {
    const Status agreed = co_await check_summaries(reader, view, metric, series);
    if (!agreed) {
        co_return agreed;
    }
    co_return co_await check_all_buckets(reader, view, metric, series);
}

Task<Result<ReferenceModel::Series>> read_series(SnapshotReader& reader, const Run& run,
                                                 uint32_t attempt, std::string metric) {
    const std::unique_ptr<SeriesCursor> cursor =
        reader.open_series({run, attempt}, metric, KeyRange());
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
    options.merge_bytes_max = 16U << 10U;
    options.reserve_bytes = 0;  // for those who look at full disks
    return options;
}

SimStore::SimStore(SimDisk& disk, uint64_t seed, EngineOptions options)
    : disk_(disk),
      random_(seed),
      options_(std::move(options)),
      cache_(std::make_shared<BlockCache>(kCacheBytes)) {}

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
    files_->watch_operations(on_begin_);
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
    if (before_end_ && engine_ != nullptr) {
        before_end_();
    }
    engine_.reset();
    files_.reset();
    cache_ = std::make_shared<BlockCache>(kCacheBytes);
}

Result<VerifyReport> SimStore::verify_report() {
    run();
    VerifyOptions options;
    options.directory = options_.directory;
    options.take_lock = false;
    return run_task(*executor_, verify_store(*files_, options));
}

std::string SimStore::verify() {
    return describe_problems(verify_report());
}

std::string describe_problems(const Result<VerifyReport>& report) {
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
    std::vector<uint64_t> ids;
    for (const auto& run : engine_->catalog()->runs()) {
        ids.push_back(run->id);
    }
    return contents(engine_->snapshot(ids));
}

Result<ReferenceModel::Contents> SimStore::contents(std::shared_ptr<const Snapshot> snapshot) {
    ReferenceModel::Contents contents;
    SnapshotReader reader(*files_, snapshot, nullptr, cache_);
    for (const auto& run : snapshot->runs()) {
        for (const Attempt& attempt : run->attempts) {
            if (attempt.discarded) {
                continue;
            }
            const bool newest = attempt.number == run->newest_attempt().number;
            const std::string name =
                newest ? run->path() : fmt::format("{}#{}", run->path(), attempt.number);
            for (const MetricInfo& metric : snapshot->metrics({*run, attempt.number})) {
                Result<ReferenceModel::Series> series =
                    run_task(*executor_, read_series(reader, *run, attempt.number, metric.name));
                if (!series) {
                    return series.error();
                }
                if (reads_all_) {
                    const RunView view{*run, attempt.number};
                    TRY(run_task(*executor_, check_series(reader, view, metric.name, &*series)));
                }
                if (!series->empty()) {
                    contents[{name, metric.name}] = std::move(*series);
                }
            }
        }
    }
    summaries_used_ += reader.cost().summaries_used;
    nodes_used_ += reader.cost().nodes_used;
    return contents;
}

std::map<std::string, ModelFacts> SimStore::facts() {
    std::map<std::string, ModelFacts> facts;
    const std::shared_ptr<const Catalog> catalog = engine_->catalog();
    for (const auto& run : catalog->runs()) {
        ModelFacts& of_run = facts[run->path()];
        of_run.state = run->state;
        of_run.attributes = run->all_attributes();
        for (const Attempt& attempt : run->attempts) {
            (attempt.discarded ? of_run.discarded : of_run.attempts).push_back(attempt.number);
        }
        if (run->fork_parent() != 0) {
            const std::shared_ptr<const Run> parent = catalog->find_run(run->fork_parent());
            of_run.parent = parent == nullptr ? "(missing)" : parent->path();
        }
    }
    return facts;
}

TestWriter::~TestWriter() {
    disconnect();
}

void TestWriter::connect(SimStore& store) {
    disconnect();
    store_ = &store;
    store.add_writer(*this);
    session_ = store.open_session(writer_, *this);
    announced_.clear();
    ordinals_.clear();
    opening_.clear();
    durable_ordinal_ = 0;
    for (auto& [run, state] : runs_) {
        state.handle = next_handle_++;
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

// Numbers below have been used up, by refused frames too, which the engine forgets in a restart.
uint64_t TestWriter::first_unanswered(const std::string& run, const OpenedRun& state) const {
    for (size_t index = acknowledged_; index < frames_.size(); ++index) {
        if (frames_[index].run == run) {
            return frames_[index].number;
        }
    }
    return state.next_number;
}

void TestWriter::open_run(const std::string& run, OpenedRun& state) {
    const auto [project, name] = split_run(run);
    OpenRunFrame open;
    open.handle = state.handle;
    open.mode = OpenRunFrame::kCreateIfMissing;
    open.mode |= state.known ? OpenRunFrame::kResume : uint8_t{0};
    open.project = project;
    open.run = name;
    open.first_number = first_unanswered(run, state);
    open.parent = state.parent;
    open.fork_step = state.fork_step;
    const uint64_t ordinal = session_->submit(encode_open_run_frame(open));
    opening_[ordinal] = run;
}

void TestWriter::announce_schema(const std::string& run, const Schema& schema) {
    const std::string project(split_run(run).first);
    if (announced_.insert(project + " " + schema.hash().to_hex()).second) {
        session_->submit(encode_schema_frame(project, schema));
    }
}

TestWriter::OpenedRun& TestWriter::opened_run(const std::string& run) {
    const auto [at, added] = runs_.try_emplace(run);
    if (added) {
        at->second.handle = next_handle_++;
        open_run(run, at->second);
    }
    return at->second;
}

size_t TestWriter::send_life(const std::string& run, const EncodeLife& encode) {
    OpenedRun& mine = opened_run(run);
    Sent sent;
    sent.run = run;
    sent.number = mine.next_number++;
    sent.frame = encode(mine.handle, sent.number);
    frames_.push_back(std::move(sent));
    if (session_ != nullptr) {
        submit_frame(frames_.size() - 1);
    }
    return frames_.size() - 1;
}

void TestWriter::fork_run(const std::string& run, const std::string& parent, double step) {
    OpenedRun& mine = runs_[run];
    mine.handle = next_handle_++;
    mine.parent = split_run(parent).second;
    mine.fork_step = step;
    open_run(run, mine);
}

size_t TestWriter::send(const ModelChange& change, bool compress, bool crc32) {
    OpenedRun& mine = opened_run(change.run);
    RowsBuilder builder(change.schema);
    for (const ModelRow& row : change.rows) {
        builder.add(row.step, row.time_us, std::span(row.values));
    }
    Sent sent;
    sent.run = change.run;
    sent.schema = change.schema;
    sent.number = mine.next_number;
    sent.frame = builder.finish(mine.handle, change.attempt, mine.next_number++, compress);
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
    if (sent.schema != nullptr) {
        announce_schema(sent.run, *sent.schema);
    }
    ordinals_[session_->submit(sent.frame)] = index;
}

void TestWriter::finish_run(const std::string& run, RunState state) {
    OpenedRun& mine = runs_.at(run);
    FinishRunFrame finish;
    finish.handle = mine.handle;
    finish.state = state;
    session_->submit(encode_finish_run_frame(finish, mine.next_number++));
}

void TestWriter::forget_project(const std::string& project) {
    std::erase_if(runs_, [&](const auto& run) { return run.first.starts_with(project + "/"); });
}

void TestWriter::give_up() {
    acknowledged_ = frames_.size();
    ordinals_.clear();
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
    // Unavailable says that the frame may come again.
    const auto at = ordinals_.find(ordinal);
    changes_refused_ += at != ordinals_.end() ? 1U : 0U;
    if (at != ordinals_.end() && refusal.error.code() != ErrorCode::kUnavailable &&
        refusal.error.code() != ErrorCode::kResourceExhausted) {
        acknowledged_ = std::max(acknowledged_, at->second + 1);
        ordinals_.erase(at);
    }
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
