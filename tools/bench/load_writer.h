// One connection that writes frames made ahead, without ever waiting: many of them share a thread
// (tools/bench/writer_loop.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "net/client.h"
#include "tools/bench/frame_pool.h"
#include "tools/bench/measured.h"

namespace stepdb {

struct WriterOptions {
    WriterOptions() = default;

    std::string project;
    std::vector<std::string> runs;       // frames go to them in turn; all are made
    size_t in_flight = 1;                // frames sent and not yet answered, at most
    double frames_per_second = 0;        // 0: as fast as it goes
    double begins_after_seconds = 0;     // with a rate, so that not all writers send at once
    std::optional<uint64_t> frames_max;  // no more are sent
    uint32_t rows_per_frame = 1;
};

class LoadWriter {
  public:
    // Makes the runs. The project must know the schema of the pool. `pool` and `report` outlive the
    // writer and are its thread's own.
    static Result<std::unique_ptr<LoadWriter>> open(std::unique_ptr<Client> client,
                                                    WriterOptions options, FramePool& pool,
                                                    LoadReport& report);

    // Sends a frame to each run: once they have their outcome, the runs can be asked for.
    Status send_first_frames();

    // Takes in what has come and sends what may be sent now. An error if the connection is lost.
    // A frame's latency is from when it was due (with a rate) or handed to the client until the
    // acknowledgement that covers it has been read.
    Status advance(const MeasuredWindow& window);

    // When the next frame is due, if it waits for nothing else.
    std::optional<SteadyTime> waits_until() const;
    // Has sent all that it may send at all.
    bool is_done() const { return options_.frames_max && frames_sent_ >= *options_.frames_max; }

    // Waits for all outcomes. An error if the connection is lost or a frame was refused.
    Status take_outcomes();
    // The same, and the report has all its rows.
    Status finish();

    int descriptor() const { return client_->descriptor(); }

  private:
    LoadWriter(std::unique_ptr<Client> client, WriterOptions options, FramePool& pool,
               LoadReport& report);

    bool may_send() const;
    SteadyTime due() const;
    Status send_next(SteadyTime since);
    void note_outcomes(const MeasuredWindow& window);

    std::unique_ptr<Client> client_;
    WriterOptions options_;
    FramePool& pool_;
    LoadReport& report_;
    std::vector<ClientRun> runs_;
    uint64_t frames_sent_ = 0;
    uint64_t frames_before_ = 0;    // of these, sent before the load began
    uint64_t frames_answered_ = 0;  // that the report knows of
    std::optional<SteadyTime> begun_;
    std::vector<SteadyTime> sent_at_;  // a ring: of frame f at f % its size
};

}  // namespace stepdb
