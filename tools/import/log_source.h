// What all readers of other people's logs have in common: a log is a sequence of rows, and counts
// of what in it was no point.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/key.h"
#include "tools/import/log_facts.h"
#include "tools/import/log_part.h"
#include "tools/import/log_row.h"

namespace stepdb {

// What the key of a point is.
enum class ImportAxis : uint8_t {
    kAuto,   // the step if the log has one, else the time
    kStep,   // the step
    kTime,   // the time; a step column is then a metric like others
    kIndex,  // the number of the record, from 0; where records hold points of one series or of one
             // name, the number within these
};

// How to read a log. A format says which of these it takes.
struct LogOptions {
    LogOptions() = default;

    // Empty: the first of step_column_names() (time_column_names()) that the log has, case left
    // aside.
    std::string step_column;
    std::string time_column;
    std::vector<std::string> name_from;  // columns whose cells go before the names of the measures
    // If name_from is empty: the first of these columns that the log has, if any; before its cells
    // goes name_prefix.
    std::vector<std::string_view> name_from_usual;
    std::string name_prefix;
    ImportAxis axis = ImportAxis::kAuto;
    // TensorBoard, MLflow: points of one step that were stamped so far apart at most are one row.
    int64_t row_window_us = kRowWindowUs;
    std::string patterns;      // console: a built-in set, "all" of them, or a file
    int64_t file_time_us = 0;  // time of rows without a readable one
    // For a log that is a directory: its files and their sizes, filled by the first opening. Later
    // ones find the same in them, though they grow.
    std::shared_ptr<std::map<std::string, uint64_t>> files;
    // Of a file that is read as two logs, what the first reading of one tells the other.
    struct Beside {
        bool has_timed = false;                      // there are lines for the second
        std::set<std::string, std::less<>> stepped;  // metrics of the first
    };
    std::shared_ptr<Beside> beside;
    std::optional<LogPart> part;  // of a table of points (points_table.h): what is read of it

    // Scalars of one step lie 0.4 to 150 ms apart in the logs we know; one in a thousand steps is
    // stretched over seconds by a pause of the writer.
    static constexpr int64_t kRowWindowUs = 1'000'000;
};

// In lower case and order of preference.
const std::vector<std::string_view>& step_column_names();
const std::vector<std::string_view>& time_column_names();

// The first of `names` that is one of the usual ones, case left aside; the most usual one counts.
std::optional<size_t> find_usual(std::span<const std::string> names,
                                 const std::vector<std::string_view>& usual);

// For a message: the first of the names, and how many more there are.
std::string shown_names(std::span<const std::string> names);

// What was met so far that could have been a point: read = handed on + skipped.
struct LogCounts {
    LogCounts() = default;

    // One of what was read is no point. `kind` is one of a few words of the reader; `where` tells
    // the place, and is asked of the first alone.
    void skip(std::string_view kind, const std::function<std::string()>& where);

    uint64_t read = 0;
    uint64_t skipped = 0;
    std::map<std::string, uint64_t, std::less<>> kinds;  // of what was skipped
    std::string first_skipped;  // "a.csv: line 12, column loss: 'n/a' is no number"
};

// One file. Single-threaded; holds a record or a row in memory, whatever the size of the file.
class LogSource {
  public:
    LogSource() = default;
    LogSource(const LogSource&) = delete;
    LogSource& operator=(const LogSource&) = delete;
    virtual ~LogSource() = default;

    virtual Axis axis() const = 0;

    // Grows while the log is read.
    virtual const std::vector<std::string>& metrics() const = 0;

    // Replaces `row`; false at the end. An error, naming file and place, says that the log breaks
    // off there: what came before it stands, nothing follows.
    virtual Result<bool> next(LogRow& row) = 0;

    virtual const LogCounts& counts() const = 0;
    // What it says of the run; complete once next() has told the end.
    virtual const LogFacts& facts() const;
    virtual uint64_t bytes_read() const = 0;
};

// The log of a file in which there is nothing yet.
std::unique_ptr<LogSource> make_empty_log();

// Opens a file as a log, as if it ended after `bytes_max` bytes. kNotFound and kIoError for the
// file; kInvalidArgument if nothing of it can be read like this.
using LogOpener =
    std::function<Result<std::unique_ptr<LogSource>>(const std::string& path, uint64_t bytes_max)>;

}  // namespace stepdb
