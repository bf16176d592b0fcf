#include "clients/cpp/send_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "clients/cpp/run_state.h"
#include "engine/base/check.h"

namespace stepdb::client {

namespace {

// Of a frame beside its rows: what a queue of tiny ones takes.
constexpr size_t kFrameOverhead = 512;

size_t held_bytes(const QueuedFrame& frame) {
    return kFrameOverhead + frame.bytes.size();
}

}  // namespace

SendQueue::SendQueue(const Options& options)
    : options_(options), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    CHECK(wake_ >= 0, "no eventfd: error {}", errno);
}

SendQueue::~SendQueue() {
    close(wake_);
}

Error SendQueue::failure() const {
    const std::lock_guard lock(mutex_);
    return *failure_;
}

// --- Logging threads ---

bool SendQueue::has_room(size_t bytes) const {
    return used_bytes_ == 0 || used_bytes_ + bytes <= options_.queue_bytes_max;
}

Block SendQueue::take_block(size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (!has_room(bytes) || failure_) {
        return {};
    }
    used_bytes_ += bytes;
    const auto spare = spare_.find(bytes);
    if (spare != spare_.end() && !spare->second.empty()) {
        Block block = std::move(spare->second.back());
        spare->second.pop_back();
        spare_bytes_ -= bytes;
        return block;
    }
    if (used_bytes_ + spare_bytes_ + bytes > options_.queue_bytes_max) {
        spare_.clear();
        spare_bytes_ = 0;
    }
    return Block(bytes);
}

Result<bool> SendQueue::wait_for_room(size_t bytes) {
    std::unique_lock lock(mutex_);
    if (failure_) {
        return *failure_;
    }
    if (has_room(bytes)) {
        return true;
    }
    if (options_.when_full == WhenFull::kDropNewest) {
        ++report_.dropped_rows;
        return false;
    }
    ++room_waiters_;
    change();
    room_.wait(lock, [&] { return failure_ || has_room(bytes); });
    --room_waiters_;
    return failure_ ? Result<bool>(*failure_) : Result<bool>(true);
}

void SendQueue::add_dirty(DirtyLane lane) {
    const std::lock_guard lock(mutex_);
    if (failure_) {
        return;
    }
    const bool is_first = dirty_.empty();
    dirty_.push_back(std::move(lane));
    if (is_first || room_waiters_ > 0) {
        change();
    }
}

void SendQueue::push(std::unique_ptr<QueuedFrame> frame) {
    const std::lock_guard lock(mutex_);
    if (failure_) {
        return;
    }
    used_bytes_ += held_bytes(*frame);
    counts_.rows_logged += frame->rows.rows();
    ++pushed_;
    frames_.push_back(std::move(frame));
    change();
}

Status SendQueue::wait_until_settled() {
    std::unique_lock lock(mutex_);
    const uint64_t until = pushed_;
    settled_.wait(lock, [&] { return failure_ || settled_count_ >= until; });
    return failure_ && settled_count_ < until ? Status(*failure_) : Status();
}

Status SendQueue::wait_for(const Outcome& outcome, RunOpened* opened) {
    std::unique_lock lock(mutex_);
    settled_.wait(lock, [&] { return failure_ || outcome.status; });
    if (!outcome.status) {
        return *failure_;
    }
    if (opened != nullptr) {
        *opened = outcome.opened;
    }
    return *outcome.status;
}

Report SendQueue::take_report() {
    const std::lock_guard lock(mutex_);
    return std::exchange(report_, Report());
}

Counts SendQueue::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

// --- The sender ---

void SendQueue::change() {
    ++version_;
    if (std::exchange(sender_waits_, false)) {
        const uint64_t one = 1;
        // Only a counter that is full refuses it, and then it can be read.
        static_cast<void>(!write(wake_, &one, sizeof(one)));
    }
}

uint64_t SendQueue::version() const {
    const std::lock_guard lock(mutex_);
    return version_;
}

bool SendQueue::prepare_wait(uint64_t version) {
    const std::lock_guard lock(mutex_);
    sender_waits_ = version_ == version;
    return sender_waits_;
}

void SendQueue::end_wait() {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(sender_waits_, false)) {
        uint64_t count = 0;
        static_cast<void>(!read(wake_, &count, sizeof(count)));
    }
}

