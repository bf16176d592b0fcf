#include "query/operators/range_filter.h"

namespace stepdb {

namespace {

class RangeFilter : public SeriesCursor {
  public:
    RangeFilter(std::unique_ptr<SeriesCursor> input, FilterBy by, KeyRange range)
        : input_(std::move(input)), by_(by), range_(range) {}

    Task<Result<bool>> next(Points& batch) override {
        while (true) {
            const Result<bool> more = co_await input_->next(batch);
            if (!more || !*more) {
                co_return more;
            }
            filter(batch);
            if (batch.size() > 0) {
                co_return true;
            }
        }
    }

  private:
    void filter(Points& batch) const {
        size_t kept = 0;
        for (size_t i = 0; i < batch.size(); ++i) {
            if (range_.contains(by_ == FilterBy::kKey ? batch.keys[i] : batch.times[i])) {
                batch.keys[kept] = batch.keys[i];
                batch.times[kept] = batch.times[i];
                batch.values[kept] = batch.values[i];
                ++kept;
            }
        }
        batch.keys.resize(kept);
        batch.times.resize(kept);
        batch.values.resize(kept);
    }

    std::unique_ptr<SeriesCursor> input_;
    FilterBy by_;
    KeyRange range_;
};

}  // namespace

std::unique_ptr<SeriesCursor> make_range_filter(std::unique_ptr<SeriesCursor> input, FilterBy by,
                                                KeyRange range) {
    return std::make_unique<RangeFilter>(std::move(input), by, range);
}

}  // namespace stepdb
