// Runs of a SQLite database that an MLflow server keeps (mlflow.db): its tables experiments, runs,
// metrics, params and tags. Points are read in the order of their timestamps, equal ones by step,
// then as they were inserted; rows are made of them as of the files of a file store (mlflow_log.h).
//
// MLflow cannot store all doubles there: of NaN it keeps a mark (is_nan), of an infinity the
// greatest double there is. The latter becomes an infinity again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/log_part.h"
#include "tools/import/log_source.h"
#include "tools/import/row_collector.h"

struct sqlite3;
struct sqlite3_stmt;

namespace stepdb {

// Whether the file begins as SQLite's do.
bool is_sqlite_file(const std::string& path);

// A part for each run that is not deleted, named EXPERIMENT.RUN by their ids, in this order.
// kInvalidArgument if it is no database of MLflow.
Result<std::vector<LogPart>> list_mlflow_runs(const std::string& path);

struct SqliteClose {
    void operator()(sqlite3* database) const;
    void operator()(sqlite3_stmt* statement) const;
};
using SqliteDatabase = std::unique_ptr<sqlite3, SqliteClose>;
using SqliteStatement = std::unique_ptr<sqlite3_stmt, SqliteClose>;

// Single-threaded. Holds a read transaction while it lives.
class MlflowDatabaseLog final : public LogSource {
  public:
    // Of the options uses part, axis, row_window_us and files, which makes later openings end where
    // the first did.
    static Result<std::unique_ptr<LogSource>> open(const std::string& path,
                                                   const LogOptions& options, uint64_t bytes_max);

    Axis axis() const override {
        return options_.axis == ImportAxis::kTime ? Axis::kTimed : Axis::kStepped;
    }
    const std::vector<std::string>& metrics() const override { return names_.all(); }
    Result<bool> next(LogRow& row) override;
    const LogCounts& counts() const override { return counts_; }
    const LogFacts& facts() const override { return facts_; }
    uint64_t bytes_read() const override { return 0; }  // SQLite does not tell

  private:
    struct Point {
        uint32_t metric = 0;
        double value = 0;
        std::optional<double> key;  // of a stepped log
        int64_t time_us = 0;
    };

    MlflowDatabaseLog(std::string path, LogOptions options)
        : path_(std::move(path)), options_(std::move(options)) {}

    Status begin(const std::string& run);
    Status read_facts(const std::string& run);
    // The next one that is a point; false at the end.
    Result<bool> next_point();
    bool take_point();
    bool joins() const;

    const std::string path_;
    const LogOptions options_;
    SqliteDatabase database_;
    SqliteStatement points_;  // freed before the database
    LogFacts facts_;
    MetricNames names_;
    LogCounts counts_;
    std::vector<uint64_t> points_of_metric_;
    Point point_;
    bool has_point_ = false;
    RowCollector rows_;
    std::optional<Error> broken_;  // to be told after the row before it
};

}  // namespace stepdb
