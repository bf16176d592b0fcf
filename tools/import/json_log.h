// JSON objects as rows of a run: those of a file's lines, or of what else holds them
// (json_objects.h). Objects within an object are flattened, `/` between the names.
//
// Numbers are values, also NaN and Infinity, bare or as strings; true is 1 and false 0; null is
// absent. Other strings, and arrays, are skipped and counted, each as one. Where a name comes twice
// in an object the later value counts and the earlier one is skipped. One without a step (of a
// timed log: time) is skipped whole. But where lines of a file with steps have a time and no step,
// they are a second log, of timed metrics: telemetry.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/json_scanner.h"
#include "engine/base/result.h"
#include "tools/import/json_objects.h"
#include "tools/import/log_source.h"
#include "tools/import/row_collector.h"

namespace stepdb {

// Single-threaded.
class JsonLog final : public LogSource {
  public:
    // Looks at the first lines to find the fields of step and time. Of the options uses axis,
    // step_column, time_column (names with `/` or `.` between the levels) and file_time_us.
    static Result<std::unique_ptr<LogSource>> open(const std::string& path,
                                                   const LogOptions& options,
                                                   uint64_t bytes_max = UINT64_MAX);
    // The timed lines of a file that open() found to have steps. Needs the options' `beside` of
    // that reading, which has come to its end; no log without lines for it.
    static Result<std::unique_ptr<LogSource>> open_timed(const std::string& path,
                                                         const LogOptions& options,
                                                         uint64_t bytes_max = UINT64_MAX);
    static Result<std::unique_ptr<LogSource>> open_objects(const std::string& path,
                                                           const LogOptions& options,
                                                           uint64_t bytes_max,
                                                           OpenJsonObjects open);

    Axis axis() const override { return is_timed_ || is_second_ ? Axis::kTimed : Axis::kStepped; }
    const std::vector<std::string>& metrics() const override { return names_.all(); }
    Result<bool> next(LogRow& row) override;
    const LogCounts& counts() const override { return counts_; }
    uint64_t bytes_read() const override { return objects_->bytes_read(); }
    // The first log has them all.
    const LogFacts& facts() const override {
        return is_second_ ? LogSource::facts() : objects_->facts();
    }

  private:
    static Result<std::unique_ptr<LogSource>> open_log(const std::string& path,
                                                       const LogOptions& options,
                                                       uint64_t bytes_max, OpenJsonObjects open,
                                                       bool is_second);
    JsonLog(std::string path, LogOptions options, std::unique_ptr<JsonObjects> objects)
        : path_(std::move(path)), options_(std::move(options)), objects_(std::move(objects)) {}

    // Takes the first objects.
    Status find_fields();
    // `fields` are sorted.
    Status choose_axis(const std::vector<std::string>& fields);
    // The next object; false at the end.
    Result<bool> next_object(const JsonSink& sink);
    Status take_leaf(const JsonLeaf& leaf);
    Status take_value(std::string_view name, double value);
    void skip_leaf(const JsonLeaf& leaf, std::string_view kind);
    // Whether the object that was just read has a key; else its values count as skipped.
    bool has_key();
    // Whether the object is one of the second log's.
    bool is_timed_line() const {
        return options_.beside && step_field_ && !has_step_field_ && time_us_.has_value();
    }
    // Of the second log: leaves only what are its points.
    void keep_timed_values();
    void remember_stepped();
    std::string place() const { return objects_->place(); }

    std::string path_;
    LogOptions options_;
    std::unique_ptr<JsonObjects> objects_;
    std::optional<std::string> step_field_;
    std::optional<std::string> time_field_;
    bool is_timed_ = false;
    bool is_indexed_ = false;
    bool is_second_ = false;
    MetricNames names_;
    LogCounts counts_;
    uint64_t objects_read_ = 0;

    // The current object.
    std::optional<double> step_;
    bool has_step_field_ = false;  // though it may be unreadable
    std::optional<int64_t> time_us_;
    std::vector<std::pair<uint32_t, double>> points_;
    // By metric: the object that had it last, and where in points_.
    std::vector<std::pair<uint64_t, size_t>> last_of_metric_;
    std::vector<bool> is_stepped_;  // by metric: beside knows it
    RowCollector row_;
};

}  // namespace stepdb
