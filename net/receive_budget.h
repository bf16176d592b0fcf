// How many received bytes the server holds: frames the engine has not answered yet, and the frames
// that large ones are being received into. On the net thread only.
//
// A large frame is reserved whole before the rest of it is read, so whatever was begun can be
// finished, and waiting for room never becomes a deadlock of halves.
#pragma once

#include <cstddef>
#include <functional>

#include "engine/base/check.h"

namespace stepdb {

class ReceiveBudget {
  public:
    // `on_room` is called when reading may go on after the budget was full.
    ReceiveBudget(size_t bytes_max, std::function<void()> on_room)
        : bytes_max_(bytes_max), on_room_(std::move(on_room)) {}

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
    // Charges if there is room; else the budget counts as full until something is released and half
    // of it is free.
    bool try_reserve(size_t bytes) {
        full_ = full_ || (used_ != 0 && used_ + bytes > bytes_max_);
        if (full_) {
            return false;
        }
        used_ += bytes;
        return true;
    }

    // Stop reading sockets.
    bool full() const { return full_; }
    size_t used() const { return used_; }

  private:
    size_t bytes_max_;
    std::function<void()> on_room_;
    size_t used_ = 0;
    bool full_ = false;
};

}  // namespace stepdb
