// A TensorBoard event file as rows of a run: record framing, Event messages, their summaries.
//
// Every scalar is stamped by itself. Scalars of one step that follow each other make up one row,
// which takes the time of the first, as long as they were stamped within LogOptions::row_window_us
// of it and no tag comes a second time; else another row begins. What is no scalar is skipped and
// counted by its kind.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "tools/import/log_source.h"
#include "tools/import/record_reader.h"
#include "tools/import/row_collector.h"

namespace stepdb {

// Single-threaded.
class EventLog final : public LogSource {
  public:
    // Of the options uses axis, row_window_us and file_time_us. By time a step is left out; by
    // index the key is the number of the scalar within its tag.
    static Result<std::unique_ptr<LogSource>> open(const std::string& path,
                                                   const LogOptions& options,
                                                   uint64_t bytes_max = UINT64_MAX);
    // From a byte on with which a record begins: what has come to a file since resume_offset() of
    // an earlier log of it. Not by index, which counts from the first byte on.
    static Result<std::unique_ptr<EventLog>> open_at(const std::string& path,
                                                     const LogOptions& options, uint64_t begin);

    // Where a log has to begin that is to have all rows which this one has not handed on.
    uint64_t resume_offset() const;
    // Whether the error of next() was that the file ends within a record.
    bool is_torn() const { return reader_.is_torn(); }

    Axis axis() const override {
        return options_.axis == ImportAxis::kTime ? Axis::kTimed : Axis::kStepped;
    }
    const std::vector<std::string>& metrics() const override { return names_.all(); }
    Result<bool> next(LogRow& row) override;
    const LogCounts& counts() const override { return counts_; }
    uint64_t bytes_read() const override { return reader_.bytes_read(); }

  private:
    struct Point {
        uint32_t metric = 0;
        double value = 0;
        uint64_t index = 0;  // within its metric
    };

    EventLog(ByteSource source, const std::string& path, const LogOptions& options,
             uint64_t begin = 0)
        : reader_(std::move(source), path, begin), options_(options) {}

    // Fills points_ from the next event that has any; false at the end.
    Result<bool> next_event();
    Status read_event(Bytes event);
    Status read_summary(Bytes summary);
    Status take_value(Bytes message);
    void skip(std::string_view kind, std::string_view tag);
    bool joins(const Point& point) const;
    void begin(const Point& point);

    RecordReader reader_;
    LogOptions options_;
    MetricNames names_;
    LogCounts counts_;
    std::vector<uint64_t> points_of_metric_;

    // The current event.
    int64_t step_ = 0;
    std::optional<int64_t> time_us_;
    std::vector<Point> points_;
    size_t next_point_ = 0;

    RowCollector rows_;
    int64_t row_step_ = 0;
    uint64_t row_index_ = 0;
    std::optional<Error> broken_;  // to be told after what has been collected
};

}  // namespace stepdb
