// Counting memory against a bound. A MemoryBudget is shared by whoever takes from it, on any
// thread; a MemoryCharge is what one holder has taken, given back when it goes.
#pragma once

#include <atomic>
#include <cstddef>
#include <limits>
#include <memory>
#include <utility>

#include "engine/base/check.h"

namespace stepdb {

class MemoryBudget {
  public:
    explicit MemoryBudget(size_t bytes_max = std::numeric_limits<size_t>::max())
        : bytes_max_(bytes_max) {}
    MemoryBudget(const MemoryBudget&) = delete;
    MemoryBudget& operator=(const MemoryBudget&) = delete;

    size_t bytes_max() const { return bytes_max_; }
    size_t used() const { return used_.load(std::memory_order_relaxed); }
    bool full() const { return used() >= bytes_max_; }

    // Takes the bytes if they stay within the bound.
    bool try_take(size_t bytes) {
        size_t before = used();
        while (bytes <= bytes_max_ && before <= bytes_max_ - bytes) {
            if (used_.compare_exchange_weak(before, before + bytes, std::memory_order_relaxed)) {
                return true;
            }
        }
        return false;
    }
    // Takes them whatever the bound says: for what is there already.
    void take(size_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
    void give_back(size_t bytes) {
        const size_t before = used_.fetch_sub(bytes, std::memory_order_relaxed);
        CHECK(bytes <= before, "{} bytes given back of {}", bytes, before);
    }

  private:
    const size_t bytes_max_;
    std::atomic<size_t> used_{0};
};

// Shares the budget's ownership: what is charged may outlive who set the bound, as a block does
// that a snapshot pins.
class MemoryCharge {
  public:
    MemoryCharge() = default;
    // Takes nothing yet.
    explicit MemoryCharge(std::shared_ptr<MemoryBudget> budget) : budget_(std::move(budget)) {}
    MemoryCharge(std::shared_ptr<MemoryBudget> budget, size_t bytes) : budget_(std::move(budget)) {
        set(bytes);
    }
    MemoryCharge(MemoryCharge&& other) noexcept
        : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
    MemoryCharge& operator=(MemoryCharge&& other) noexcept {
        if (this != &other) {
            set(0);
            budget_ = std::move(other.budget_);
            bytes_ = std::exchange(other.bytes_, 0);
        }
        return *this;
    }
    ~MemoryCharge() { set(0); }

    size_t bytes() const { return bytes_; }
    // Makes it `bytes` in all, whatever the bound says.
    void set(size_t bytes) {
        if (budget_ != nullptr && bytes > bytes_) {
            budget_->take(bytes - bytes_);
        } else if (budget_ != nullptr && bytes < bytes_) {
            budget_->give_back(bytes_ - bytes);
        }
        bytes_ = bytes;
    }
    // Makes it `bytes` in all if that stays within the bound; else nothing changes. Taking less
    // always succeeds, and so does a charge without a budget.
    bool try_set(size_t bytes) {
        if (budget_ != nullptr && bytes > bytes_ && !budget_->try_take(bytes - bytes_)) {
            return false;
        }
        if (budget_ != nullptr && bytes < bytes_) {
            budget_->give_back(bytes_ - bytes);
        }
        bytes_ = bytes;
        return true;
    }
    const std::shared_ptr<MemoryBudget>& budget() const { return budget_; }

  private:
    std::shared_ptr<MemoryBudget> budget_;
    size_t bytes_ = 0;
};

}  // namespace stepdb
