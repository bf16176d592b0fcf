// What a logged row costs the C++ client, without a network: the caller's part (log) and the
// sender's (finish: layout, narrowing and checksum of each frame), both in the time of an
// iteration, which is one row.
#include <benchmark/benchmark.h>

#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "clients/cpp/run_state.h"
#include "clients/cpp/send_queue.h"
#include "clients/cpp/writer.h"

namespace stepdb::client {
namespace {

class StubbedClient {
  public:
    explicit StubbedClient(uint32_t width, ValueType type) {
        RunOpening opening;
        opening.project = "bench";
        opening.run = "r";
        queue_ = std::make_shared<SendQueue>(Options());
        run_ = std::make_shared<RunState>(queue_, opening, 1);
        std::vector<std::string> names;
        for (uint32_t column = 0; column < width; ++column) {
            names.push_back("bench/" + std::to_string(column));
        }
        auto schema = std::make_shared<const Schema>(
            Schema::create(Axis::kStepped, std::move(names)).value());
        lane_ = run_->lane(std::move(schema), type).value();
    }
    ~StubbedClient() { queue_->fail(Error(ErrorCode::kCancelled, "the end")); }
    StubbedClient(const StubbedClient&) = delete;
    StubbedClient& operator=(const StubbedClient&) = delete;

    void log(double step, const Values& values) {
        const Status logged = run_->log(*lane_, step, 0, values);
        benchmark::DoNotOptimize(logged.has_value());
    }
    // In the sender's stead: every frame is made and acknowledged.
    void send() {
        std::vector<std::unique_ptr<QueuedFrame>> sent;
        while (std::unique_ptr<QueuedFrame> frame = queue_->take()) {
            const Bytes bytes =
                frame->rows.finish(lane_->format, 1, frame->attempt, frame->number, scratch_);
            benchmark::DoNotOptimize(bytes.data());
            sent.push_back(std::move(frame));
        }
        if (!sent.empty()) {
            queue_->settle(std::move(sent), 0);
        }
    }

  private:
    std::shared_ptr<SendQueue> queue_;
    std::shared_ptr<RunState> run_;
    RowLane* lane_;
    std::vector<std::byte> scratch_;
};

template <typename Value>
void log_rows(benchmark::State& state) {
    const auto width = static_cast<size_t>(state.range(0));
    const ValueType type = std::is_same_v<Value, float> ? ValueType::kFloat32 : ValueType::kFloat64;
    StubbedClient client(static_cast<uint32_t>(width), type);
    std::vector<Value> values(width);
    for (size_t i = 0; i < width; ++i) {
        values[i] = static_cast<Value>(1) / static_cast<Value>(2 * i + 3);  // no double is short
    }
    uint64_t row = 0;
    for (auto _ : state) {
        client.log(static_cast<double>(row++), values);
        if (row % 64 == 0) {
            client.send();
        }
    }
    state.SetItemsProcessed(static_cast<int64_t>(row * width));
}

void log_floats(benchmark::State& state) {
    log_rows<float>(state);
}
BENCHMARK(log_floats)->Arg(1)->Arg(10)->Arg(100)->Arg(1000);

void log_doubles(benchmark::State& state) {
    log_rows<double>(state);
}
BENCHMARK(log_doubles)->Arg(1)->Arg(10)->Arg(100)->Arg(1000);

// The clock that stamps a row whose time the caller does not say.
void stamp_row(benchmark::State& state) {
    for (auto _ : state) {
        timespec now = {};
        clock_gettime(CLOCK_REALTIME, &now);
        benchmark::DoNotOptimize(now);
    }
}
BENCHMARK(stamp_row);

}  // namespace
}  // namespace stepdb::client