std::unique_ptr<QueuedFrame> SendQueue::take() {
    const std::lock_guard lock(mutex_);
    if (frames_.empty()) {
        return nullptr;
    }
    std::unique_ptr<QueuedFrame> frame = std::move(frames_.front());
    frames_.pop_front();
    return frame;
}

bool SendQueue::has_frames() const {
    const std::lock_guard lock(mutex_);
    return !frames_.empty();
}

bool SendQueue::is_short_of_room() const {
    const std::lock_guard lock(mutex_);
    return room_waiters_ > 0;
}

std::vector<DirtyLane> SendQueue::take_dirty(SteadyTime now, std::chrono::microseconds age) {
    const std::lock_guard lock(mutex_);
    std::vector<DirtyLane> due;
    while (!dirty_.empty() && dirty_.front().since + age <= now) {
        due.push_back(std::move(dirty_.front()));
        dirty_.pop_front();
    }
    return due;
}

std::optional<SteadyTime> SendQueue::oldest_dirty() const {
    const std::lock_guard lock(mutex_);
    return dirty_.empty() ? std::nullopt : std::optional(dirty_.front().since);
}

void SendQueue::note_refusal(QueuedFrame& frame) {
    ++report_.refused_frames;
    report_.refused_rows += frame.rows.rows();
    if (report_.refused.size() < Report::kRefusedKept) {
        Refused& refused = report_.refused.emplace_back(frame.run->path(), *frame.refusal);
        if (frame.lane != nullptr) {
            refused.schema = frame.lane->schema->hash();
        }
        refused.first_row = frame.first_row;
        refused.rows = frame.rows.rows();
        refused.bad_row = frame.bad_row;
    }
}

void SendQueue::settle(std::vector<std::unique_ptr<QueuedFrame>> frames, uint64_t late_rows) {
    const std::lock_guard lock(mutex_);
    report_.late_rows += late_rows;
    for (const std::unique_ptr<QueuedFrame>& frame : frames) {
        const uint32_t rows = frame->rows.rows();
        if (frame->outcome) {
            frame->outcome->status = frame->refusal ? Status(*frame->refusal) : Status();
        } else if (frame->refusal) {
            note_refusal(*frame);
        }
        if (!frame->refusal) {
            report_.rows += rows;
            counts_.rows_durable += rows;
        }
        used_bytes_ -= held_bytes(*frame);
        if (Block block = frame->rows.take_block()) {
            const size_t bytes = block.size();
            used_bytes_ -= bytes;
            if (used_bytes_ + spare_bytes_ + bytes <= options_.queue_bytes_max) {
                spare_bytes_ += bytes;
                spare_[bytes].push_back(std::move(block));
            }
        }
    }
    settled_count_ += frames.size();
    if (room_waiters_ > 0) {
        room_.notify_all();
    }
    settled_.notify_all();
}

void SendQueue::count_sent(uint64_t frames, uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    counts_.frames_sent += frames;
    counts_.bytes_sent += bytes;
}

void SendQueue::count_connection() {
    const std::lock_guard lock(mutex_);
    ++counts_.connections;
}

// --- The end ---

void SendQueue::stop(SteadyTime deadline) {
    const std::lock_guard lock(mutex_);
    stop_at_ = deadline;
    ++version_;
    const uint64_t one = 1;
    // It may wait for its socket alone.
    static_cast<void>(!write(wake_, &one, sizeof(one)));
}

bool SendQueue::should_end(SteadyTime now) const {
    const std::lock_guard lock(mutex_);
    return failure_ || (stop_at_ && (settled_count_ == pushed_ || now >= *stop_at_));
}

std::optional<SteadyTime> SendQueue::stop_at() const {
    const std::lock_guard lock(mutex_);
    return stop_at_;
}

void SendQueue::fail(const Error& error) {
    // They hold runs, which hold this queue. They go when the lock has been let go.
    std::deque<std::unique_ptr<QueuedFrame>> frames;
    std::deque<DirtyLane> dirty;
    const std::lock_guard lock(mutex_);
    frames.swap(frames_);
    dirty.swap(dirty_);
    if (!failure_) {
        failure_ = error;
        has_failed_ = true;
    }
    room_.notify_all();
    settled_.notify_all();
}

}  // namespace stepdb::client
