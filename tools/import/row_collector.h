// Puts points that come one by one together to rows, and their names to a list of metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/log_row.h"

namespace stepdb {

// Finds names in maps by string_view.
struct NameHash {
    using is_transparent = void;
    size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
};

// The metrics of a log in the order of their appearance.
class MetricNames {
  public:
    // Its index. kInvalidArgument if it can be no metric's name, kResourceExhausted if there are
    // too many.
    Result<uint32_t> intern(std::string_view name);

    const std::vector<std::string>& all() const { return names_; }

  private:
    // A list that a log of any size may not exceed; a schema could not hold more either.
    static constexpr size_t kNamesMax = 1U << 20U;
    static constexpr size_t kNamesBytesMax = 256U << 20U;

    std::vector<std::string> names_;
    std::unordered_map<std::string, uint32_t, NameHash, std::equal_to<>> ids_;
    size_t bytes_ = 0;
};

// Single-threaded.
class RowCollector {
  public:
    bool empty() const { return row_.values.empty(); }
    // What has been collected, in no order yet.
    const LogRow& row() const { return row_; }
    bool has(uint32_t metric) const {
        return metric < row_of_metric_.size() && row_of_metric_[metric] == rows_;
    }

    // Another row. What was collected must have been taken.
    void begin(std::optional<double> step, int64_t time_us, uint64_t place);
    // has(metric) must be false.
    void add(uint32_t metric, double value);
    // Hands the row over.
    void take(LogRow& row);

  private:
    LogRow row_;
    uint64_t rows_ = 0;                    // begun
    std::vector<uint64_t> row_of_metric_;  // the last that had it
    bool is_sorted_ = true;
};

}  // namespace stepdb
