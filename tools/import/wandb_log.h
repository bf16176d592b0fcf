// A W&B transaction log as rows of a run. It holds two logs, each of which is read by itself: what
// the training logged (history), with steps, and system metrics (stats), with times alone.
//
// A record of either makes a row. Its values are JSON: numbers, NaN and Infinity bare or as
// strings, true as 1 and false as 0; members of an object within are named `outer.inner`, as W&B
// shows them. Other strings, lists and objects with a `_type` (media, histograms) are skipped, each
// as one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/log_source.h"
#include "tools/import/proto_reader.h"
#include "tools/import/row_collector.h"
#include "tools/import/wandb_reader.h"

namespace stepdb {

// Single-threaded.
class WandbLog final : public LogSource {
  public:
    // The history. `_step` is the step and `_timestamp` the time, neither of them a metric. Facts:
    // config, name, tags and start of the run, and how it ended.
    static Result<std::unique_ptr<LogSource>> open_history(const std::string& path,
                                                           const LogOptions& options,
                                                           uint64_t bytes_max = UINT64_MAX);
    // The system metrics as `_system/NAME`, always by time.
    static Result<std::unique_ptr<LogSource>> open_system(const std::string& path,
                                                          const LogOptions& options,
                                                          uint64_t bytes_max = UINT64_MAX);

    Axis axis() const override { return is_timed_ ? Axis::kTimed : Axis::kStepped; }
    const std::vector<std::string>& metrics() const override { return names_.all(); }
    Result<bool> next(LogRow& row) override;
    const LogCounts& counts() const override { return counts_; }
    const LogFacts& facts() const override { return facts_; }
    uint64_t bytes_read() const override { return reader_.bytes_read(); }

  private:
    struct Item {
        std::string key;
        std::string_view json;
    };

    WandbLog(ByteSource source, const std::string& path, LogOptions options, bool is_system)
        : options_(std::move(options)), is_system_(is_system), reader_(std::move(source), path) {
        is_timed_ = is_system || options_.axis == ImportAxis::kTime;
    }
    static Result<std::unique_ptr<LogSource>> open(const std::string& path,
                                                   const LogOptions& options, uint64_t bytes_max,
                                                   bool is_system);

    Status take_record(Bytes record);
    Status take_history(Bytes message);
    Status take_stats(Bytes message);
    Status take_run(Bytes message);
    Status take_config(Bytes message);
    Status take_exit(Bytes message);
    // Key and JSON of an item of history, stats or config.
    static Result<Item> read_item(Bytes message);
    Status take_value(const Item& item);
    void take_number(std::string_view name, double number);
    void skip(std::string_view kind, std::string_view name);
    // Of the current row; false, and its points count as skipped, if it has none.
    bool has_key();

    LogOptions options_;
    bool is_system_;
    bool is_timed_ = false;
    WandbReader reader_;
    MetricNames names_;
    LogCounts counts_;
    LogFacts facts_;
    uint64_t rows_read_ = 0;

    std::optional<double> step_;
    std::optional<int64_t> time_us_;
    RowCollector row_;
};

}  // namespace stepdb
