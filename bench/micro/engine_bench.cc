// The engine as a whole, without a network, on the disk that holds the directory for temporary
// files
// ($TMPDIR): frames until they are durable and visible, a flush of what came, and the replay of a
// log at the next opening.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "bench/micro/rows_frames.h"
#include "engine/base/check.h"
#include "engine/block_cache.h"
#include "engine/engine.h"
#include "engine/io/environment.h"
#include "engine/model/frame.h"
#include "engine/snapshot.h"

namespace stepdb {
namespace {

namespace fs = std::filesystem;

constexpr size_t kTurnPoints = 4'000'000;

class Outcomes : public OutcomeSink {
  public:
    void on_durable(uint64_t ordinal, uint64_t) override {
        if (ordinal == wanted) {
            done.fire();
        }
    }
    void on_refused(uint64_t ordinal, Refusal refusal) override {
        CHECK(false, "frame {} was refused: {}", ordinal, refusal.error.message());
    }
    void on_opened(uint64_t, RunOpened) override {}

    uint64_t wanted = 0;
    Signal done;
};

// A store in a directory of its own, with a run that takes the frames of noisy_frames.
class EngineBench {
  public:
    explicit EngineBench(std::shared_ptr<const Schema> schema)
        : schema_(std::move(schema)),
          directory_(fs::temp_directory_path() / "stepdb-bench-XXXXXX") {
        CHECK(::mkdtemp(directory_.data()) != nullptr, "{}", directory_);
        io_ = std::move(IoEnvironment::create()).value();
        block_on(io_->loop(), open());
    }
    ~EngineBench() {
        block_on(io_->loop(), close());
        io_.reset();
        std::error_code ignored;
        fs::remove_all(directory_, ignored);
    }
    EngineBench(const EngineBench&) = delete;
    EngineBench& operator=(const EngineBench&) = delete;

    // Numbers go on from the last time.
    void send(const std::vector<std::vector<std::byte>>* frames) {
        block_on(io_->loop(), submit(frames));
    }
    void flush() {
        const Status flushed = block_on(io_->loop(), engine_->flush());
        CHECK(flushed.has_value(), "{}", flushed.error().message());
    }
    uint64_t segment_bytes() { return engine_->stats().segment_bytes; }

    // Points of the first metric in steps 0 to `steps`, put into `buckets` buckets.
    uint64_t chart(uint64_t steps, size_t buckets) {
        return block_on(io_->loop(), fill_buckets(steps, buckets));
    }

    // Opens a copy of what is on the disk, for reading, as after a kill; rows replayed.
    uint64_t replay_copy() {
        const std::string copy = directory_ + "/copy";
        std::error_code ignored;
        if (!fs::exists(copy)) {
            fs::copy(directory_ + "/store", copy, fs::copy_options::recursive, ignored);
            CHECK(!ignored, "{}", ignored.message());
        }
        return block_on(io_->loop(), replay(copy));
    }

  private:
    EngineEnvironment environment() {
        return EngineEnvironment(io_->loop(), io_->files(), clock_, random_);
    }

    Task<void> open() {
        EngineOptions options;
        options.directory = directory_ + "/store";
        options.merge_automatically = false;
        EngineEnvironment parts = environment();
        auto opened = co_await Engine::open(parts, std::move(options));
        CHECK(opened.has_value(), "{}", opened.error().message());
        engine_ = std::move(*opened);
        Id128 writer;
        writer.bytes[0] = std::byte{1};
        session_ = engine_->open_session(writer, outcomes_);
        for (const auto& frame : encode_schema_frames("bench", *schema_)) {
            ++submitted_;
            session_->submit(frame);
        }
        OpenRunFrame run;
        run.handle = 1;
        run.mode = OpenRunFrame::kCreateIfMissing;
        run.first_number = 1;
        run.project = "bench";
        run.run = "run";
        const std::vector<std::byte> frame = encode_open_run_frame(run);
        outcomes_.wanted = ++submitted_;
        session_->submit(frame);
        co_await outcomes_.done;
    }

    Task<void> submit(const std::vector<std::vector<std::byte>>* frames) {
        outcomes_.wanted = submitted_ + frames->size();
        for (const auto& frame : *frames) {
            ++submitted_;
            session_->submit(frame);
        }
        co_await outcomes_.done;
    }

    Task<uint64_t> fill_buckets(uint64_t steps, size_t count) {
        const auto run = engine_->catalog()->runs().find(RunPath{"bench", "run"});
        const uint64_t id = (*run)->id;
        const auto snapshot = engine_->snapshot({&id, 1});
        SnapshotReader reader(io_->files(), snapshot, nullptr, cache_);
        std::vector<Key> edges;
        for (size_t i = 0; i <= count; ++i) {
            edges.push_back(key_of_step(static_cast<double>(steps) *
                                        (static_cast<double>(i) / static_cast<double>(count))));
        }
        std::vector<Bucket> buckets(count);
        const std::unique_ptr<BucketScan> scan =
            reader.open_buckets(RunView(*snapshot->runs().front(), 0), schema_->metric(0),
                                KeyRange{edges.front(), edges.back()}, BucketRow{edges, buckets});
        size_t looked_at = 1;
        while (looked_at != 0) {
            const Result<size_t> some = co_await scan->next();
            CHECK(some.has_value(), "{}", some.error().message());
            looked_at = *some;
        }
        uint64_t points = 0;
        for (const Bucket& bucket : buckets) {
            points += bucket.points();
        }
        co_return points;
    }

