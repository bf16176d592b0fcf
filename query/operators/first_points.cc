#include "query/operators/first_points.h"

namespace stepdb {

namespace {

class FirstPoints : public SeriesCursor {
  public:
    FirstPoints(std::unique_ptr<SeriesCursor> input, uint64_t points)
        : input_(std::move(input)), left_(points) {}

    Task<Result<bool>> next(Points& batch) override {
        if (left_ == 0) {
            co_return false;
        }
        const Result<bool> more = co_await input_->next(batch);
        if (!more || !*more) {
            co_return more;
        }
        if (batch.size() > left_) {
            batch.keys.resize(left_);
            batch.times.resize(left_);
            batch.values.resize(left_);
        }
        left_ -= batch.size();
        co_return true;
    }

  private:
    std::unique_ptr<SeriesCursor> input_;
    uint64_t left_;
};

}  // namespace

std::unique_ptr<SeriesCursor> make_first_points(std::unique_ptr<SeriesCursor> input,
                                                uint64_t points) {
    return std::make_unique<FirstPoints>(std::move(input), points);
}

}  // namespace stepdb
