// A CSV file as rows of a run.
//
// Wide form: a column per metric, named by the header; one record is one row. Long form: the
// columns `series`, `step`, `wall_time`, `value` in any order, where one of step and wall_time may
// be missing; a record is a point, and records that follow each other with equal step and time and
// different series make up one row, as they did when they were logged.
//
// Cells: empty ones are absent. A number is a value, nan and inf in any spelling and case
// included; anything else is text and skipped. A record whose step (of a timed log: time) is no
// number (time) is skipped whole. Names and cells are taken without the blanks around them.
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/key.h"
#include "tools/import/csv_reader.h"
#include "tools/import/log_row.h"

namespace stepdb {

// What the key of a point is.
enum class ImportAxis : uint8_t {
    kAuto,   // the step column, else the time column
    kStep,   // the step column
    kTime,   // the time column; a step column is a metric like others
    kIndex,  // the number of the record, from 0; in a long form its number within the series
};

struct CsvLogOptions {
    CsvLogOptions() = default;

    // Empty: the first of step_column_names() (time_column_names()) that the header has, case left
    // aside.
    std::string step_column;
    std::string time_column;
    ImportAxis axis = ImportAxis::kAuto;
    int64_t file_time_us = 0;  // time of rows without a readable one
};

// In lower case and order of preference.
const std::vector<std::string_view>& step_column_names();
const std::vector<std::string_view>& time_column_names();

// Cells met so far that could have been points: read = handed on + skipped.
struct CsvLogCounts {
    uint64_t read = 0;
    uint64_t skipped = 0;
    std::string first_skipped;  // "a.csv: line 12, column loss: 'n/a' is no number"
};

// Single-threaded.
class CsvLog {
  public:
    // Reads the header and decides what the columns are. kNotFound and kIoError for the file;
    // kInvalidArgument naming file, line and column.
    static Result<std::unique_ptr<CsvLog>> open(std::string path, CsvLogOptions options);

    Axis axis() const { return is_timed_ ? Axis::kTimed : Axis::kStepped; }

    // Grows while a long form is read.
    const std::vector<std::string>& metrics() const { return metrics_; }

    // Replaces `row`; false at the end. kInvalidArgument naming file and line for a record that has
    // more or fewer cells than the header.
    Result<bool> next(LogRow& row);

    const CsvLogCounts& counts() const { return counts_; }
    uint64_t bytes_read() const { return reader_->bytes_read(); }

  private:
    // Columns with a meaning, if they are there.
    struct Roles {
        std::optional<size_t> step;
        std::optional<size_t> time;
        std::optional<size_t> series;  // set: long form
        size_t value = 0;              // of the long form
    };
    struct RecordKey {
        std::optional<double> step;
        int64_t time_us = 0;
    };

    CsvLog(std::string path, CsvLogOptions options);

    Status open_file();
    Status read_header();
    Status check_header();
    Result<std::optional<size_t>> find_named(const std::string& wanted, std::string_view what,
                                             const std::vector<std::string_view>& usual) const;
    Status find_roles();
    void find_long_form();
    Status choose_axis();
    Status name_metrics();

    Result<bool> next_record();
    Result<bool> next_wide(LogRow& row);
    Result<bool> next_long(LogRow& row);
    // The key of the current record; nothing, and its cells count as skipped, if it has none.
    std::optional<RecordKey> record_key();
    // A metric's cell; nothing if it is empty or text.
    std::optional<double> take_value(size_t column);
    // `column` is what is wrong with the record.
    void skip_record(size_t column, std::string_view why);
    void note_skipped(size_t column, std::string_view why);
    Result<uint32_t> intern(std::string_view metric);
    std::string place() const;
    Error error_here(std::string_view what) const;

    std::string path_;
    CsvLogOptions options_;
    std::ifstream file_;
    std::unique_ptr<CsvReader> reader_;
    std::vector<std::string> header_;
    Roles roles_;
    bool is_timed_ = false;
    bool is_indexed_ = false;
    std::vector<std::string> metrics_;
    std::vector<size_t> metric_columns_;                    // of a wide form: column of each metric
    std::unordered_map<std::string, uint32_t> metric_ids_;  // of a long form
    std::vector<uint64_t> points_of_metric_;                // of a long form
    std::vector<std::string_view> cells_;                   // of the current record, trimmed
    uint64_t records_ = 0;
    std::optional<LogRow> pending_;  // of a long form: what the last record began
    CsvLogCounts counts_;
};

}  // namespace stepdb
