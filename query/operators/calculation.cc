#include "query/operators/calculation.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "query/operators/pipeline.h"
#include "query/operators/range_filter.h"
#include "query/operators/scan.h"

namespace stepdb {

namespace {

constexpr size_t kBatchPoints = 4096;

bool is_number(const Series& series) {
    return series.calculation != nullptr && series.calculation->kind == Calculation::Kind::kNumber;
}

bool is_held(const Series& series) {
    return series.calculation != nullptr && series.calculation->kind == Calculation::Kind::kHold;
}

// The points of an operand one by one, with the last one that was passed.
class OperandPoints {
  public:
    OperandPoints(ExecutionContext& context, const Series& series, KeyRange range)
        : is_held_(stepdb::is_held(series)) {
        // What is held began before the range.
        range.first = is_held_ ? kKeyMin : range.first;
        cursor_ = make_source(context, is_held_ ? series.calculation->operands[0] : series, range);
    }

    bool is_held() const { return is_held_; }
    // Whether there is a point; reads it if need be.
    Task<Result<bool>> load() {
        while (at_ == batch_.size() && !is_done_) {
            const Result<bool> more = co_await cursor_->next(batch_);
            if (!more) {
                co_return more;
            }
            at_ = 0;
            is_done_ = !*more;
            if (is_done_) {
                batch_.clear();
            }
        }
        co_return at_ < batch_.size();
    }
    Key key() const { return batch_.keys[at_]; }
    int64_t time_us() const { return batch_.times[at_]; }
    double value() const { return batch_.values[at_]; }
    void pass() {
        has_last_ = true;
        last_time_us_ = time_us();
        last_value_ = value();
        ++at_;
    }
    bool has_last() const { return has_last_; }
    int64_t last_time_us() const { return last_time_us_; }
    double last_value() const { return last_value_; }

  private:
    bool is_held_;
    std::unique_ptr<SeriesCursor> cursor_;
    Points batch_;
    size_t at_ = 0;
    bool is_done_ = false;
    bool has_last_ = false;
    int64_t last_time_us_ = 0;
    double last_value_ = 0;
};

// At the keys that both operands have; of what is held the last value at or before a key counts.
class Join : public SeriesCursor {
  public:
    Join(ExecutionContext& context, const Calculation& calculation, KeyRange range)
        : op_(calculation.op),
          left_(context, calculation.operands[0], range),
          right_(context, calculation.operands[1], range),
          range_(range) {}

    Task<Result<bool>> next(Points& batch) override {
        batch.clear();
        while (batch.size() < kBatchPoints) {
            const Result<bool> has_left = co_await left_.load();
            if (!has_left) {
                co_return has_left;
            }
            const Result<bool> has_right = co_await right_.load();
            if (!has_right) {
                co_return has_right;
            }
            if (!step(*has_left, *has_right, batch)) {
                break;
            }
        }
        co_return batch.size() > 0;
    }

  private:
    // Passes the next key; false if none can yield a point any more.
    bool step(bool has_left, bool has_right, Points& batch) {
        const bool needs_left = !left_.is_held();
        const bool needs_right = !right_.is_held();
        if ((!has_left && (needs_left || !has_right)) ||
            (!has_right && (needs_right || !has_left))) {
            return false;
        }
        const Key key = !has_left    ? right_.key()
                        : !has_right ? left_.key()
                                     : std::min(left_.key(), right_.key());
        const bool is_left = has_left && left_.key() == key;
        const bool is_right = has_right && right_.key() == key;
        if (is_left) {
            left_.pass();
        }
        if (is_right) {
            right_.pass();
        }
        // A key counts where every operand that is not held has it; if both are held, where one
        // does.
        const bool counts = (is_left || !needs_left) && (is_right || !needs_right) &&
                            left_.has_last() && right_.has_last();
        if (counts && range_.contains(key)) {
            batch.keys.push_back(key);
            batch.times.push_back(std::max(left_.last_time_us(), right_.last_time_us()));
            batch.values.push_back(apply_operator(op_, left_.last_value(), right_.last_value()));
        }
        return true;
    }

    Operator op_;
    OperandPoints left_;
    OperandPoints right_;
    KeyRange range_;
};

// An operand and a number.
class WithNumber : public SeriesCursor {
  public:
    WithNumber(std::unique_ptr<SeriesCursor> input, const Calculation& calculation)
        : input_(std::move(input)),
          op_(calculation.op),
          is_left_(is_number(calculation.operands[0])),
          number_(calculation.operands[is_left_ ? 0 : 1].calculation->number) {}

    Task<Result<bool>> next(Points& batch) override {
        const Result<bool> more = co_await input_->next(batch);
        if (more && *more) {
            for (double& value : batch.values) {
                value = is_left_ ? apply_operator(op_, number_, value)
                                 : apply_operator(op_, value, number_);
            }
        }
        co_return more;
    }

  private:
    std::unique_ptr<SeriesCursor> input_;
    Operator op_;
    bool is_left_;
    double number_;
};

std::unique_ptr<SeriesCursor> make_operator(ExecutionContext& context,
                                            const Calculation& calculation, KeyRange range) {
    const Series& left = calculation.operands[0];
    const Series& right = calculation.operands[1];
    if (is_number(left) || is_number(right)) {
        return std::make_unique<WithNumber>(
            make_source(context, is_number(left) ? right : left, range), calculation);
    }
    return std::make_unique<Join>(context, calculation, range);
}

}  // namespace

double apply_operator(Operator op, double a, double b) {
    switch (op) {
        case Operator::kAdd:
            return a + b;
        case Operator::kSubtract:
            return a - b;
        case Operator::kMultiply:
            return a * b;
        case Operator::kDivide:
            return a / b;
        default:
            return std::fmod(a, b);
    }
}

std::unique_ptr<SeriesCursor> make_source(ExecutionContext& context, const Series& series,
                                          KeyRange range) {
    if (series.calculation == nullptr) {
        return make_scan(context, series, range);
    }
    const Calculation& calculation = *series.calculation;
    switch (calculation.kind) {
        case Calculation::Kind::kOperator:
            return make_operator(context, calculation, range);
        case Calculation::Kind::kHold:
            return make_source(context, calculation.operands[0], range);
        case Calculation::Kind::kStages:
            return make_range_filter(
                make_pipeline(context, calculation.operands[0], calculation.pipeline),
                FilterBy::kKey, range);
        case Calculation::Kind::kNumber:
            break;
    }
    CHECK(false, "calculation of kind {}", static_cast<int>(calculation.kind));
    return nullptr;
}

}  // namespace stepdb
