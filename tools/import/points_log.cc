#include "tools/import/points_log.h"

#include "engine/base/number_text.h"
#include "engine/base/text.h"
#include "tools/import/time_text.h"

namespace stepdb {

Result<std::unique_ptr<LogSource>> PointsLog::open(const std::string& path,
                                                   const LogOptions& options, uint64_t bytes_max,
                                                   OpenPointsTable open, bool is_second) {
    TRY_ASSIGN(auto table, open(path, &*options.part, bytes_max));
    if (table == nullptr) {
        return make_error(ErrorCode::kFailedPrecondition,
                          "{} changed while it was imported; import it again", path);
    }
    std::unique_ptr<PointsLog> log(new PointsLog(path, options, std::move(table)));
    log->is_second_ = is_second;
    log->is_timed_ = is_second || options.axis == ImportAxis::kTime;
    return std::unique_ptr<LogSource>(std::move(log));
}

void PointsLog::skip(std::string_view kind, std::string_view cell, std::string_view why) {
    counts_.skip(kind, [&] {
        return fmt::format("{}: line {}: '{}' {}", path_, table_->line(), printable(cell, 80), why);
    });
}

bool PointsLog::is_of_other(const PointRecord& record) {
    if (options_.axis != ImportAxis::kAuto) {
        return false;
    }
    const bool has_only_time = !record.step && record.time;
    options_.beside->has_timed = options_.beside->has_timed || has_only_time;
    return has_only_time != is_second_;
}

bool PointsLog::take_key(const PointRecord& record, Point& point) {
    const std::optional<int64_t> time = record.time ? parse_time(*record.time) : std::nullopt;
    point.time_us = time.value_or(options_.file_time_us);
    if (is_timed_ && !time) {
        skip("without a time", record.time.value_or(""), "is no time");
        return false;
    }
    if (is_timed_) {
        return true;
    }
    if (options_.axis == ImportAxis::kIndex) {
        points_of_metric_.resize(names_.all().size());
        point.step = static_cast<double>(points_of_metric_[point.metric]++);
        return true;
    }
    point.step = record.step ? parse_logged_step(*record.step) : std::nullopt;
    if (!point.step) {
        skip("without a step", record.step.value_or(""), "is no step");
    }
    return point.step.has_value();
}

Result<std::optional<PointsLog::Point>> PointsLog::take(const PointRecord& record) {
    if (!record.value) {
        return std::optional<Point>();
    }
    ++counts_.read;
    const std::optional<double> value = parse_logged_number(*record.value);
    if (!value) {
        skip("text", *record.value, "is no number");
        return std::optional<Point>();
    }
    const Result<uint32_t> metric = names_.intern(record.metric);
    if (!metric && metric.error().code() != ErrorCode::kInvalidArgument) {
        return metric.error().within(fmt::format("{}: line {}", path_, table_->line()));
    }
    if (!metric) {
        skip("without a proper name", record.metric,
             "makes no metric: " + metric.error().message());
        return std::optional<Point>();
    }
    if (is_second_ && options_.beside->stepped.contains(record.metric)) {
        skip("without a step", record.metric,
             "is logged by step elsewhere, and there is none here");
        return std::optional<Point>();
    }
    Point point;
    point.metric = *metric;
    point.value = *value;
    if (!take_key(record, point)) {
        return std::optional<Point>();
    }
    if (options_.beside && !is_timed_) {
        options_.beside->stepped.emplace(record.metric);
    }
    return std::optional<Point>(point);
}

Result<std::optional<PointsLog::Point>> PointsLog::next_point() {
    PointRecord record;
    for (;;) {
        TRY_ASSIGN(const bool more, table_->next(record));
        if (!more) {
            return std::optional<Point>();
        }
        if (record.run != options_.part->run || is_of_other(record)) {
            continue;
        }
        TRY_ASSIGN(const std::optional<Point> point, take(record));
        if (point) {
            return point;
        }
    }
}

Result<bool> PointsLog::next(LogRow& row) {
    if (broken_) {
        return *broken_;
    }
    for (;;) {
        const Result<std::optional<Point>> next = next_point();
        if (!next) {
            broken_ = next.error();
        }
        if (!next || !*next) {
            if (!rows_.empty()) {
                rows_.take(row);
                return true;
            }
            return next ? Result<bool>(false) : Result<bool>(*broken_);
        }
        const Point& point = **next;
        const bool joins = !rows_.empty() && rows_.row().step == point.step &&
                           rows_.row().time_us == point.time_us && !rows_.has(point.metric);
        const bool is_complete = !joins && !rows_.empty();
        if (is_complete) {
            rows_.take(row);
        }
        if (!joins) {
            rows_.begin(point.step, point.time_us, table_->line());
        }
        rows_.add(point.metric, point.value);
        if (is_complete) {
            return true;
        }
    }
}

}  // namespace stepdb
