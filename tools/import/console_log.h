// What a program printed while it trained, as rows, by the patterns of console_patterns.h. A line
// makes a row; lines that follow each other with equal step and time and different metrics make up
// one. Carriage returns part lines too, as progress bars use them.
//
// A line without a step belongs to the last one before it, and so with the time. What no pattern
// takes is no point and not counted; a value that is no number is skipped, and so are the values of
// lines before the first step (of a timed log: time).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/console_patterns.h"
#include "tools/import/line_reader.h"
#include "tools/import/log_source.h"
#include "tools/import/row_collector.h"

namespace stepdb {

// Single-threaded.
class ConsoleLog final : public LogSource {
  public:
    // Of the options uses axis, patterns and file_time_us. Errors of load_console_patterns and of
    // the file; kInvalidArgument if no pattern has what the axis needs.
    static Result<std::unique_ptr<LogSource>> open(const std::string& path,
                                                   const LogOptions& options,
                                                   uint64_t bytes_max = UINT64_MAX);

    Axis axis() const override { return is_timed_ ? Axis::kTimed : Axis::kStepped; }
    const std::vector<std::string>& metrics() const override { return names_.all(); }
    Result<bool> next(LogRow& row) override;
    const LogCounts& counts() const override { return counts_; }
    uint64_t bytes_read() const override { return lines_.bytes_read(); }

  private:
    ConsoleLog(ByteSource source, const std::string& path, LogOptions options,
               std::vector<LineKind> kinds)
        : path_(path),
          options_(std::move(options)),
          lines_(std::move(source), path),
          kinds_(std::move(kinds)) {}

    Status choose_axis();
    // Fills points_ from the next text that has any; false at the end.
    Result<bool> next_points();
    Result<bool> next_text(std::string_view& text);
    Status take_text(std::string_view text);
    Status take_line(const LineKind& kind, std::string_view text);
    Status take_value(std::string_view name, std::string_view value);
    void take_key(const LineKind& kind);
    // Whether there is one; else the points of the line count as skipped.
    bool has_key();
    std::optional<double> key() const;
    bool joins() const;
    std::string place() const;

    std::string path_;
    LogOptions options_;
    LineReader lines_;
    std::vector<LineKind> kinds_;
    bool is_timed_ = false;
    bool is_indexed_ = false;
    MetricNames names_;
    LogCounts counts_;

    std::string_view rest_;  // of the current line, behind a carriage return
    bool has_rest_ = false;
    std::vector<std::string_view> groups_;
    std::vector<std::string_view> pair_;
    std::optional<double> step_;
    std::optional<int64_t> time_us_;
    uint64_t lines_taken_ = 0;  // that had points
    std::vector<std::pair<uint32_t, double>> points_;
    RowCollector rows_;
    std::optional<Error> broken_;  // to be told after what has been collected
};

}  // namespace stepdb
