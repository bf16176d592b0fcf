#include "tools/bench/load_writer.h"

#include <algorithm>
#include <atomic>
#include <csignal>

#include "engine/io/environment.h"

namespace stepdb {

namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

void note_interruption(int /*signal*/) {
    interrupted = true;
}

// How long a writer that may not send looks for acknowledgements before it looks at the clock.
constexpr std::chrono::microseconds kLookAgain{100'000};

std::chrono::microseconds time_until(SteadyTime at, SteadyTime now) {
    return std::chrono::duration_cast<std::chrono::microseconds>(at - now) +
           std::chrono::microseconds(1);
}

}  // namespace

bool is_interrupted() {
    return interrupted;
}

void catch_interruption() {
    struct sigaction action = {};
    action.sa_handler = note_interruption;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

Result<std::unique_ptr<LoadWriter>> LoadWriter::open(std::unique_ptr<Client> client,
                                                     WriterOptions options) {
    TRY_ASSIGN(const std::shared_ptr<const Schema> schema, bench_schema(options.shape));
    std::unique_ptr<LoadWriter> writer(new LoadWriter(std::move(client), std::move(options)));
    const WriterOptions& of = writer->options_;
    TRY(writer->client_->define_schema(of.project, *schema));
    for (const std::string& run : of.runs) {
        TRY_ASSIGN(const ClientRun opened,
                   writer->client_->open_run(of.project, run, OpenRunFrame::kMustCreate));
        writer->runs_.push_back(opened);
    }
    // Rows of a schema that was refused would be refused for want of it.
    TRY_ASSIGN(const FlushReport defined, writer->client_->flush());
    if (!defined.refused.empty()) {
        return defined.refused.front().error.to_error().within(
            fmt::format("the schema of {} metrics was refused", schema->width()));
    }
    writer->pool_ = std::make_unique<FramePool>(schema, of.shape, of.seed, of.pool_bytes);
    for (size_t run = 0; run < of.runs.size(); ++run) {
        TRY(writer->send_next(std::chrono::steady_clock::now()));
    }
    TRY(writer->take_outcomes());
    writer->frames_answered_ = writer->frames_sent_;
    writer->frames_before_ = writer->frames_sent_;
    return writer;
}

bool LoadWriter::is_over(SteadyTime now, const MeasuredWindow& window) const {
    return is_interrupted() || now >= window.end ||
           (options_.frames_max && frames_sent_ >= *options_.frames_max);
}

SteadyTime LoadWriter::due(const SteadyTime& begun) const {
    if (options_.frames_per_second <= 0) {
        return begun;
    }
    const double seconds =
        static_cast<double>(frames_sent_ - frames_before_) / options_.frames_per_second;
    return begun + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                       std::chrono::duration<double>(seconds));
}

Status LoadWriter::send_next(SteadyTime since) {
    const uint64_t round = frames_sent_ / runs_.size();
    ClientRun& run = runs_[frames_sent_ % runs_.size()];
    const Bytes frame =
        pool_->stamp(run, round * options_.shape.rows_per_frame, SystemClock().now_us());
    sent_at_[frames_sent_ % sent_at_.size()] = since;
    ++frames_sent_;
    const Result<uint64_t> sent = client_->send_change(frame);
    return sent ? Status() : Status(sent.error());
}

void LoadWriter::note_outcomes(const MeasuredWindow& window) {
    const uint64_t answered = frames_sent_ - client_->unanswered_frames();
    if (answered == frames_answered_) {
        return;
    }
    const SteadyTime now = std::chrono::steady_clock::now();
    const bool is_measured = window.contains(now);
    for (; frames_answered_ < answered; ++frames_answered_) {
        if (is_measured) {
            const SteadyTime since = sent_at_[frames_answered_ % sent_at_.size()];
            report_.latencies.add(
                std::chrono::duration_cast<std::chrono::nanoseconds>(now - since).count());
            ++report_.frames_in_window;
        }
    }
}

Status LoadWriter::run(const MeasuredWindow& window) {
    const SteadyTime begun = std::chrono::steady_clock::now();
    SteadyTime now = begun;
    while (!is_over(now, window)) {
        const SteadyTime next = due(begun);
        if (client_->unanswered_frames() >= options_.in_flight) {
            TRY(client_->wait_for(kLookAgain));
        } else if (next > now) {
            TRY(client_->wait_for(std::min(kLookAgain, time_until(next, now))));
        } else {
            TRY(send_next(options_.frames_per_second > 0 ? next : now));
        }
        note_outcomes(window);
        now = std::chrono::steady_clock::now();
    }
    return take_outcomes();
}

Status LoadWriter::take_outcomes() {
    TRY_ASSIGN(const FlushReport outcomes, client_->flush());
    if (!outcomes.refused.empty()) {
        return outcomes.refused.front().error.to_error().within(
            outcomes.refused_frames == 1
                ? std::string("a frame was refused")
                : fmt::format("{} frames were refused, the first", outcomes.refused_frames));
    }
    report_.frames = frames_sent_;
    report_.late_rows += outcomes.late_rows;
    return {};
}

}  // namespace stepdb
