// How much of something may happen in a second. What comes in bursts is evened out: a second's
// worth may come at once, and whoever has taken more than there was waits until it is paid off.
#pragma once

#include <algorithm>
#include <chrono>

namespace stepdb {

// Not thread-safe.
class RateLimit {
  public:
    using Time = std::chrono::steady_clock::time_point;

    // 0: no limit.
    explicit RateLimit(double per_second) : per_second_(per_second), left_(per_second) {}

    bool is_limited() const { return per_second_ > 0; }
    double per_second() const { return per_second_; }

    // For what is there already, whatever the limit says.
    void take(double amount, Time now) {
        if (is_limited()) {
            refill(now);
            left_ -= amount;
        }
    }
    // Takes it if nothing has to be waited for.
    bool try_take(double amount, Time now) {
        if (wait(amount, now).count() > 0) {
            return false;
        }
        take(amount, now);
        return true;
    }
    // How long it takes until so much is left; 0 if it is. Of more than there ever is at a time:
    // until everything is.
    std::chrono::microseconds wait(double amount, Time now) {
        if (!is_limited()) {
            return std::chrono::microseconds(0);
        }
        refill(now);
        const double missing = std::min(amount, per_second_) - left_;
        const std::chrono::duration<double> time(missing / per_second_);
        return missing <= 0 ? std::chrono::microseconds(0)
                            : std::chrono::ceil<std::chrono::microseconds>(time);
    }

  private:
    void refill(Time now) {
        if (last_ != Time()) {
            const std::chrono::duration<double> passed = now - last_;
            left_ = std::min(left_ + passed.count() * per_second_, per_second_);
        }
        last_ = now;
    }

    double per_second_;
    double left_;
    Time last_;
};

// What the holder of a token may do in a second, over all its connections.
struct TokenRates {
    TokenRates(double rows_per_second, double queries_per_second)
        : rows(rows_per_second), queries(queries_per_second) {}

    RateLimit rows;
    RateLimit queries;
};

}  // namespace stepdb
