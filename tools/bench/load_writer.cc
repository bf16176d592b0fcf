#include "tools/bench/load_writer.h"

#include <algorithm>

#include "engine/io/environment.h"

namespace stepdb {

namespace {

SteadyTime after(SteadyTime begun, double seconds) {
    return begun + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                       std::chrono::duration<double>(seconds));
}

}  // namespace

LoadWriter::LoadWriter(std::unique_ptr<Client> client, WriterOptions options, FramePool& pool,
                       LoadReport& report)
    : client_(std::move(client)),
      options_(std::move(options)),
      pool_(pool),
      report_(report),
      sent_at_(std::max(options_.in_flight, options_.runs.size())) {}

Result<std::unique_ptr<LoadWriter>> LoadWriter::open(std::unique_ptr<Client> client,
                                                     WriterOptions options, FramePool& pool,
                                                     LoadReport& report) {
    std::unique_ptr<LoadWriter> writer(
        new LoadWriter(std::move(client), std::move(options), pool, report));
    const WriterOptions& of = writer->options_;
    for (const std::string& run : of.runs) {
        TRY_ASSIGN(const ClientRun opened,
                   writer->client_->open_run(of.project, run, OpenRunFrame::kMustCreate));
        writer->runs_.push_back(opened);
    }
    return writer;
}

Status LoadWriter::send_first_frames() {
    for (size_t run = 0; run < runs_.size(); ++run) {
        TRY(send_next(std::chrono::steady_clock::now()));
    }
    frames_before_ = frames_sent_;
    return {};
}

SteadyTime LoadWriter::due() const {
    const double frames = static_cast<double>(frames_sent_ - frames_before_);
    return after(*begun_, options_.begins_after_seconds + frames / options_.frames_per_second);
}

bool LoadWriter::may_send() const {
    return client_->unanswered_frames() < options_.in_flight && client_->unsent_bytes() == 0 &&
           !is_done();
}

std::optional<SteadyTime> LoadWriter::waits_until() const {
    if (options_.frames_per_second <= 0 || !begun_ || !may_send()) {
        return std::nullopt;
    }
    return due();
}

Status LoadWriter::send_next(SteadyTime since) {
    const size_t at = frames_sent_ % runs_.size();
    const uint64_t round = frames_sent_ / runs_.size();
    // Every run goes through the pool from a place of its own, so that its levels drift and its
    // counters count.
    const size_t frame = (at * 7919 + round) % pool_.frames();
    const Bytes bytes =
        pool_.stamp(frame, runs_[at], round * options_.rows_per_frame, SystemClock().now_us());
    sent_at_[frames_sent_ % sent_at_.size()] = since;
    ++frames_sent_;
    ++report_.frames;
    report_.bytes += bytes.size();
    const Result<uint64_t> sent = client_->send_change(bytes);
    if (!sent) {
        return sent.error();
    }
    return client_->push();
}

void LoadWriter::note_outcomes(const MeasuredWindow& window) {
    const uint64_t answered = frames_sent_ - client_->unanswered_frames();
    if (answered == frames_answered_) {
        return;
    }
    const SteadyTime now = std::chrono::steady_clock::now();
    const bool is_measured = window.contains(now);
    for (; frames_answered_ < answered; ++frames_answered_) {
        if (!is_measured || frames_answered_ < frames_before_) {
            continue;
        }
        const SteadyTime since = sent_at_[frames_answered_ % sent_at_.size()];
        report_.latencies.add(
            std::chrono::duration_cast<std::chrono::nanoseconds>(now - since).count());
        report_.rows_in_window += options_.rows_per_frame;
    }
}

Status LoadWriter::advance(const MeasuredWindow& window) {
    TRY(client_->poll());
    note_outcomes(window);
    SteadyTime now = std::chrono::steady_clock::now();
    begun_ = begun_.value_or(now);
    while (may_send()) {
        const bool has_rate = options_.frames_per_second > 0;
        const SteadyTime since = has_rate ? due() : now;
        if (since > now) {
            break;
        }
        TRY(send_next(since));
        now = std::chrono::steady_clock::now();
    }
    return {};
}

Status LoadWriter::take_outcomes() {
    TRY_ASSIGN(const FlushReport outcomes, client_->flush());
    if (!outcomes.refused.empty()) {
        return outcomes.refused.front().error.to_error().within(
            outcomes.refused_frames == 1
                ? std::string("a frame was refused")
                : fmt::format("{} frames were refused, the first", outcomes.refused_frames));
    }
    report_.late_rows += outcomes.late_rows;
    return {};
}

Status LoadWriter::finish() {
    TRY(take_outcomes());
    report_.rows += frames_sent_ * options_.rows_per_frame;
    return {};
}

}  // namespace stepdb
