// A run of an MLflow file store as rows (mlflow_run.h has its files). Every metric is a file of its
// own, in the order it was logged; they are read side by side, the earliest line first. Lines of
// one step become one row while they are the next ones of their files and stamped within
// LogOptions::row_window_us of the first; in a timed log, lines of one time.
//
// A line is `timestamp_ms value`, a step behind it if there is one (else it is 0), and name and
// digest of a data set behind that, which are left aside. Other lines are skipped, and so is one
// that does not end: it was being written.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/log_source.h"
#include "tools/import/row_collector.h"

namespace stepdb {

// One metrics file. Holds a piece of it, and no open file between calls: a run may have more
// metrics than a process may have files.
class MlflowMetric {
  public:
    struct Line {
        int64_t time_us = 0;
        double step = 0;
        double value = 0;
        uint64_t number = 0;  // from 1
    };

    // As if the file ended after `size` bytes. A line has `chunk_bytes` at most.
    MlflowMetric(std::string path, uint64_t size, size_t chunk_bytes)
        : path_(std::move(path)), size_(size), chunk_bytes_(chunk_bytes) {}

    const std::string& path() const { return path_; }
    // The next proper line; false at the end. What is skipped is counted. kIoError naming the file.
    Result<bool> next(Line& line, LogCounts& counts);
    uint64_t bytes_read() const { return offset_; }

  private:
    // The next line, or what fits of it, without its end; false at the end.
    Result<bool> next_text(std::string_view& text);
    Status fill();

    std::string path_;
    uint64_t size_;
    size_t chunk_bytes_;
    uint64_t offset_ = 0;  // of what follows the chunk
    std::string chunk_;
    size_t position_ = 0;
    uint64_t number_ = 0;
    bool is_whole_ = false;  // the last line
};

// Single-threaded.
class MlflowLog final : public LogSource {
  public:
    // `path` is the run's directory. Of the options uses axis, row_window_us and files. `bytes_max`
    // is not looked at: options.files tells how long each file is. kInvalidArgument if it is no
    // run, kIoError if it cannot be listed.
    static Result<std::unique_ptr<LogSource>> open(const std::string& path,
                                                   const LogOptions& options,
                                                   uint64_t bytes_max = UINT64_MAX);

    Axis axis() const override {
        return options_.axis == ImportAxis::kTime ? Axis::kTimed : Axis::kStepped;
    }
    const std::vector<std::string>& metrics() const override { return names_.all(); }
    Result<bool> next(LogRow& row) override;
    const LogCounts& counts() const override { return counts_; }
    const LogFacts& facts() const override { return facts_; }
    uint64_t bytes_read() const override { return bytes_read_; }

  private:
    struct File {
        MlflowMetric reader;
        std::optional<uint32_t> metric;  // unset if its name can be none
        uint64_t points = 0;
        MlflowMetric::Line head;
        bool has_head = false;
        double key = 0;  // of the head: step, or its number, or 0 in a timed log
    };
    using TimeOrder = std::tuple<int64_t, size_t>;         // time, file
    using KeyOrder = std::tuple<double, int64_t, size_t>;  // key, time, file

    explicit MlflowLog(LogOptions options) : options_(std::move(options)) {}

    Status find_files(const std::string& path);
    // Reads the next head of a file and puts it into the orders. Sets broken_ if it cannot be read.
    void advance(size_t file);
    Status read_head(File& file);

    LogOptions options_;
    LogFacts facts_;
    MetricNames names_;
    LogCounts counts_;
    std::vector<File> files_;
    bool has_begun_ = false;
    uint64_t bytes_read_ = 0;
    std::set<TimeOrder> by_time_;  // the files that have a head
    std::set<KeyOrder> by_key_;
    RowCollector rows_;
    std::optional<Error> broken_;  // to be told after the row before it
};

}  // namespace stepdb
