// One connection that writes rows as fast as it may, and what it measured. A thread each: the
// client is a blocking one, and a thread that waits costs nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "net/client.h"
#include "tools/bench/frame_pool.h"
#include "tools/bench/latencies.h"

namespace stepdb {

using SteadyTime = std::chrono::steady_clock::time_point;

// When is measured: outcomes and answers between the two. Everything ends at `end`.
struct MeasuredWindow {
    SteadyTime begin;
    SteadyTime end;
    bool contains(SteadyTime at) const { return begin <= at && at < end; }
    double seconds() const { return std::chrono::duration<double>(end - begin).count(); }
};

// True once the process was told to stop; every loop of a load looks at it.
bool is_interrupted();
// Lets SIGINT and SIGTERM set it.
void catch_interruption();

struct WriterOptions {
    WriterOptions() = default;

    std::string project;
    std::vector<std::string> runs;  // frames go to them in turn; all are made
    LoadShape shape;
    size_t in_flight = 1;                // frames sent and not yet answered, at most
    double frames_per_second = 0;        // 0: as fast as it goes
    std::optional<uint64_t> frames_max;  // ends there, if that is before the window's end
    uint64_t seed = 1;
    size_t pool_bytes = 0;
};

struct WriterReport {
    WriterReport() = default;

    uint64_t frames = 0;  // acknowledged, with and without those outside the window
    uint64_t frames_in_window = 0;
    uint64_t late_rows = 0;
    Latencies latencies;  // of those in the window
};

class LoadWriter {
  public:
    // Announces the schema, makes the runs and sends a frame to each: from now on they can be asked
    // for.
    static Result<std::unique_ptr<LoadWriter>> open(std::unique_ptr<Client> client,
                                                    WriterOptions options);

    // Sends until the window ends, and waits until everything has its outcome. An error if the
    // connection is lost or a frame was refused. A frame's latency is from when it was due (with a
    // rate) or handed to the client until the acknowledgement that covers it has been read.
    Status run(const MeasuredWindow& window);

    const WriterReport& report() const { return report_; }
    size_t frame_bytes() const { return pool_->frame_bytes(); }

  private:
    LoadWriter(std::unique_ptr<Client> client, WriterOptions options)
        : client_(std::move(client)), options_(std::move(options)), sent_at_(options_.in_flight) {}

    bool is_over(SteadyTime now, const MeasuredWindow& window) const;
    SteadyTime due(const SteadyTime& begun) const;
    Status send_next(SteadyTime since);
    void note_outcomes(const MeasuredWindow& window);
    // Waits for those that are missing.
    Status take_outcomes();

    std::unique_ptr<Client> client_;
    WriterOptions options_;
    std::vector<ClientRun> runs_;
    std::unique_ptr<FramePool> pool_;
    uint64_t frames_sent_ = 0;
    uint64_t frames_before_ = 0;  // that opening sent
    uint64_t frames_answered_ = 0;
    std::vector<SteadyTime> sent_at_;  // a ring: of frame f at f % in_flight
    WriterReport report_;
};

}  // namespace stepdb
