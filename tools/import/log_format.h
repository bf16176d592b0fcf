// The formats that `stepdb import` knows: how each is read, and what the command line says of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/log_source.h"
#include "tools/import/points_table.h"
#include "tools/import/run_id.h"

namespace stepdb {

struct LogFormat {
    LogFormat() = default;

    using Open = Result<std::unique_ptr<LogSource>> (*)(const std::string& path,
                                                        const LogOptions& options,
                                                        uint64_t bytes_max);

    std::string name;
    std::string alias;    // empty: none
    std::string summary;  // "CSV files, a run each"
    LogFilePattern files;
    std::string_view place_word;  // what rows are counted in
    std::string_view unit;        // what is read and skipped: "cell"
    Open open = nullptr;
    // Of files that hold a second log of the run, with another axis.
    Open open_second = nullptr;
    // Files of this format may be tables of points (points_table.h). Null: they never are.
    OpenPointsTable open_points = nullptr;
    // The runs of a file that has several and lists them itself; none if it is a log of one. Null:
    // they never have.
    Result<std::vector<LogPart>> (*list_runs)(const std::string& path) = nullptr;
    // The id of the run that a file says it is of; empty if it does not. Null: none ever does.
    std::string (*own_id)(const std::string& path) = nullptr;
    LogOptions defaults;
    std::string_view axis = "auto";  // by default
    // Which options it takes.
    bool takes_columns = false;     // --step-column, --time-column
    bool takes_name_from = false;   // --name-from
    bool takes_row_window = false;  // --row-window
    bool takes_patterns = false;    // --patterns
    bool takes_follow = false;      // --follow, --poll
    std::vector<std::string> examples;
    std::string notes;  // of its help
};

const std::vector<LogFormat>& log_formats();

}  // namespace stepdb
