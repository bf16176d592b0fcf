#include "query/operators/combined.h"

#include <algorithm>
#include <cmath>

namespace stepdb {

CombinedNeeds needs_of(const std::vector<Combination>& combinations) {
    using Kind = Combination::Kind;
    CombinedNeeds needs;
    for (const Combination& combination : combinations) {
        needs.deviation =
            needs.deviation || combination.kind == Kind::kStd || combination.kind == Kind::kVar;
        needs.values = needs.values || combination.kind == Kind::kPercentile;
    }
    return needs;
}

void CombinedValues::add(double value, CombinedNeeds needs) {
    if (needs.deviation) {
        moments = Moments::merge(moments, Moments::of(value));
    } else {
        moments.count_in(value);
    }
    sum.add(value);
    if (needs.values) {
        values.push_back(value);
    }
}

double CombinedValues::value(const Combination& combination) const {
    switch (combination.kind) {
        case Combination::Kind::kCount:
            return static_cast<double>(moments.count);
        case Combination::Kind::kMean:
            return std::clamp(sum.mean(moments.count), moments.min, moments.max);
        case Combination::Kind::kStd:
            return moments.deviation();
        case Combination::Kind::kVar:
            return moments.min == moments.max ? 0 : moments.m2 / static_cast<double>(moments.count);
        case Combination::Kind::kMin:
            return moments.min;
        case Combination::Kind::kMax:
            return moments.max;
        case Combination::Kind::kSum:
            return sum.sum();
        case Combination::Kind::kPercentile:
            break;
    }
    return percentile_of(values, combination.percentile);
}

double percentile_of(const std::vector<double>& sorted, double percentile) {
    const double place = static_cast<double>(sorted.size() - 1) * (percentile / 100);
    const auto below = static_cast<size_t>(place);
    const double share = place - static_cast<double>(below);
    if (share == 0 || below + 1 >= sorted.size()) {
        return sorted[below];
    }
    // Of both ends, so that their difference need not be a float64.
    return std::clamp(sorted[below] * (1 - share) + sorted[below + 1] * share, sorted[below],
                      sorted[below + 1]);
}

}  // namespace stepdb
