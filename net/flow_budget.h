// Bytes on their way through the server, against a bound: what was received and not yet answered,
// and what was answered and not yet sent. On the net thread only. Full, it stays full until half of
// it is free, so that what waits for room is not woken for crumbs.
#pragma once

#include <cstddef>
#include <functional>

#include "engine/base/check.h"

namespace stepdb {

class FlowBudget {
  public:
    // `on_room` is called when things may go on after the budget was full.
    FlowBudget(size_t bytes_max, std::function<void()> on_room)
        : bytes_max_(bytes_max), on_room_(std::move(on_room)) {}

    // For what is there already, whatever the bound says.
    void charge(size_t bytes) {
        used_ += bytes;
        full_ = full_ || used_ > bytes_max_;
    }
    void release(size_t bytes) {
        CHECK(bytes <= used_, "{} bytes released of {}", bytes, used_);
        used_ -= bytes;
        if (full_ && used_ <= bytes_max_ / 2) {
            full_ = false;
            on_room_();
        }
    }
    // Charges if there is room; else the budget counts as full. Whoever has nothing yet gets room
    // in an empty budget for any size, so that the largest frame fits the smallest budget.
    bool try_reserve(size_t bytes) {
        full_ = full_ || (used_ != 0 && used_ + bytes > bytes_max_);
        if (full_) {
            return false;
        }
        used_ += bytes;
        return true;
    }

    bool full() const { return full_; }
    size_t used() const { return used_; }
    size_t bytes_max() const { return bytes_max_; }

  private:
    size_t bytes_max_;
    std::function<void()> on_room_;
    size_t used_ = 0;
    bool full_ = false;
};

}  // namespace stepdb
