// What a durable commit costs: write_synced at the end of its own loop, without a hop to another
// thread, into a file that has been written before, as the log's recycled files have. Several in
// flight are started together; the time is that until the last has ended.
//
// Files lie in the directory for temporary files ($TMPDIR): name one on the disk you want to know.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/io/environment.h"

namespace stepdb {
namespace {

constexpr uint64_t kFileBytes = uint64_t{64} << 20U;

class CommitBench {
  public:
    CommitBench(IoChoice choice, size_t bytes, size_t in_flight)
        : directory_(std::filesystem::temp_directory_path() / "stepdb-bench-XXXXXX"),
          buffer_(bytes),
          in_flight_(in_flight) {
        CHECK(::mkdtemp(directory_.data()) != nullptr, "{}", directory_);
        std::ranges::fill(buffer_.span(), std::byte{0x5A});
        environment_ = std::move(IoEnvironment::create(choice)).value();
        file_ = block_on(environment_->loop(), make_file()).value();
    }
    ~CommitBench() {
        file_.reset();
        environment_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    CommitBench(const CommitBench&) = delete;
    CommitBench& operator=(const CommitBench&) = delete;

    // Seconds of one wave of commits.
    double wave() { return block_on(environment_->loop(), run_wave()); }

    std::string_view backend() const { return environment_->backend(); }

    // True if the file holds what the waves wrote.
    bool is_right() {
        AlignedBuffer back(buffer_.size());
        const Status read = block_on(environment_->loop(), file_->read(0, back.span()));
        return read.has_value() && std::ranges::equal(back.span(), buffer_.span());
    }

  private:
    Task<Result<std::shared_ptr<File>>> make_file() {
        auto opened = co_await environment_->files().open(directory_ + "/log", OpenMode::kCreate);
        if (!opened.has_value()) {
            co_return std::move(opened).error();
        }
        std::shared_ptr<File> file = std::move(*opened);
        const AlignedBuffer zeros(size_t{1} << 20U);
        for (uint64_t offset = 0; offset < kFileBytes; offset += zeros.size()) {
            Status written = co_await file->write(offset, zeros.span());
            if (!written.has_value()) {
                co_return std::move(written).error();
            }
        }
        Status synced = co_await file->sync(SyncSite::kLogGroup);
        if (!synced.has_value()) {
            co_return std::move(synced).error();
        }
        co_return file;
    }

    Task<double> run_wave() {
        const auto begin = std::chrono::steady_clock::now();
        size_t left = in_flight_;
        Signal done;
        for (size_t i = 0; i < in_flight_; ++i) {
            start(file_->write_synced(offset_, buffer_.span(), SyncSite::kLogGroup),
                  [&](const Status& status) {
                      CHECK(status.has_value(), "{}", status.error().message());
                      if (--left == 0) {
                          done.fire();
                      }
                  });
            offset_ = (offset_ + buffer_.size()) % kFileBytes;
        }
        co_await done;
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
        co_return spent.count();
    }

    std::string directory_;
    AlignedBuffer buffer_;
    size_t in_flight_;
    uint64_t offset_ = 0;
    std::unique_ptr<IoEnvironment> environment_;
    std::shared_ptr<File> file_;
};

void commit(benchmark::State& state, IoChoice choice) {
    if (!IoEnvironment::create(choice).has_value()) {
        state.SkipWithError("this kernel has no io_uring, or forbids it");
        return;
    }
    const auto bytes = static_cast<size_t>(state.range(0));
    const auto in_flight = static_cast<size_t>(state.range(1));
    CommitBench bench(choice, bytes, in_flight);
    std::vector<double> waves;
    for (auto _ : state) {
        waves.push_back(bench.wave());
        state.SetIterationTime(waves.back());
    }
    if (!bench.is_right()) {
        state.SkipWithError("the file does not hold what was written");
        return;
    }
    std::ranges::sort(waves);
    state.counters["p50_us"] = waves[waves.size() / 2] * 1e6;
    state.counters["p99_us"] = waves[waves.size() * 99 / 100] * 1e6;
    state.SetItemsProcessed(state.iterations() * state.range(1));
    state.SetBytesProcessed(state.iterations() * state.range(0) * state.range(1));
    state.SetLabel(std::string(bench.backend()));
}

void BM_CommitUring(benchmark::State& state) {
    commit(state, IoChoice::kUring);
}

void BM_CommitPosix(benchmark::State& state) {
    commit(state, IoChoice::kPosix);
}

void sizes_and_depths(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"bytes", "in_flight"})->UseManualTime();
    bench->ArgsProduct({{4 << 10, 64 << 10, 1 << 20}, {1, 4}});
}

BENCHMARK(BM_CommitUring)->Apply(sizes_and_depths);
BENCHMARK(BM_CommitPosix)->Apply(sizes_and_depths);

}  // namespace
}  // namespace stepdb
