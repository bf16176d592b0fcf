// A CSV file as rows of a run.
//
// Wide form: a column per metric, named by the header. Long forms: either
// the columns `series`, `step`, `wall_time`, `value` in any order, where one of step and wall_time
// may be missing, and a record is a point; or, with LogOptions::name_from, a column per measure,
// and the metric is the cells of the named columns and the measure's name, joined by `/`. Records
// that follow each other with equal step and time and different metrics make up one row, as they
// did when they were logged: also of the wide form, of which some writers fill a cell a record.
//
// Cells: empty ones are absent. A number is a value, nan and inf in any spelling and case
// included; so is, in a column `NAME [UNIT]`, a number with that unit behind it. Anything else is
// text and skipped. A record whose step (of a timed log: time) is no number (time) is skipped
// whole. Names and cells are taken without the blanks around them.
//
// A comment line before the header (comment_line.h) tells of the run. Its t_start and a column `t`
// of seconds since then make the time where no other column does.
#pragma once

#include <cstdint>
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
#include "tools/import/log_source.h"
#include "tools/import/row_collector.h"

namespace stepdb {

// Single-threaded.
class CsvLog final : public LogSource {
  public:
    // Reads the header and decides what the columns are. kNotFound and kIoError for the file;
    // kInvalidArgument naming file, line and column.
    static Result<std::unique_ptr<LogSource>> open(const std::string& path,
                                                   const LogOptions& options,
                                                   uint64_t bytes_max = UINT64_MAX);

    // What has only a time in a table of points (points_table.h); no log of other files.
    static Result<std::unique_ptr<LogSource>> open_timed(const std::string& path,
                                                         const LogOptions& options,
                                                         uint64_t bytes_max = UINT64_MAX);

    Axis axis() const override { return is_timed_ ? Axis::kTimed : Axis::kStepped; }
    const std::vector<std::string>& metrics() const override { return names_.all(); }
    Result<bool> next(LogRow& row) override;
    const LogCounts& counts() const override { return counts_; }
    const LogFacts& facts() const override { return facts_; }
    uint64_t bytes_read() const override { return comment_bytes_ + reader_->bytes_read(); }

  private:
    // Columns with a meaning, if they are there.
    struct Roles {
        std::optional<size_t> step;
        std::optional<size_t> time;
        std::optional<size_t> elapsed;  // seconds since start_us_; a metric besides
        std::optional<size_t> series;   // set: long form with a series column
        size_t value = 0;               // of that form
        std::vector<size_t> name_from;
    };
    struct RecordKey {
        std::optional<double> step;
        int64_t time_us = 0;
    };
    // Of one list of name_from cells.
    struct Prefix {
        std::vector<std::optional<uint32_t>> metrics;  // by measure, once they are met
        uint64_t records = 0;
    };

    CsvLog(std::string path, LogOptions options)
        : path_(std::move(path)), options_(std::move(options)) {}

    bool is_long() const { return roles_.series.has_value() || !roles_.name_from.empty(); }
    bool has_time() const { return roles_.time || roles_.elapsed; }
    Status open_source(uint64_t bytes_max);
    Status take_comment_object(std::string_view object);
    // False if there is nothing in the file.
    Result<bool> read_header();
    Status check_header();
    void find_units();
    Status find_name_columns();
    Result<std::optional<size_t>> find_named(const std::string& wanted, std::string_view option,
                                             const std::vector<std::string_view>& usual) const;
    Status find_roles();
    void find_series_column();
    Status choose_axis();
    Status find_measures();
    Status name_metrics();

    Result<bool> next_record();
    // Fills points_ from the next record that has any, and tells its key.
    Result<std::optional<RecordKey>> next_points();
    void take_cells();
    Status take_point(RecordKey& key);
    Status take_measures(RecordKey& key);
    // Whether the points go with those that have been collected.
    bool joins(const RecordKey& key) const;
    // The key of the current record; nothing, and its cells count as skipped, if it has none.
    std::optional<RecordKey> record_key();
    // By the columns of the time; nothing if there is no time in them.
    std::optional<int64_t> record_time() const;
    // A metric's cell; nothing if it is empty or text.
    std::optional<double> take_value(size_t column);
    std::optional<double> number_in(size_t column) const;
    // The metric of that name; nothing, and the point counts as skipped, if it is no name.
    Result<std::optional<uint32_t>> take_metric(std::string_view name, size_t column);
    // `column` is what is wrong with the record.
    void skip_record(size_t column, std::string_view kind, std::string_view why);
    void note_skipped(size_t column, std::string_view kind, std::string_view why);
    std::string place() const;
    Error error_here(std::string_view what) const;

    std::string path_;
    LogOptions options_;
    std::unique_ptr<CsvReader> reader_;
    uint64_t comment_bytes_ = 0;
    std::optional<int64_t> start_us_;  // as the comment says
    LogFacts facts_;
    std::vector<std::string> header_;
    std::vector<std::string> measure_names_;  // by column: without its unit
    std::vector<std::string> units_;          // by column, if it has one
    Roles roles_;
    bool is_timed_ = false;
    bool is_indexed_ = false;
    MetricNames names_;
    std::vector<size_t> measure_columns_;  // all columns with values
    std::vector<std::string_view> cells_;  // of the current record, trimmed
    uint64_t records_ = 0;
    LogCounts counts_;

    std::vector<std::pair<uint32_t, double>> points_;  // of the current record
    RowCollector rows_;
    std::optional<Error> broken_;  // to be told after what has been collected

    // Of long forms.
    std::vector<uint64_t> points_of_metric_;
    std::unordered_map<std::string, Prefix, NameHash, std::equal_to<>> prefixes_;
};

}  // namespace stepdb
