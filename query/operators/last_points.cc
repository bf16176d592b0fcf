#include "query/operators/last_points.h"

#include "engine/query_memory.h"

namespace stepdb {

namespace {

// Key, time and value, in vectors that grow by doubling.
constexpr size_t kPointBytes = 2 * 24;

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
    to.insert(to.end(), from.begin(), from.end());
}

template <typename T>
void keep_last(std::vector<T>& items, size_t count) {
    items.erase(items.begin(), items.end() - static_cast<std::ptrdiff_t>(count));
}

class LastPoints : public SeriesCursor {
  public:
    LastPoints(std::unique_ptr<SeriesCursor> input, uint64_t points,
               std::shared_ptr<MemoryBudget> memory)
        : input_(std::move(input)), points_(points), charge_(std::move(memory)) {}

    Task<Result<bool>> next(Points& batch) override {
        if (done_) {
            co_return false;
        }
        while (true) {
            const Result<bool> more = co_await input_->next(batch);
            if (!more) {
                co_return more;
            }
            if (!*more) {
                break;
            }
            const Status charged =
                charge_query_memory(charge_, (kept_.size() + batch.size()) * kPointBytes);
            if (!charged) {
                co_return charged.error();
            }
            append(kept_.keys, batch.keys);
            append(kept_.times, batch.times);
            append(kept_.values, batch.values);
            // Trimming only when half of it goes keeps the cost of a point constant.
            if (kept_.size() >= 2 * points_) {
                trim();
            }
        }
        trim();
        done_ = true;
        batch = std::move(kept_);
        co_return batch.size() > 0;
    }

  private:
    void trim() {
        if (kept_.size() > points_) {
            keep_last(kept_.keys, points_);
            keep_last(kept_.times, points_);
            keep_last(kept_.values, points_);
        }
    }

    std::unique_ptr<SeriesCursor> input_;
    uint64_t points_;
    MemoryCharge charge_;
    Points kept_;
    bool done_ = false;
};

}  // namespace

std::unique_ptr<SeriesCursor> make_last_points(std::unique_ptr<SeriesCursor> input, uint64_t points,
                                               std::shared_ptr<MemoryBudget> memory) {
    return std::make_unique<LastPoints>(std::move(input), points, std::move(memory));
}

}  // namespace stepdb
