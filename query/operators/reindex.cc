#include "query/operators/reindex.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/query_memory.h"
#include "query/operators/evaluator.h"
#include "query/operators/joined.h"

namespace stepdb {

namespace {

// Key, time, value and place in the order, in vectors that grow by doubling.
constexpr size_t kPointBytes = 56;
constexpr size_t kBatchPoints = 4096;

class Reindex : public SeriesCursor {
  public:
    Reindex(std::unique_ptr<SeriesCursor> input, ExecutionContext& context, const Series& series,
            const ReindexStep& step)
        : input_(std::move(input)),
          context_(context),
          step_(step),
          points_(context, series, step),
          charge_(context.memory) {}

    Task<Result<bool>> next(Points& batch) override {
        if (!is_read_) {
            const Status read = co_await read_all();
            if (!read) {
                co_return read.error();
            }
            is_read_ = true;
        }
        batch.clear();
        const size_t end = std::min(order_.size(), at_ + kBatchPoints);
        for (; at_ < end; ++at_) {
            const uint32_t point = order_[at_];
            batch.keys.push_back(all_.keys[point]);
            batch.times.push_back(all_.times[point]);
            batch.values.push_back(all_.values[point]);
        }
        co_return batch.size() > 0;
    }

  private:
    // Evaluates x for the points of one series.
    class PointX {
      public:
        PointX(ExecutionContext& context, const Series& series, const ReindexStep& step)
            : step_(step), row_(series.run) {
            row_.axis = series.axis;
            row_.start_us = find_run_start(step.run_starts, series.run);
            if (step.x == XStage::X::kExpression) {
                const PointExpression& expression = *context.expressions[step.number];
                root_ = expression.root;
                evaluator_.emplace(context, expression.plan);
                joined_.emplace(context, expression.plan, series);
            }
        }
        Task<Status> align(const Points& batch) {
            if (!joined_) {
                co_return Status();
            }
            co_return co_await joined_->align(batch.keys);
        }
        std::optional<Key> key(const Points& batch, size_t at) {
            if (step_.x == XStage::X::kTime) {
                return batch.times[at];
            }
            const std::optional<double> x = number(batch, at);
            return x && std::isfinite(*x) ? std::optional(key_of_step(*x)) : std::nullopt;
        }

      private:
        std::optional<double> number(const Points& batch, size_t at) {
            if (step_.x == XStage::X::kStep) {
                return std::nullopt;  // telemetry has none
            }
            if (step_.x == XStage::X::kElapsed) {
                return elapsed_seconds(row_.start_us, batch.times[at]);
            }
            const Value value = evaluator_->evaluate_point(root_, row_, batch, at, &*joined_);
            return value.is_numeric() ? std::optional(value.as_double()) : std::nullopt;
        }

        ReindexStep step_;
        ExpressionRow row_;
        uint32_t root_ = 0;
        std::optional<ExpressionEvaluator> evaluator_;
        std::optional<JoinedMetrics> joined_;
    };

    Task<Status> read_all() {
        Points batch;
        while (true) {
            const Result<bool> more = co_await input_->next(batch);
            if (!more) {
                co_return more.error();
            }
            if (!*more) {
                break;
            }
            Status done = charge_query_memory(charge_, (all_.size() + batch.size()) * kPointBytes);
            if (done) {
                done = co_await points_.align(batch);
            }
            if (!done) {
                co_return done;
            }
            add(batch);
        }
        order_.resize(all_.size());
        std::iota(order_.begin(), order_.end(), 0);
        const auto before = [&](uint32_t a, uint32_t b) { return all_.keys[a] < all_.keys[b]; };
        if (!std::ranges::is_sorted(all_.keys)) {
            std::stable_sort(order_.begin(), order_.end(), before);
        }
        co_return Status();
    }

    void add(const Points& batch) {
        for (size_t i = 0; i < batch.size(); ++i) {
            const std::optional<Key> key = points_.key(batch, i);
            if (!key) {
                ++context_.left_out_points.without_x;
                continue;
            }
            all_.keys.push_back(*key);
            all_.times.push_back(batch.times[i]);
            all_.values.push_back(batch.values[i]);
        }
    }

    std::unique_ptr<SeriesCursor> input_;
    ExecutionContext& context_;
    ReindexStep step_;
    PointX points_;
    MemoryCharge charge_;
    Points all_;
    std::vector<uint32_t> order_;
    size_t at_ = 0;  // next of order_
    bool is_read_ = false;
};

class Positive : public SeriesCursor {
  public:
    Positive(std::unique_ptr<SeriesCursor> input, ExecutionContext& context)
        : input_(std::move(input)), context_(context) {}

    Task<Result<bool>> next(Points& batch) override {
        while (true) {
            const Result<bool> more = co_await input_->next(batch);
            if (!more || !*more) {
                co_return more;
            }
            // Keys ascend, so that those to leave out stand first.
            const auto from = std::ranges::upper_bound(batch.keys, key_of_step(0));
            const auto count = static_cast<ptrdiff_t>(from - batch.keys.begin());
            context_.left_out_points.not_positive += static_cast<uint64_t>(count);
            batch.keys.erase(batch.keys.begin(), from);
            batch.times.erase(batch.times.begin(), batch.times.begin() + count);
            batch.values.erase(batch.values.begin(), batch.values.begin() + count);
            if (batch.size() > 0) {
                co_return true;
            }
        }
    }

  private:
    std::unique_ptr<SeriesCursor> input_;
    ExecutionContext& context_;
};

}  // namespace

std::unique_ptr<SeriesCursor> make_reindex(std::unique_ptr<SeriesCursor> input,
                                           ExecutionContext& context, const Series& series,
                                           const ReindexStep& step) {
    return std::make_unique<Reindex>(std::move(input), context, series, step);
}

std::unique_ptr<SeriesCursor> make_positive(std::unique_ptr<SeriesCursor> input,
                                            ExecutionContext& context) {
    return std::make_unique<Positive>(std::move(input), context);
}

}  // namespace stepdb
