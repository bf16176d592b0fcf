#include "tools/import/event_log.h"

#include <bit>
#include <cmath>

#include "engine/base/text.h"
#include "tools/import/proto_reader.h"
#include "tools/import/summary_value.h"

namespace stepdb {

namespace {

constexpr double kTimeUsMax = 9.0e18;  // well inside int64

// Seconds since the epoch; nothing for those that writers leave out, and for nonsense.
std::optional<int64_t> time_of(double seconds) {
    const double us = seconds * 1e6;
    if (seconds == 0 || !(std::fabs(us) < kTimeUsMax)) {
        return std::nullopt;
    }
    return std::llround(us);
}

}  // namespace

Result<std::unique_ptr<LogSource>> EventLog::open(const std::string& path,
                                                  const LogOptions& options, uint64_t bytes_max) {
    TRY_ASSIGN(ByteSource source, open_file(path, bytes_max));
    return std::unique_ptr<LogSource>(new EventLog(std::move(source), path, options));
}

Result<std::unique_ptr<EventLog>> EventLog::open_at(const std::string& path,
                                                    const LogOptions& options, uint64_t begin) {
    TRY_ASSIGN(ByteSource source, open_file(path, UINT64_MAX, begin));
    return std::unique_ptr<EventLog>(new EventLog(std::move(source), path, options, begin));
}

// What waits to be handed on is of the last record alone: it did not join the row before it.
uint64_t EventLog::resume_offset() const {
    return next_point_ < points_.size() || broken_ ? reader_.offset() : reader_.next_offset();
}

void EventLog::skip(std::string_view kind, std::string_view tag) {
    counts_.skip(kind, [&] {
        return fmt::format("{}, tag '{}': {}", reader_.place(), printable(tag, 80), kind);
    });
}

// --- Events ---

Result<bool> EventLog::next_event() {
    RecordReader::Record record;
    points_.clear();
    next_point_ = 0;
    while (points_.empty()) {
        TRY_ASSIGN(const bool more, reader_.next(record));
        if (!more) {
            return false;
        }
        if (record.too_long) {
            ++counts_.read;
            skip("in records over 64 MiB", "");
            continue;
        }
        const Status status = read_event(record.data);
        if (!status) {
            counts_.read -= points_.size();  // of such an event nothing is taken
            points_.clear();
            return status.error().within(reader_.place());
        }
    }
    return true;
}

// wall_time 1 (double), step 2 (int64), summary 5; the rest is not for us.
Status EventLog::read_event(Bytes event) {
    double wall_time = 0;
    Bytes summary;
    step_ = 0;
    ProtoReader reader(event);
    ProtoField field;
    for (;;) {
        TRY_ASSIGN(const bool more, reader.next(field));
        if (!more) {
            break;
        }
        if (field.number == 1 && field.type == WireType::kFixed64) {
            wall_time = std::bit_cast<double>(field.scalar);
        } else if (field.number == 2 && field.type == WireType::kVarint) {
            step_ = static_cast<int64_t>(field.scalar);
        } else if (field.number == 5 && field.type == WireType::kBytes) {
            summary = field.bytes;
        }
    }
    time_us_ = time_of(wall_time);
    return read_summary(summary);
}

Status EventLog::read_summary(Bytes summary) {
    ProtoReader reader(summary);
    ProtoField field;
    for (;;) {
        TRY_ASSIGN(const bool more, reader.next(field));
        if (!more) {
            return {};
        }
        if (field.number == 1 && field.type == WireType::kBytes) {
            TRY(take_value(field.bytes));
        }
    }
}

Status EventLog::take_value(Bytes message) {
    TRY_ASSIGN(const SummaryValue value, read_summary_value(message));
    ++counts_.read;
    if (!value.scalar) {
        skip(value.kind, value.tag);
        return {};
    }
    if (axis() == Axis::kTimed && !time_us_) {
        skip("without a time", value.tag);
        return {};
    }
    const Result<uint32_t> metric = names_.intern(value.tag);
    if (!metric) {
        if (metric.error().code() != ErrorCode::kInvalidArgument) {
            return metric.error();
        }
        skip("without a proper name", value.tag);
        return {};
    }
    points_of_metric_.resize(names_.all().size());
    points_.push_back({*metric, *value.scalar, points_of_metric_[*metric]++});
    return {};
}

// --- Rows ---

bool EventLog::joins(const Point& point) const {
    if (row_step_ != step_ || rows_.has(point.metric) ||
        (options_.axis == ImportAxis::kIndex && row_index_ != point.index)) {
        return false;
    }
    const auto begun = static_cast<double>(rows_.row().time_us);
    const auto now = static_cast<double>(time_us_.value_or(options_.file_time_us));
    return std::fabs(now - begun) <= static_cast<double>(options_.row_window_us);
}

void EventLog::begin(const Point& point) {
    std::optional<double> key = static_cast<double>(step_);
    if (options_.axis == ImportAxis::kIndex) {
        key = static_cast<double>(point.index);
    } else if (options_.axis == ImportAxis::kTime) {
        key.reset();
    }
    rows_.begin(key, time_us_.value_or(options_.file_time_us), reader_.number());
    row_step_ = step_;
    row_index_ = point.index;
}

Result<bool> EventLog::next(LogRow& row) {
    for (;;) {
        for (; next_point_ < points_.size(); ++next_point_) {
            const Point& point = points_[next_point_];
            if (rows_.empty()) {
                begin(point);
            } else if (!joins(point)) {
                rows_.take(row);
                return true;
            }
            rows_.add(point.metric, point.value);
        }
        Result<bool> more = broken_ ? Result<bool>(*broken_) : next_event();
        if (!more) {
            broken_ = more.error();
        }
        if (more && *more) {
            continue;
        }
        if (rows_.empty()) {
            return more;
        }
        rows_.take(row);
        return true;
    }
}

}  // namespace stepdb
