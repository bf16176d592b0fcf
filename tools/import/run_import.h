// The import of logs into one run, and what scripts are told of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/writer.h"
#include "engine/base/result.h"
#include "net/client.h"
#include "tools/import/log_facts.h"
#include "tools/import/log_source.h"
#include "tools/import/restart_finder.h"
#include "tools/import/schema_plan.h"

namespace stepdb {

// read = sent + skipped, sent = stored + replaced (where these can be told).
struct ImportReport {
    ImportReport() = default;

    std::string project;
    std::string run;
    uint64_t series = 0;  // that got a point
    uint64_t read = 0;    // what could have been points
    uint64_t sent = 0;    // points
    // New ones, and those whose (series, key) came before in this import or was there. Both 0 where
    // it cannot be told.
    uint64_t stored = 0;
    uint64_t replaced = 0;
    uint64_t skipped = 0;  // what was no point
    std::map<std::string, uint64_t, std::less<>> skipped_kinds;
    std::string first_skipped;
    // Why it cannot be told what was stored and what replaced: series that cannot be counted,
    // because points of them in the store are damaged. All points were sent.
    std::optional<Error> uncounted;
    uint64_t restarts = 0;  // that the log tells of, whatever was made of them
    std::string first_restart;
    uint64_t facts_left_out = 0;  // of what the logs say of the run
    std::string first_fact_left_out;
    bool opened = false;      // there was something to import
    bool created = false;     // the run is new
    bool is_stepped = false;  // some of it
};

// One file, read once to know what is in it.
struct PlannedFile {
    PlannedFile() = default;

    std::string path;
    LogOpener open;
    std::string_view place_word = "line";  // what its rows are counted in
    uint64_t bytes = 0;                    // that were read: what comes to it later is not sent
    Axis axis = Axis::kStepped;
    SchemaPlan plan;
    LogCounts counts;
    LogFacts facts;
    std::set<std::string> series;
    uint64_t points = 0;
    std::optional<Error> broken;  // where it breaks off; `points` come before
};
// An error if nothing of the file can be read. `restarts`, if not null, sees its rows that have
// steps. `progress` hears how many bytes have been read.
Result<PlannedFile> plan_file(std::string path, LogOpener open, RestartFinder* restarts,
                              const std::function<void(uint64_t)>& progress);

// The writer of every import. An import that starts while frames of a killed one are still under
// way must come after them: being the same writer, it fences the other when it opens the run.
Id128 import_writer();

// What is made of a log that jumps back as a whole.
enum class RestartMode : uint8_t {
    kAttempt,  // the next attempt of the run, which reads up to below the jump
    kMerge,    // nothing: the later point of a step stands
    kSplit,    // another run: split_run_id
};

// The run of a part of a log that is split; part 0 is what comes before the first jump.
std::string split_run_id(const std::string& run, size_t part);

// Where an import goes.
struct ImportTarget {
    ImportTarget() = default;

    std::string project;
    std::string run;
    bool finish = false;  // the run is marked as finished once everything is in it
    bool whole = true;    // else the files' word on how it ended does not count
    RestartMode restart_mode = RestartMode::kAttempt;
    std::vector<LogRestart> restarts;  // of its files
};

// Sends what the files say of the run, then their rows, in order, then how it ended. Files that
// have neither leave everything as it is: no run is made for them. What is stored and what replaced
// is found by counting the points of these series before and after; other writers to the same
// series at the same time would show up in it. A log without restarts goes to the run's newest
// attempt; of one with restarts, part K to attempt K, but steps below the part's first to the
// newest attempt that begins at or below them, and what has no steps to attempt 0. `progress` hears
// how many points have been sent. The writer's id is import_writer(), and nobody else uses it;
// `reader` asks what is there. A report, or one for each
// part of a log that is split.
Result<std::vector<ImportReport>> import_run(client::Writer& writer, Client& reader,
                                             const ImportTarget& target,
                                             std::vector<PlannedFile>& files,
                                             const std::function<void(uint64_t)>& progress);

}  // namespace stepdb
