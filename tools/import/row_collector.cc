#include "tools/import/row_collector.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/model/schema.h"

namespace stepdb {

Result<uint32_t> MetricNames::intern(std::string_view name) {
    const auto at = ids_.find(name);
    if (at != ids_.end()) {
        return at->second;
    }
    TRY(check_metric(name));
    if (names_.size() >= kNamesMax || bytes_ + name.size() > kNamesBytesMax) {
        return make_error(ErrorCode::kResourceExhausted,
                          "more metrics than one log may have: {} names of {} bytes so far",
                          names_.size(), bytes_);
    }
    bytes_ += name.size();
    const auto id = static_cast<uint32_t>(names_.size());
    names_.emplace_back(name);
    ids_.emplace(name, id);
    return id;
}

void RowCollector::begin(std::optional<double> step, int64_t time_us, uint64_t place) {
    CHECK(empty(), "{} values not taken", row_.values.size());
    ++rows_;
    row_.step = step;
    row_.time_us = time_us;
    row_.place = place;
    is_sorted_ = true;
}

void RowCollector::add(uint32_t metric, double value) {
    if (metric >= row_of_metric_.size()) {
        row_of_metric_.resize(metric + size_t{1});
    }
    row_of_metric_[metric] = rows_;
    is_sorted_ = is_sorted_ && (empty() || row_.values.back().first < metric);
    row_.values.emplace_back(metric, value);
}

void RowCollector::take(LogRow& row) {
    if (!is_sorted_) {
        std::sort(row_.values.begin(), row_.values.end(),
                  [](const auto& a, const auto& b) { return a.first < b.first; });
    }
    std::swap(row, row_);
    row_.values.clear();
}

}  // namespace stepdb
