// Counting memory against a bound. A MemoryBudget is shared by whoever takes from it, on any
// thread; a MemoryCharge is what one holder has taken, given back when it goes. A budget may be
// part of another: what its holders take counts there too.
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

    // How a part takes from the whole that it shares with others.
    struct Sharing {
        // What takes a part beyond the first leaves the second free, so that parts that stay small
        // find room however much the others have.
        size_t small_bytes_max = 0;
        size_t spared_bytes = 0;
    };
    // What the part has once taken of the whole it keeps until release(), used or not: who goes on
    // with what it was given does not lose it to others on the way.
    MemoryBudget(size_t bytes_max, std::shared_ptr<MemoryBudget> whole, Sharing sharing)
        : bytes_max_(bytes_max), whole_(std::move(whole)), sharing_(sharing) {}
    ~MemoryBudget();
    MemoryBudget(const MemoryBudget&) = delete;
    MemoryBudget& operator=(const MemoryBudget&) = delete;

    size_t bytes_max() const { return bytes_max_; }
    size_t used() const { return used_.load(std::memory_order_relaxed); }
    bool full() const { return used() >= bytes_max_; }

    // Takes the bytes if they stay within the bound and leave so many free.
    bool try_take(size_t bytes, size_t leaving = 0);
    // Takes them whatever the bound says: for what is there already.
    void take(size_t bytes);
    void give_back(size_t bytes) {
        const size_t before = used_.fetch_sub(bytes, std::memory_order_relaxed);
        CHECK(bytes <= before, "{} bytes given back of {}", bytes, before);
    }

    // Of a part; null if it is none.
    const MemoryBudget* whole() const { return whole_.get(); }
    const Sharing& sharing() const { return sharing_; }
    // What the part has of the whole.
    size_t reserved() const { return reserved_.load(std::memory_order_relaxed); }
    // Makes that `bytes` at least, if the whole has them.
    bool try_reserve(size_t bytes);
    // Gives back to the whole what is not in use. Nobody takes from the part meanwhile.
    void release();
    // How much the part's holders would have had in all, had they got what they cannot go on
    // without; 0 as long as that has not been refused.
    size_t wanted() const { return wanted_.load(std::memory_order_relaxed); }
    void set_wanted(size_t bytes) { wanted_.store(bytes, std::memory_order_relaxed); }

  private:
    // What the whole must have left when the part has so much of it.
    size_t spared_at(size_t bytes) const {
        return bytes > sharing_.small_bytes_max ? sharing_.spared_bytes : 0;
    }

    const size_t bytes_max_;
    std::atomic<size_t> used_{0};
    const std::shared_ptr<MemoryBudget> whole_;
    const Sharing sharing_;
    std::atomic<size_t> reserved_{0};
    std::atomic<size_t> wanted_{0};
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
