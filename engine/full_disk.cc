// What happens when the disk is full: deletes go on, and the merges and flushes that give back what
// they have deleted, by the room that is kept for them (disk_reserve.h). While that is given up no
// rows are taken: they would use it up, and nothing could be deleted any more.
#include "engine/base/text.h"
#include "engine/engine_core.h"

namespace stepdb {

namespace {

// After a try to take the reserve for which the disk had no room.
constexpr int64_t kReserveRetryUs = 30'000'000;

bool is_exhausted(const std::optional<Error>& error) {
    return error && error->code() == ErrorCode::kResourceExhausted;
}

}  // namespace

bool EngineCore::is_disk_full() const {
    // Where nobody tries a merge again, its failure says nothing of later.
    const bool is_merge_fresh =
        options_.merge_automatically || environment_.clock.now_us() < merge_retry_us_;
    return write_path_.full() || is_exhausted(flush_error_) ||
           (is_merge_fresh && is_exhausted(merge_error_));
}

bool EngineCore::takes_deletes() const {
    return log_->has_room() || reserve_->held();
}

// Something has been deleted: on a full disk its room is wanted back now.
void EngineCore::on_delete() {
    if (is_disk_full() && (reserve_->held() || reserve_->given_up())) {
        merge_by_reserve_ = true;
        flush_by_reserve_ = true;
        give_up_reserve();
    }
}

Error EngineCore::reserve_in_use() const {
    return make_error(ErrorCode::kResourceExhausted,
                      "the disk of {} is full, and the room that is kept on it for deletes is in "
                      "use: no rows are taken until {} are free for that again",
                      options_.directory, format_size(reserve_->bytes()));
}

void EngineCore::give_up_reserve() {
    if (!reserve_->held() || using_reserve_ || closing_ || write_path_.latched()) {
        return;
    }
    using_reserve_ = true;
    begin_background();
    start(reserve_->give_up(), [this](const Status& status) {
        using_reserve_ = false;
        if (status) {
            write_path_.set_full(reserve_in_use());
            if (log_->is_stuck()) {
                log_->want_file();
            }
            use_reserve();
        } else {
            write_path_.latch(status.error());
        }
        end_background();
    });
}

// What the reserve was given up for, one after the other, since each may need all of it: the log
// takes what it has accepted, a merge and a flush make room; then the reserve is made anew.
void EngineCore::use_reserve() {
    if (!reserve_->given_up() || using_reserve_ || closing_ || write_path_.latched() ||
        merging_by_itself_ || flush_started_ || log_ == nullptr) {
        return;
    }
    if (!write_path_.idle()) {
        return;  // comes again when that is published
    }
    if (std::exchange(merge_by_reserve_, false)) {
        merge_due_ = true;
        merge_retry_us_ = 0;
        start_merges_if_needed(MergeUrgency::kBusy);
        if (merging_by_itself_) {
            return;
        }
    }
    if (std::exchange(flush_by_reserve_, false) &&
        write_path_.published_sequence() != manifest_->state().checkpoint_sequence) {
        start_flush();
        return;
    }
    start_taking_reserve();
}

// Small stores have none: it would be larger than they are.
void EngineCore::take_reserve_if_due() {
    uint64_t bytes = log_files_->disk_bytes();
    for (const auto& segment : state_.rows.segments()) {
        bytes += segment->file_bytes();
    }
    const bool is_due = options_.reserve_bytes != 0 && !reserve_->held() && !reserve_->given_up() &&
                        !is_disk_full() && bytes >= reserve_->bytes() &&
                        environment_.clock.now_us() >= reserve_retry_us_;
    if (is_due && !using_reserve_ && !closing_) {
        start_taking_reserve();
    }
}

void EngineCore::start_taking_reserve() {
    using_reserve_ = true;
    begin_background();
    start(take_reserve(), [this](const Status& status) {
        using_reserve_ = false;
        if (status && write_path_.full()) {
            log_->want_file();  // which tells whether rows are taken again
        }
        if (merge_by_reserve_ && is_disk_full()) {
            give_up_reserve();  // something was deleted meanwhile
        }
        reserve_retry_us_ = environment_.clock.now_us() + kReserveRetryUs;
        end_background();
    });
}

// Log files that are kept for later are worth less than it.
Task<Status> EngineCore::take_reserve() {
    while (true) {
        const Status taken = co_await reserve_->take();
        if (taken || taken.error().code() != ErrorCode::kResourceExhausted ||
            !reserve_->given_up() || !log_files_->has_spare()) {
            co_return taken;
        }
        const Status removed = co_await log_files_->remove_spare();
        if (!removed) {
            co_return removed;
        }
    }
}

}  // namespace stepdb
