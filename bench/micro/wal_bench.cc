// The log: frames appended until they are durable, and read back. The file is written before, as
// recycled ones are, and lies in the directory for temporary files ($TMPDIR).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "bench/micro/rows_frames.h"
#include "engine/base/check.h"
#include "engine/io/environment.h"
#include "engine/model/limits.h"
#include "engine/wal/log_reader.h"
#include "engine/wal/log_writer.h"

namespace stepdb {
namespace {

// Reading looks at the whole file, also behind what was written.
constexpr uint64_t kFileBytes = kLogFileBytes;
constexpr size_t kTurnBytes = 24U << 20U;

class LogBench : public LogWriter::Owner {
  public:
    LogBench() : directory_(std::filesystem::temp_directory_path() / "stepdb-bench-XXXXXX") {
        CHECK(::mkdtemp(directory_.data()) != nullptr, "{}", directory_);
        environment_ = std::move(IoEnvironment::create()).value();
        file_ = block_on(environment_->loop(), make_file());
    }
    ~LogBench() override {
        block_on(environment_->loop(), let_go());
        environment_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    LogBench(const LogBench&) = delete;
    LogBench& operator=(const LogBench&) = delete;

    // Until all are durable.
    void append_all(const std::vector<std::vector<std::byte>>& frames) {
        block_on(environment_->loop(), append(&frames));
    }

    uint64_t read_all() { return block_on(environment_->loop(), read()); }

  private:
    void on_log_durable(uint64_t sequence) override {
        if (sequence == wanted_) {
            done_.fire();
        }
    }
    void on_log_failed(const Error& error) override { CHECK(false, "{}", error.message()); }
    void on_log_file_wanted() override {}

    Task<std::shared_ptr<LogFile>> make_file() {
        auto opened = co_await environment_->files().open(directory_ + "/log", OpenMode::kCreate);
        CHECK(opened.has_value(), "{}", opened.error().message());
        auto file = std::make_shared<LogFile>(1, std::move(*opened));
        const AlignedBuffer zeros(size_t{1} << 20U);
        for (uint64_t offset = 0; offset < kFileBytes; offset += zeros.size()) {
            const Status written = co_await file->file->write(offset, zeros.span());
            CHECK(written.has_value(), "{}", written.error().message());
        }
        const Status synced = co_await file->file->sync(SyncSite::kLogGroup);
        CHECK(synced.has_value(), "{}", synced.error().message());
        co_return file;
    }

    // A writer of its own each time, at the beginning of the file, with sequences that go on.
    Task<void> append(const std::vector<std::vector<std::byte>>* frames) {
        LogWriterOptions options;
        options.epoch = 1;
        options.next_sequence = next_sequence_;
        options.file_bytes = kFileBytes;
        options.group_bytes_max = kLogGroupBytesMax;
        options.group_bytes_eager = kLogGroupBytesEager;
        options.groups_in_flight_max = kLogGroupsInFlightMax;
        LogWriter writer(environment_->loop(), options, *this);
        file_->end = kLogFirstGroupOffset;
        writer.add_file(file_);
        first_sequence_ = next_sequence_;
        next_sequence_ += frames->size();
        wanted_ = next_sequence_ - 1;
        for (const auto& frame : *frames) {
            RecordHeader header;
            writer.append(header, frame);
        }
        co_await done_;
    }

    Task<uint64_t> read() {
        uint64_t bytes = 0;
        LogPlace place;
        place.file_id = 1;
        const RecordVisitor visit = [&bytes](const RecordHeader&, Bytes frame) {
            bytes += frame.size();
            return Status();
        };
        const Result<LogFileContents> contents =
            co_await read_log_file(*file_->file, "log", place, first_sequence_, visit, buffer_);
        CHECK(contents.has_value(), "{}", contents.error().message());
        CHECK(contents->next_sequence == next_sequence_, "{}", contents->next_sequence);
        co_return bytes;
    }

    Task<void> let_go() {
        file_.reset();
        co_return;
    }

    std::string directory_;
    std::unique_ptr<IoEnvironment> environment_;
    std::shared_ptr<LogFile> file_;
    AlignedBuffer buffer_;
    uint64_t first_sequence_ = 1;
    uint64_t next_sequence_ = 1;
    uint64_t wanted_ = 0;
    Signal done_;
};

// Frames of about as many bytes.
std::vector<std::vector<std::byte>> frames_of(size_t bytes) {
    const uint32_t metrics = bytes < 1000 ? 10 : 1000;
    const auto schema = noisy_schema(metrics);
    const auto rows = static_cast<uint32_t>(std::max<size_t>(1, bytes / (metrics * 4 + 16)));
    return noisy_frames(schema, rows, kTurnBytes / bytes);
}

size_t bytes_of(const std::vector<std::vector<std::byte>>& frames) {
    size_t bytes = 0;
    for (const auto& frame : frames) {
        bytes += frame.size();
    }
    return bytes;
}

void BM_LogAppend(benchmark::State& state) {
    const auto frames = frames_of(static_cast<size_t>(state.range(0)));
    LogBench bench;
    for ([[maybe_unused]] auto turn : state) {
        bench.append_all(frames);
    }
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes_of(frames)));
}
BENCHMARK(BM_LogAppend)
    ->ArgName("frame_bytes")
    ->Arg(100)
    ->Arg(64 << 10)
    ->Arg(512 << 10)
    ->UseRealTime();

void BM_LogRead(benchmark::State& state) {
    const auto frames = frames_of(static_cast<size_t>(state.range(0)));
    LogBench bench;
    bench.append_all(frames);
    for ([[maybe_unused]] auto turn : state) {
        const uint64_t bytes = bench.read_all();
        CHECK(bytes == bytes_of(frames), "{} of {} bytes", bytes, bytes_of(frames));
    }
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes_of(frames)));
}
BENCHMARK(BM_LogRead)
    ->ArgName("frame_bytes")
    ->Arg(100)
    ->Arg(64 << 10)
    ->Arg(512 << 10)
    ->UseRealTime();

}  // namespace
}  // namespace stepdb
