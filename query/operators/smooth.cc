#include "query/operators/smooth.h"

#include <cmath>
#include <optional>

#include "engine/query_memory.h"
#include "query/operators/sliding_window.h"

namespace stepdb {

namespace {

// What a window keeps of a value, in vectors that grow by doubling.
constexpr size_t kWindowValueBytes = 2 * (sizeof(Moments) + sizeof(double));

struct FinitePoint {
    Key key = 0;
    int64_t time_us = 0;
    double value = 0;
};

// What becomes of the finite points of a series, one after the other; unset: no point.
class Smoother {
  public:
    virtual ~Smoother() = default;
    virtual std::optional<double> next(const FinitePoint& point) = 0;
    // Of the windows.
    virtual size_t memory_bytes() const { return 0; }
};

// Every point weighs the more the later it is; divided by the sum of weights, so that the first
// ones are not drawn to 0 (TensorBoard's smoothing).
class Ema final : public Smoother {
  public:
    explicit Ema(double weight) : weight_(weight) {}
    std::optional<double> next(const FinitePoint& point) override {
        sum_ = weight_ * sum_ + (1 - weight_) * point.value;
        weights_ = weight_ * weights_ + (1 - weight_);
        return sum_ / weights_;
    }

  private:
    double weight_;
    double sum_ = 0;
    double weights_ = 0;
};

class MovingMoments final : public Smoother {
  public:
    MovingMoments(Smoothing what, uint64_t points) : what_(what), points_(points) {}
    std::optional<double> next(const FinitePoint& point) override {
        if (window_.size() == points_) {
            window_.pop();
        }
        window_.push(point.value);
        const Moments total = window_.total();
        switch (what_) {
            case Smoothing::kMovingMin:
                return total.min;
            case Smoothing::kMovingMax:
                return total.max;
            case Smoothing::kMovingStd:
                return total.deviation();
            default:
                return total.mean;
        }
    }
    size_t memory_bytes() const override { return window_.size() * kWindowValueBytes; }

  private:
    Smoothing what_;
    uint64_t points_;
    MomentWindow window_;
};

class MovingMedian final : public Smoother {
  public:
    explicit MovingMedian(uint64_t points) : points_(points) {}
    std::optional<double> next(const FinitePoint& point) override {
        if (window_.size() == points_) {
            window_.pop();
        }
        window_.push(point.value);
        return window_.median();
    }
    size_t memory_bytes() const override { return window_.size() * kWindowValueBytes; }

  private:
    uint64_t points_;
    SortedWindow window_;
};

// The difference to the point before, by itself or over the distance.
class Difference final : public Smoother {
  public:
    Difference(Smoothing what, Axis axis) : what_(what), axis_(axis) {}
    std::optional<double> next(const FinitePoint& point) override {
        const std::optional<FinitePoint> before = std::exchange(before_, point);
        if (!before) {
            return std::nullopt;
        }
        const double difference = point.value - before->value;
        if (what_ == Smoothing::kRatePerStep && axis_ == Axis::kStepped) {
            return difference / (step_of_key(point.key) - step_of_key(before->key));
        }
        if (what_ == Smoothing::kDiff) {
            return difference;
        }
        constexpr double kMicroseconds = 1e6;
        const double seconds =
            (static_cast<double>(point.time_us) - static_cast<double>(before->time_us)) /
            kMicroseconds;
        return difference / seconds;
    }

  private:
    Smoothing what_;
    Axis axis_;
    std::optional<FinitePoint> before_;
};

// How far a point is from the mean of those before it, in their deviations.
class Zscore final : public Smoother {
  public:
    explicit Zscore(uint64_t points) : points_(points) {}
    std::optional<double> next(const FinitePoint& point) override {
        std::optional<double> score;
        if (window_.size() == points_) {
            const Moments before = window_.total();
            const double distance = point.value - before.mean;
            score = distance == 0 ? 0 : distance / before.deviation();
            window_.pop();
        }
        window_.push(point.value);
        return score;
    }
    size_t memory_bytes() const override { return window_.size() * kWindowValueBytes; }

  private:
    uint64_t points_;
    MomentWindow window_;
};

std::unique_ptr<Smoother> make_smoother(const SmoothStage& how, Axis axis) {
    switch (how.smoothing) {
        case Smoothing::kEma:
            return std::make_unique<Ema>(how.weight);
        case Smoothing::kMovingMedian:
            return std::make_unique<MovingMedian>(how.points);
        case Smoothing::kMovingMean:
        case Smoothing::kMovingMin:
        case Smoothing::kMovingMax:
        case Smoothing::kMovingStd:
            return std::make_unique<MovingMoments>(how.smoothing, how.points);
        case Smoothing::kZscore:
            return std::make_unique<Zscore>(how.points);
        case Smoothing::kDiff:
        case Smoothing::kRatePerSecond:
        case Smoothing::kRatePerStep:
            break;
    }
    return std::make_unique<Difference>(how.smoothing, axis);
}

class Smooth : public SeriesCursor {
  public:
    Smooth(std::unique_ptr<SeriesCursor> input, std::unique_ptr<Smoother> smoother,
           std::shared_ptr<MemoryBudget> memory)
        : input_(std::move(input)), smoother_(std::move(smoother)), charge_(std::move(memory)) {}

    Task<Result<bool>> next(Points& batch) override {
        while (true) {
            const Result<bool> more = co_await input_->next(batch);
            if (!more || !*more) {
                co_return more;
            }
            smooth(batch);
            const size_t bytes = smoother_->memory_bytes();
            if (bytes > charge_.bytes()) {
                const Status charged = charge_query_memory(charge_, bytes);
                if (!charged) {
                    co_return charged.error();
                }
            }
            if (batch.size() > 0) {
                co_return true;
            }
        }
    }

  private:
    void smooth(Points& batch) {
        size_t kept = 0;
        for (size_t i = 0; i < batch.size(); ++i) {
            std::optional<double> value = batch.values[i];
            if (std::isfinite(*value)) {
                value = smoother_->next({batch.keys[i], batch.times[i], *value});
            }
            if (value) {
                batch.keys[kept] = batch.keys[i];
                batch.times[kept] = batch.times[i];
                batch.values[kept] = *value;
                ++kept;
            }
        }
        batch.keys.resize(kept);
        batch.times.resize(kept);
        batch.values.resize(kept);
    }

    std::unique_ptr<SeriesCursor> input_;
    std::unique_ptr<Smoother> smoother_;
    MemoryCharge charge_;
};

}  // namespace

std::unique_ptr<SeriesCursor> make_smooth(std::unique_ptr<SeriesCursor> input,
                                          const SmoothStage& how, Axis axis,
                                          std::shared_ptr<MemoryBudget> memory) {
    return std::make_unique<Smooth>(std::move(input), make_smoother(how, axis), std::move(memory));
}

}  // namespace stepdb
