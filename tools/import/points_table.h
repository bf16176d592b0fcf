// Tables of points that name the run of each: what `stepdb export` writes, as CSV or as JSON lines.
//
//   run,metric,step,time,value
//   gpt/run-1,train/loss,0,2026-03-01T12:00:00Z,4
//
//   {"run": "gpt/run-1", "metric": "train/loss", "step": 0, "time": "2026-03-01T12:00:00Z",
//   "value": 4}
//
// Columns in any order, all of `run`, `metric` (or `series`) and `value`, at least one of the usual
// ones of step and time (the time also `time`), and no others. An empty cell, or null, is no step
// or no time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/log_part.h"

namespace stepdb {

// Texts as they stand there; nothing where there is none. They last until the next record.
struct PointRecord {
    PointRecord() = default;

    std::string_view run;
    std::string_view metric;
    std::optional<std::string_view> step;
    std::optional<std::string_view> time;
    std::optional<std::string_view> value;
};

// Single-threaded; holds a record.
class PointsTable {
  public:
    PointsTable() = default;
    PointsTable(const PointsTable&) = delete;
    PointsTable& operator=(const PointsTable&) = delete;
    virtual ~PointsTable() = default;

    // False at the end. An error, naming file and line, where the file breaks off.
    virtual Result<bool> next(PointRecord& record) = 0;
    // Of the last record: its line, and the bytes before it.
    virtual uint64_t line() const = 0;
    virtual uint64_t begin() const = 0;
    // Bytes of the file up to what has been looked at.
    virtual uint64_t bytes_read() const = 0;
};

// Opens a file as such a table; null if it is none. With `part` it begins there. It ends after
// `bytes_max` bytes of the file. kNotFound and kIoError for the file.
using OpenPointsTable = Result<std::unique_ptr<PointsTable>> (*)(const std::string& path,
                                                                 const LogPart* part,
                                                                 uint64_t bytes_max);
Result<std::unique_ptr<PointsTable>> open_csv_points(const std::string& path, const LogPart* part,
                                                     uint64_t bytes_max);
Result<std::unique_ptr<PointsTable>> open_json_points(const std::string& path, const LogPart* part,
                                                      uint64_t bytes_max);

// The runs of such a table, in the order of their first points; none if the file is no such table
// or cannot be read. Where it breaks off, the run before has no end. kResourceExhausted if there
// are too many. `progress` hears how many bytes have been read.
Result<std::vector<LogPart>> find_parts(const std::string& path, OpenPointsTable open,
                                        const std::function<void(uint64_t)>& progress);

// The id of a run by its name there: without the project, and what ids cannot have as `_`.
std::string run_id_of_label(std::string_view label);

}  // namespace stepdb
