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
#include "engine/engine.h"
#include "engine/io/environment.h"
#include "engine/model/frame.h"

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

}  // namespace
}  // namespace stepdb
