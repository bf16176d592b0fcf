// The import of CSV files into one run, and what scripts are told of it.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "net/client.h"
#include "tools/import/csv_log.h"
#include "tools/import/schema_plan.h"

namespace stepdb {

// read = sent + skipped, sent = stored + replaced.
struct ImportReport {
    std::string project;
    std::string run;
    uint64_t series = 0;    // that got a point
    uint64_t read = 0;      // cells that are not empty
    uint64_t sent = 0;      // points
    uint64_t stored = 0;    // new ones
    uint64_t replaced = 0;  // points whose (series, key) came before in this import, or was there
    uint64_t skipped = 0;   // cells that are no numbers, or have no step
    std::string first_skipped;
    bool created = false;  // the run is new
};

// One file, read once to know what is in it: nothing is sent of a file that turns out to be wrong.
struct PlannedFile {
    std::string path;
    CsvLogOptions options;
    SchemaPlan plan;
    CsvLogCounts counts;
    std::set<std::string> series;
    uint64_t points = 0;
};
// `progress` hears how many bytes have been read.
Result<PlannedFile> plan_file(std::string path, CsvLogOptions options,
                              const std::function<void(uint64_t)>& progress);

// Sends the files into the run, in order. What is stored and what replaced is found by counting
// the points of these series before and after; writers to the same series at the same time would
// show up in it. `progress` hears how many points have been sent.
Result<ImportReport> import_run(Client& client, const std::string& project, const std::string& run,
                                std::vector<PlannedFile>& files,
                                const std::function<void(uint64_t)>& progress);

}  // namespace stepdb
