// The points of one run in a table of points (points_table.h), as a log. Points with a step are a
// log of their own, and those with only a time another one. Points that follow each other with
// equal step and time and different metrics make up one row.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/log_source.h"
#include "tools/import/points_table.h"
#include "tools/import/row_collector.h"

namespace stepdb {

// Single-threaded.
class PointsLog final : public LogSource {
  public:
    // The options have a part. `is_second`: the log of what has only a time; it needs the options'
    // `beside` of a reading of the first that has come to its end.
    static Result<std::unique_ptr<LogSource>> open(const std::string& path,
                                                   const LogOptions& options, uint64_t bytes_max,
                                                   OpenPointsTable open, bool is_second);

    Axis axis() const override { return is_timed_ ? Axis::kTimed : Axis::kStepped; }
    const std::vector<std::string>& metrics() const override { return names_.all(); }
    Result<bool> next(LogRow& row) override;
    const LogCounts& counts() const override { return counts_; }
    uint64_t bytes_read() const override { return table_->bytes_read(); }

  private:
    struct Point {
        uint32_t metric = 0;
        double value = 0;
        std::optional<double> step;
        int64_t time_us = 0;
    };

    PointsLog(std::string path, LogOptions options, std::unique_ptr<PointsTable> table)
        : path_(std::move(path)), options_(std::move(options)), table_(std::move(table)) {}

    // Nothing at the end.
    Result<std::optional<Point>> next_point();
    // Whether the record is one of the other log.
    bool is_of_other(const PointRecord& record);
    // Nothing, and it counts as skipped, if it is no point.
    Result<std::optional<Point>> take(const PointRecord& record);
    bool take_key(const PointRecord& record, Point& point);
    void skip(std::string_view kind, std::string_view cell, std::string_view why);

    std::string path_;
    LogOptions options_;
    std::unique_ptr<PointsTable> table_;
    bool is_timed_ = false;
    bool is_second_ = false;
    MetricNames names_;
    LogCounts counts_;
    std::vector<uint64_t> points_of_metric_;  // with --axis index
    RowCollector rows_;
    std::optional<Error> broken_;  // to be told after what has been collected
};

}  // namespace stepdb
