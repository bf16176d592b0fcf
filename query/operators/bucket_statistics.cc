#include "query/operators/bucket_statistics.h"

#include <vector>

namespace stepdb {

bool is_known(const Bucket& bucket, Statistic statistic) {
    return is_count(statistic) ||
           (statistic >= Statistic::kFirst ? bucket.points() : bucket.count) > 0;
}

uint64_t count_of(const Bucket& bucket, Statistic statistic) {
    switch (statistic) {
        case Statistic::kNan:
            return bucket.nan;
        case Statistic::kPositiveInfinity:
            return bucket.positive_infinity;
        case Statistic::kNegativeInfinity:
            return bucket.negative_infinity;
        default:
            return bucket.count;
    }
}

Key key_of(const Bucket& bucket, Statistic statistic) {
    switch (statistic) {
        case Statistic::kMinX:
            return bucket.min_key;
        case Statistic::kMaxX:
            return bucket.max_key;
        case Statistic::kFirstX:
            return bucket.first_key;
        default:
            return bucket.last_key;
    }
}

namespace {

// Calls `use` with what takes the statistic, a number, from a bucket: chosen once for many buckets.
template <typename Use>
void with_number_of(Statistic statistic, const Use& use) {
    switch (statistic) {
        case Statistic::kMin:
            return use([](const Bucket& bucket) { return bucket.min; });
        case Statistic::kMax:
            return use([](const Bucket& bucket) { return bucket.max; });
        case Statistic::kSum:
            return use([](const Bucket& bucket) { return bucket.sum.sum(); });
        case Statistic::kMean:
            return use([](const Bucket& bucket) { return bucket.mean(); });
        case Statistic::kFirst:
            return use([](const Bucket& bucket) { return bucket.first; });
        default:
            return use([](const Bucket& bucket) { return bucket.last; });
    }
}

}  // namespace

double value_of(const Bucket& bucket, Statistic statistic) {
    if (is_count(statistic)) {
        return static_cast<double>(count_of(bucket, statistic));
    }
    double value = 0;
    with_number_of(statistic, [&](const auto& number_of) { value = number_of(bucket); });
    return value;
}

namespace {

// `cell` makes the cell of a bucket in which the statistic is known.
template <typename T, typename Cell, typename Append>
void append_each(ColumnCells& cells, std::span<const Bucket> buckets, bool needs_finite,
                 const Cell& cell, const Append& append) {
    std::vector<T> known;
    known.reserve(buckets.size());
    const auto is_there = [&](const Bucket& bucket) {
        return (needs_finite ? bucket.count : bucket.points()) > 0;
    };
    for (size_t at = 0; at < buckets.size();) {
        known.clear();
        for (; at < buckets.size() && is_there(buckets[at]); ++at) {
            known.push_back(cell(buckets[at]));
        }
        if (!known.empty()) {
            append(known);
        }
        const size_t first_empty = at;
        while (at < buckets.size() && !is_there(buckets[at])) {
            ++at;
        }
        if (at != first_empty) {
            cells.append_null(static_cast<uint32_t>(at - first_empty));
        }
    }
}

void append_counts(ColumnCells& cells, std::span<const Bucket> buckets, Statistic statistic) {
    std::vector<uint64_t> counts;
    counts.reserve(buckets.size());
    for (const Bucket& bucket : buckets) {
        counts.push_back(count_of(bucket, statistic));
    }
    cells.append_uint64s(counts);
}

}  // namespace

void append_statistic(ColumnCells& cells, std::span<const Bucket> buckets, Statistic statistic,
                      XColumn x) {
    if (is_count(statistic)) {
        return append_counts(cells, buckets, statistic);
    }
    const bool needs_finite = statistic < Statistic::kFirst;
    const auto append_doubles = [&](const std::vector<double>& some) {
        cells.append_doubles(some);
    };
    if (is_key(statistic) && x == XColumn::kTime) {
        append_each<int64_t>(
            cells, buckets, needs_finite,
            [&](const Bucket& bucket) { return key_of(bucket, statistic); },
            [&](const std::vector<int64_t>& some) { cells.append_times(some); });
    } else if (is_key(statistic)) {
        append_each<double>(
            cells, buckets, needs_finite,
            [&](const Bucket& bucket) { return step_of_key(key_of(bucket, statistic)); },
            append_doubles);
    } else {
        with_number_of(statistic, [&](const auto& number_of) {
            append_each<double>(cells, buckets, needs_finite, number_of, append_doubles);
        });
    }
}

}  // namespace stepdb
