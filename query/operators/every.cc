#include "query/operators/every.h"

#include <cmath>
#include <limits>
#include <optional>

#include "query/operators/bucket_statistics.h"

namespace stepdb {

namespace {

// Where the window begins that a key is in.
Key window_of(Key key, const EveryStage& how) {
    if (how.width_us != 0) {
        int64_t rest = key % how.width_us;
        rest += rest < 0 ? how.width_us : 0;
        return key < kKeyMin + rest ? kKeyMin : key - rest;
    }
    const double x = step_of_key(key);
    double number = std::floor(x / how.width);
    // What the division rounded up to a whole number, or down from one.
    if (number * how.width > x) {
        number -= 1;
    } else if ((number + 1) * how.width <= x) {
        number += 1;
    }
    const double start = number * how.width;
    return std::isfinite(start) ? key_of_step(start) : key;
}

class Every : public SeriesCursor {
  public:
    Every(std::unique_ptr<SeriesCursor> input, const EveryStage& how)
        : input_(std::move(input)), how_(how) {}

    Task<Result<bool>> next(Points& batch) override {
        while (!done_) {
            const Result<bool> more = co_await input_->next(points_);
            if (!more) {
                co_return more;
            }
            batch.clear();
            if (!*more) {
                done_ = true;
                close(batch);
            } else {
                add(batch);
            }
            if (batch.size() > 0) {
                co_return true;
            }
        }
        co_return false;
    }

  private:
    void add(Points& batch) {
        for (size_t i = 0; i < points_.size(); ++i) {
            const Key window = window_of(points_.keys[i], how_);
            if (window_ && *window_ != window) {
                close(batch);
            }
            window_ = window;
            bucket_.add(points_.keys[i], points_.values[i]);
            last_time_us_ = points_.times[i];
        }
    }

    void close(Points& batch) {
        if (!window_) {
            return;
        }
        batch.keys.push_back(*window_);
        batch.times.push_back(how_.width_us != 0 ? *window_ : last_time_us_);
        batch.values.push_back(is_known(bucket_, how_.statistic)
                                   ? value_of(bucket_, how_.statistic)
                                   : std::numeric_limits<double>::quiet_NaN());
        window_.reset();
        bucket_ = Bucket();
    }

    std::unique_ptr<SeriesCursor> input_;
    EveryStage how_;
    Points points_;
    std::optional<Key> window_;  // that is being filled
    Bucket bucket_;
    int64_t last_time_us_ = 0;
    bool done_ = false;
};

}  // namespace

std::unique_ptr<SeriesCursor> make_every(std::unique_ptr<SeriesCursor> input,
                                         const EveryStage& how) {
    return std::make_unique<Every>(std::move(input), how);
}

}  // namespace stepdb
