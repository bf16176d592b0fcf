#include "tools/spool_delivery.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "engine/base/coding.h"
#include "tools/command.h"

namespace stepdb {

namespace {

// Outcomes are waited for after so much: the client keeps the words of a thousand refusals.
constexpr size_t kUnsettledFrames = 512;
constexpr size_t kUnsettledBytes = 8U << 20U;
constexpr std::chrono::milliseconds kSpoolRetryMin(50);
constexpr std::chrono::milliseconds kSpoolRetryMax(2000);

bool may_pass(ErrorCode code) {
    return code == ErrorCode::kUnavailable || code == ErrorCode::kResourceExhausted;
}

}  // namespace

SpoolDelivery::SpoolDelivery(Spool& spool, Connect connect, std::chrono::milliseconds wait_max)
    : spool_(spool), connect_(std::move(connect)), wait_max_(wait_max) {}

SpoolOutcome SpoolDelivery::run() {
    auto since = std::chrono::steady_clock::now();
    std::chrono::milliseconds delay = kSpoolRetryMin;
    for (;;) {
        const Status sent = send_all();
        client_.reset();
        if (sent) {
            break;
        }
        if (std::exchange(has_come_on_, false)) {
            since = std::chrono::steady_clock::now();
            delay = kSpoolRetryMin;
        }
        if (!may_pass(sent.error().code()) ||
            std::chrono::steady_clock::now() + delay - since > wait_max_) {
            outcome_.failed = sent.error();
            return std::move(outcome_);
        }
        std::this_thread::sleep_for(delay);
        delay = std::min(2 * delay, kSpoolRetryMax);
    }
    for (const std::string& name : spool_.set_aside_files()) {
        outcome_.failed = make_error(ErrorCode::kCorruption,
                                     "{}/{} cannot be read; remove it once it is of no use",
                                     spool_.directory(), name);
    }
    if (!outcome_.failed) {
        const Status removed = spool_.remove();
        if (!removed) {
            outcome_.failed = removed.error();
        }
    }
    return std::move(outcome_);
}

Status SpoolDelivery::send_all() {
    sent_.clear();
    sent_bytes_ = 0;
    TRY_ASSIGN(const std::vector<uint64_t> files, spool_.file_numbers());
    TRY(find_first(files));
    for (size_t at = 0; at < files.size(); ++at) {
        TRY(send_file(files[at], at + 1 == files.size()));
    }
    return {};
}

Status SpoolDelivery::find_first(const std::vector<uint64_t>& files) {
    for (size_t at = 0; at < files.size() && !has_acked_; ++at) {
        TRY_ASSIGN(const SpoolFile file, SpoolFile::read(spool_.file_path(files[at])));
        for (const SpoolFrame& frame : file.frames()) {
            if (frame.header.number != 0 && !std::exchange(has_acked_, true)) {
                acked_ = std::max(frame.header.number - 1, spool_.run().base);
            }
        }
    }
    acked_ = has_acked_ ? acked_ : spool_.run().base;
    return {};
}

Status SpoolDelivery::open() {
    const SpoolRun& run = spool_.run();
    TRY_ASSIGN(client_, connect_(run.writer));
    const uint64_t first = acked_ - run.base + 1;
    if (run.parent) {
        TRY_ASSIGN(run_, client_->fork_run(run.project, run.run, *run.parent, run.fork_step));
    }
    if (!run.parent || first > 1) {
        TRY_ASSIGN(run_,
                   client_->open_run(run.project, run.run, OpenRunFrame::kCreateIfMissing, first));
    }
    if (!run.attempt) {
        // Its process never heard of the server's: it was the first of its run.
        SpoolRun known = run;
        known.attempt = 0;
        TRY(spool_.save_run(known));
    }
    return {};
}

Status SpoolDelivery::send_file(uint64_t number, bool is_last) {
    const std::string path = spool_.file_path(number);
    TRY_ASSIGN(const SpoolFile file, SpoolFile::read(path));
    for (const SpoolFrame& frame : file.frames()) {
        TRY(send_frame(frame));
    }
    TRY(settle());
    if (file.other_bytes() == 0) {
        return spool_.remove_file(number);
    }
    // Only the last file may end anywhere: others were synced before the next was begun.
    outcome_.notes.push_back(
        fmt::format("{}: {} bytes from byte {} on are no whole frame, and "
                    "nothing of them is sent",
                    path, file.other_bytes(), file.sound_bytes()));
    return is_last && file.is_torn() ? spool_.remove_file(number) : spool_.set_aside(number);
}

Status SpoolDelivery::send_frame(const SpoolFrame& frame) {
    const uint64_t number = frame.header.number;
    if (number != 0 && number <= acked_) {
        return {};
    }
    const uint64_t expected = (sent_.empty() ? acked_ : sent_.back().number) + 1;
    if (number > expected) {
        TRY(settle());
        outcome_.notes.push_back(fmt::format("{}: frames {} to {} are missing", spool_.directory(),
                                             expected, number - 1));
        acked_ = number - 1;
        client_.reset();  // another connection may begin behind the gap
    }
    if (client_ == nullptr) {
        TRY(open());
    }
    TRY_ASSIGN(const uint64_t ordinal, client_->send_change(as_sent(frame)));
    if (number != 0) {
        sent_.push_back({ordinal, number, frame.rows()});
    }
    sent_bytes_ += frame.bytes.size();
    return sent_.size() < kUnsettledFrames && sent_bytes_ < kUnsettledBytes ? Status() : settle();
}

// Under the handle and the numbers of this connection, and for an attempt.
std::vector<std::byte> SpoolDelivery::as_sent(const SpoolFrame& frame) const {
    std::vector<std::byte> bytes(frame.bytes.begin(), frame.bytes.end());
    if (frame.header.number == 0 || bytes.size() < kFrameHeaderBytes + 8) {
        return bytes;
    }
    std::byte* const body = bytes.data() + kFrameHeaderBytes;
    store_le(bytes.data() + 16, frame.header.number - spool_.run().base);
    store_le(body, run_.handle);
    const bool has_attempt =
        frame.header.type == FrameType::kRows || frame.header.type == FrameType::kFinishRun;
    if (has_attempt && load_le<uint32_t>(body + 4) == kSpoolAttemptOpen) {
        store_le(body + 4, spool_.run().attempt.value_or(0));
    }
    store_le(bytes.data() + 8, frame_checksum(frame.header.checksum_kind, bytes));
    return bytes;
}

Status SpoolDelivery::settle() {
    sent_bytes_ = 0;
    if (client_ == nullptr) {
        return {};
    }
    TRY_ASSIGN(const FlushReport report, client_->flush());
    uint64_t rows = 0;
    uint64_t rows_refused = 0;
    auto refused = report.refused.begin();
    for (const Sent& sent : sent_) {
        while (refused != report.refused.end() && refused->ordinal < sent.ordinal) {
            ++refused;  // of a schema: the rows that need it are refused too
        }
        const bool is_refused = refused != report.refused.end() && refused->ordinal == sent.ordinal;
        if (is_refused && may_pass(refused->error.code)) {
            outcome_.rows_sent += rows;
            outcome_.rows_refused += rows_refused;
            return start_over(sent.number, refused->error.to_error());
        }
        (is_refused ? rows_refused : rows) += sent.rows;
        if (is_refused && outcome_.first_refusal.empty()) {
            outcome_.first_refusal = refused->error.message;
        }
        has_come_on_ = true;
        acked_ = sent.number;
    }
    outcome_.rows_sent += rows;
    outcome_.rows_refused += rows_refused;
    sent_.clear();
    return {};
}

// Refused frames use up their numbers. What comes behind them may have been taken; it is sent again
// too, in order, which leaves the same points: the last write of a step stands.
Status SpoolDelivery::start_over(uint64_t number, const Error& why) {
    sent_.clear();
    SpoolRun run = spool_.run();
    run.writer = random_id();
    run.base = number - 1;
    TRY(spool_.save_run(run));
    acked_ = number - 1;
    return why;
}

}  // namespace stepdb