    Task<uint64_t> replay(std::string copy) {
        EngineOptions options;
        options.directory = std::move(copy);
        options.read_only = true;
        EngineEnvironment parts = environment();
        auto opened = co_await Engine::open(parts, std::move(options));
        CHECK(opened.has_value(), "{}", opened.error().message());
        const uint64_t rows = (*opened)->recovery().rows_replayed;
        const Status closed = co_await (*opened)->close();
        CHECK(closed.has_value(), "{}", closed.error().message());
        co_return rows;
    }

    Task<void> close() {
        session_.reset();
        const Status closed = co_await engine_->close();
        CHECK(closed.has_value(), "{}", closed.error().message());
        engine_.reset();
    }

    std::shared_ptr<const Schema> schema_;
    std::shared_ptr<BlockCache> cache_ = std::make_shared<BlockCache>(size_t{256} << 20U);
    std::string directory_;
    std::unique_ptr<IoEnvironment> io_;
    SystemClock clock_;
    SystemRandom random_;
    Outcomes outcomes_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<WriteSession> session_;
    uint64_t submitted_ = 0;
};

// Frames of kTurnPoints points whose numbers and steps go on from those of the turn before.
class Turns {
  public:
    Turns(const std::shared_ptr<const Schema>& schema, uint32_t rows)
        : rows_(rows), frames_(noisy_frames(schema, rows, kTurnPoints / schema->width() / rows)) {}

    const std::vector<std::vector<std::byte>>* next() {
        for (auto& frame : frames_) {
            std::byte* const steps = frame.data() + kFrameHeaderBytes + 32;
            for (uint32_t row = 0; row < rows_; ++row, ++step_) {
                store_le(steps + size_t{row} * 8, static_cast<double>(step_));
            }
            store_le(frame.data() + 16, ++number_);
            store_le(frame.data() + 8, frame_checksum(ChecksumKind::kXxh3, frame));
        }
        return &frames_;
    }

    int64_t points(const benchmark::State& state) const {
        return state.iterations() * static_cast<int64_t>(rows()) * state.range(0);
    }
    uint64_t rows() const { return frames_.size() * rows_; }

  private:
    uint32_t rows_;
    std::vector<std::vector<std::byte>> frames_;
    uint64_t number_ = 0;
    uint64_t step_ = 0;
};

void shapes(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"metrics", "rows"})->UseRealTime()->Unit(benchmark::kMillisecond);
    bench->Args({10, 512})->Args({100, 1})->Args({100, 64})->Args({1000, 16})->Args({10'000, 16});
}

// Log, tail and sealing, on one thread: what the engine's does. Flushes are kept out of the time.
void BM_EngineIngest(benchmark::State& state) {
    const auto schema = noisy_schema(static_cast<uint32_t>(state.range(0)));
    Turns turns(schema, static_cast<uint32_t>(state.range(1)));
    EngineBench bench(schema);
    for ([[maybe_unused]] auto turn : state) {
        state.PauseTiming();
        bench.flush();
        const auto* frames = turns.next();
        state.ResumeTiming();
        bench.send(frames);
    }
    state.SetItemsProcessed(turns.points(state));
}
BENCHMARK(BM_EngineIngest)->Apply(shapes);

// What is left to be sealed, the segment and the catalog, synced.
void BM_EngineFlush(benchmark::State& state) {
    const auto schema = noisy_schema(static_cast<uint32_t>(state.range(0)));
    Turns turns(schema, static_cast<uint32_t>(state.range(1)));
    EngineBench bench(schema);
    for ([[maybe_unused]] auto turn : state) {
        state.PauseTiming();
        bench.send(turns.next());
        state.ResumeTiming();
        bench.flush();
    }
    state.SetItemsProcessed(turns.points(state));
    state.SetBytesProcessed(static_cast<int64_t>(bench.segment_bytes()));
}
BENCHMARK(BM_EngineFlush)->Apply(shapes);

// Opening a store whose log holds everything.
void BM_EngineReplay(benchmark::State& state) {
    const auto schema = noisy_schema(static_cast<uint32_t>(state.range(0)));
    Turns turns(schema, static_cast<uint32_t>(state.range(1)));
    EngineBench bench(schema);
    bench.send(turns.next());
    bench.replay_copy();  // makes the copy
    for ([[maybe_unused]] auto turn : state) {
        const uint64_t rows = bench.replay_copy();
        CHECK(rows == turns.rows(), "{} of {} rows", rows, turns.rows());
    }
    state.SetItemsProcessed(turns.points(state));
}
BENCHMARK(BM_EngineReplay)->Apply(shapes);

// A chart without the query around it: one series of a million points, from blocks in memory or
// from a segment of which everything is in the cache.
void BM_EngineChart(benchmark::State& state) {
    constexpr uint32_t kMetrics = 10;
    constexpr uint32_t kTurnRows = kTurnPoints / kMetrics / 512 * 512;
    const auto schema = noisy_schema(kMetrics);
    Turns turns(schema, 512);
    EngineBench bench(schema);
    uint64_t rows = 0;
    for (; rows < 1'000'000; rows += kTurnRows) {
        bench.send(turns.next());
    }
    if (state.range(0) != 0) {
        bench.flush();
    }
    for ([[maybe_unused]] auto turn : state) {
        const uint64_t points = bench.chart(rows, static_cast<size_t>(state.range(1)));
        CHECK(points == rows, "{} of {} points", points, rows);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(rows));
}
BENCHMARK(BM_EngineChart)
    ->ArgNames({"settled", "buckets"})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({0, 1000})
    ->Args({1, 1000})
    ->Args({1, 10});

}  // namespace
}  // namespace stepdb
