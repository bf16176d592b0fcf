#include "tools/bench/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "tools/bench/row_loop.h"
#include "tools/bench/writer_loop.h"

namespace stepdb {

namespace {

// Sent and not acknowledged, over all connections, if nothing else is asked for: enough for four
// log groups in flight and as much on the way.
constexpr size_t kInFlightBytes = 8U << 20U;
constexpr size_t kInFlightFramesMax = 16384;
// What the client library holds for a connection: a few of the frames that it aims at.
constexpr size_t kQueueBytesMin = 1U << 20U;

WriterOptions writer_options(const LoadOptions& options, uint32_t connection) {
    const Workload& workload = options.workload;
    WriterOptions writer;
    writer.project = options.project;
    for (uint32_t run = 0; run < workload.runs; ++run) {
        writer.runs.push_back(Load::run_name(options.prefix, connection, run));
    }
    writer.in_flight = *Load::in_flight_of(options);
    writer.frames_per_second = workload.rows_per_second / workload.shape.rows_per_frame;
    if (writer.frames_per_second > 0) {
        writer.begins_after_seconds = connection / writer.frames_per_second / workload.connections;
    }
    writer.frames_max = options.frames_max;
    writer.rows_per_frame = workload.shape.rows_per_frame;
    return writer;
}

Status define_schema(Client& client, const LoadOptions& options, const Schema& schema) {
    TRY(client.define_schema(options.project, schema));
    // Rows of a schema that was refused would be refused for want of it.
    TRY_ASSIGN(const FlushReport defined, client.flush());
    if (!defined.refused.empty()) {
        return defined.refused.front().error.to_error().within(
            fmt::format("the schema of {} metrics was refused", schema.width()));
    }
    return {};
}

// The connections of thread `thread` of `threads`, which send frames made ahead.
Result<std::unique_ptr<LoadThread>> open_sending(const LoadOptions& options,
                                                 const std::shared_ptr<const Schema>& schema,
                                                 uint32_t thread, uint32_t threads) {
    const Workload& workload = options.workload;
    auto loop = std::make_unique<WriterLoop>(schema, workload.shape, options.seed + thread);
    for (uint32_t at = thread; at < workload.connections; at += threads) {
        if (is_interrupted()) {
            return Error(ErrorCode::kCancelled, "interrupted");
        }
        TRY_ASSIGN(auto client, options.connect());
        if (at == 0) {
            TRY(define_schema(*client, options, *schema));
        }
        TRY(loop->add(std::move(client), writer_options(options, at)));
    }
    return std::unique_ptr<LoadThread>(std::move(loop));
}

// The same, which log rows that the client library packs.
Result<std::unique_ptr<LoadThread>> open_packing(const LoadOptions& options,
                                                 const std::shared_ptr<const Schema>& schema,
                                                 uint32_t thread, uint32_t threads) {
    const Workload& workload = options.workload;
    auto loop = std::make_unique<RowLoop>(options, schema, options.seed + thread);
    for (uint32_t at = thread; at < workload.connections; at += threads) {
        client::Options client = options.client_options;
        client.name = "stepdb bench";
        client.queue_bytes_max = std::max(kQueueBytesMin, kInFlightBytes / workload.connections);
        TRY(loop->add(client, at));
    }
    return std::unique_ptr<LoadThread>(std::move(loop));
}

}  // namespace

Load::Load(std::vector<std::unique_ptr<LoadThread>> threads) : threads_(std::move(threads)) {}

Load::~Load() = default;

std::string Load::run_name(const std::string& prefix, uint32_t connection, uint32_t run) {
    return fmt::format("{}-c{}-r{}", prefix, connection, run);
}

std::optional<size_t> Load::in_flight_of(const LoadOptions& options) {
    const Workload& workload = options.workload;
    if (workload.coalesce) {
        return std::nullopt;
    }
    if (workload.closed_loop) {
        return 1;
    }
    if (options.in_flight) {
        return *options.in_flight;
    }
    const size_t value_bytes = workload.shape.is_float64 ? 8 : 4;
    const size_t frame_bytes =
        workload.shape.rows_per_frame * (16 + workload.shape.metrics * value_bytes);
    return std::clamp<size_t>(kInFlightBytes / workload.connections / frame_bytes, 2,
                              kInFlightFramesMax);
}

Result<std::unique_ptr<Load>> Load::open(LoadOptions options) {
    const Workload& workload = options.workload;
    TRY_ASSIGN(const std::shared_ptr<const Schema> schema, bench_schema(workload.shape));
    std::vector<std::unique_ptr<LoadThread>> threads;
    const uint32_t count = std::min(options.threads, workload.connections);
    for (uint32_t thread = 0; thread < count; ++thread) {
        if (workload.coalesce) {
            TRY_ASSIGN(auto made, open_packing(options, schema, thread, count));
            threads.push_back(std::move(made));
        } else {
            TRY_ASSIGN(auto made, open_sending(options, schema, thread, count));
            threads.push_back(std::move(made));
        }
    }
    for (const auto& thread : threads) {
        TRY(thread->begin());
    }
    return std::unique_ptr<Load>(new Load(std::move(threads)));
}

std::vector<std::function<Status()>> Load::works(const MeasuredWindow& window) {
    std::vector<std::function<Status()>> works;
    for (const auto& thread : threads_) {
        works.emplace_back([&loop = *thread, &window] { return loop.run(window); });
    }
    return works;
}

LoadReport Load::report() const {
    LoadReport sum;
    for (const auto& thread : threads_) {
        sum.merge(thread->report());
    }
    return sum;
}

Status run_together(const std::vector<std::function<Status()>>& works) {
    std::vector<Status> outcomes(works.size());
    std::vector<std::thread> threads;
    for (size_t at = 0; at < works.size(); ++at) {
        threads.emplace_back([&, at] { outcomes[at] = works[at](); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (const Status& outcome : outcomes) {
        TRY(outcome);
    }
    if (is_interrupted()) {
        return Error(ErrorCode::kCancelled, "interrupted");
    }
    return {};
}

}  // namespace stepdb
