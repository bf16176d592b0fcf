// `stepdb import tensorboard --follow`: brings what a training job writes to event files into runs
// while it writes.
//
// How far a file has been read stands in its run, as an attribute import/offset/FILE that is set
// behind the rows it counts. So whoever goes on, be it after a kill, on another machine or with a
// server that was restored from a backup, begins where the store is. Rows that were stored without
// their offset are sent once more and replace themselves. All imports are one writer, so one that
// goes on fences one that is still there before it reads the offsets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "clients/cpp/writer.h"
#include "engine/base/result.h"
#include "net/client.h"
#include "tools/import/event_log.h"
#include "tools/import/growing_schemas.h"
#include "tools/import/log_source.h"
#include "tools/import/run_id.h"

namespace stepdb {

struct FollowTarget {
    FollowTarget() = default;

    std::vector<std::string> paths;  // directories, which need not be there yet, or files
    LogFilePattern files;
    std::string project;
    std::string run;  // empty: a run for each directory with files
    LogOptions log;   // axis (not by index) and row window
};

// What goes on outside of it.
struct FollowEnvironment {
    FollowEnvironment() = default;

    std::function<Result<std::unique_ptr<Client>>()> connect;  // to ask for offsets
    std::function<void(const std::string&)> tell;  // a person, of what is not as it should be
    std::function<bool()> should_stop;
};

// read = sent + skipped.
struct FollowReport {
    FollowReport() = default;

    std::string run;
    uint64_t files = 0;
    uint64_t series = 0;   // that points were sent of
    uint64_t read = 0;     // what could have been points
    uint64_t sent = 0;     // points that have their outcome
    uint64_t skipped = 0;  // what was no point
    std::string first_skipped;
};

// Single-threaded.
class EventFollower {
  public:
    // The writer's id is import_writer().
    EventFollower(client::Writer& writer, FollowTarget target, FollowEnvironment environment);

    // Looks for new files, and sends what has come to them and to those it knows. An error is one
    // of the writer, which can go on no more; what is wrong with a file or a run is told, and is
    // in problems().
    Status look();

    // The same in spite of should_stop(): for what was written until then.
    Status look_last();

    size_t files() const { return files_; }
    size_t runs() const { return runs_.size(); }

    // Marks runs whose files were read to their end as finished.
    Status finish_runs();
    // In the order of their ids; of runs that something was read of.
    std::vector<FollowReport> reports() const;
    // Files that end within a record: it may be written yet.
    std::vector<std::string> torn() const;
    // What was not taken: damaged files, runs that the server refuses, files that cannot be told
    // apart.
    std::vector<Error> problems() const;

  private:
    struct File {
        File() = default;

        std::string path;
        std::string attribute;
        std::optional<uint64_t> looked_size;  // unset: to be looked at again
        uint64_t sent = 0;                    // offset up to which rows were sent
        uint64_t stored = 0;                  // as the run's attribute says
        bool is_placed = false;               // `stored` is known
        bool is_torn = false;
        std::optional<Error> damage;
        uint64_t damage_offset = 0;
        int damage_looks = 0;
    };
    struct Counts {
        uint64_t points = 0;
        uint64_t skipped = 0;
    };
    struct FollowedRun {
        explicit FollowedRun(Axis axis) : schemas(axis) {}

        std::string id;
        std::string origin;
        std::vector<File> files;  // in natural order of their paths
        std::optional<client::Run> run;
        std::map<std::string, uint64_t, std::less<>> offsets;  // of the store, by attribute
        std::optional<Error> failure;
        bool is_to_repeat = false;  // in this look, something that came before is sent again
        MetricNames names;
        GrowingSchemas schemas;
        std::vector<client::RowLog> logs;  // by schema
        std::set<uint32_t> series;
        Counts waiting;  // sent since the last commit
        Counts done;
        std::string first_skipped;
    };
    // Of one file, while it is read.
    struct Reading {
        Reading() = default;

        std::unique_ptr<EventLog> log;
        std::vector<uint32_t> names;                   // of the log's metrics in the run's
        uint64_t skipped = 0;                          // counted already
        std::vector<std::pair<uint32_t, double>> row;  // by the run's metrics
        std::vector<uint32_t> metrics;
        std::vector<double> values;
        std::vector<std::byte> present;
    };

    bool is_stopping() const;
    void find_new_files();
    void add_file(const FoundFile& found);
    std::string name_of(const FoundFile& found) const;
    Status read_run(FollowedRun& run);
    bool has_row(File& file);
    Result<std::unique_ptr<EventLog>> open_log(File& file, uint64_t begin);
    // Up to where the store has it.
    static uint64_t place(const FollowedRun& run, File& file);
    Status read_file(FollowedRun& run, File& file);
    static void count(FollowedRun& run, Reading& reading);
    void note_end(File& file, const EventLog& log, const std::optional<Error>& broken);
    void fail(FollowedRun& run, const Error& error);
    // False: not now, or failed.
    bool open(FollowedRun& run);
    Status read_offsets(FollowedRun& run);
    Status send(FollowedRun& run, Reading& reading, const LogRow& row);
    Status send_part(FollowedRun& run, Reading& reading, const LogRow& row, uint32_t schema);
    // Waits for the outcomes of all that was sent, and sets offsets.
    Status commit();
    void read_again(FollowedRun& run, const Error& why);
    void set_offsets(FollowedRun& run);
    void tell_once(const std::string& what);

    client::Writer& writer_;
    const FollowTarget target_;
    const FollowEnvironment environment_;
    const Axis axis_;
    std::map<std::string, FollowedRun, std::less<>> runs_;  // by id
    std::set<std::string> known_paths_;
    size_t files_ = 0;
    size_t bytes_ = 0;  // sent since the last commit
    bool is_last_ = false;
    std::vector<Error> problems_;
    std::set<std::string> told_;
};

}  // namespace stepdb
