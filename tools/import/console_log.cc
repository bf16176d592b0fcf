#include "tools/import/console_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/number_text.h"
#include "engine/base/text.h"
#include "tools/import/time_text.h"

namespace stepdb {

Result<std::unique_ptr<LogSource>> ConsoleLog::open(const std::string& path,
                                                    const LogOptions& options, uint64_t bytes_max) {
    TRY_ASSIGN(std::vector<LineKind> kinds, load_console_patterns(options.patterns));
    TRY_ASSIGN(ByteSource source, open_file(path, bytes_max));
    std::unique_ptr<ConsoleLog> log(
        new ConsoleLog(std::move(source), path, options, std::move(kinds)));
    TRY(log->choose_axis());
    return std::unique_ptr<LogSource>(std::move(log));
}

Status ConsoleLog::choose_axis() {
    const auto has = [this](std::optional<size_t> LineKind::*group) {
        return std::ranges::any_of(kinds_,
                                   [&](const LineKind& kind) { return (kind.*group).has_value(); });
    };
    const bool has_step = has(&LineKind::step);
    const bool has_time = has(&LineKind::time);
    const ImportAxis axis = options_.axis;
    is_indexed_ = axis == ImportAxis::kIndex;
    is_timed_ = axis == ImportAxis::kTime || (axis == ImportAxis::kAuto && !has_step);
    if ((is_timed_ && !has_time) || (axis == ImportAxis::kStep && !has_step)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: no `line` of the patterns has a group (?P<{}>...); add one, or "
                          "number the lines by --axis index",
                          printable(options_.patterns), is_timed_ && has_step ? "time" : "step");
    }
    return {};
}

std::string ConsoleLog::place() const {
    return fmt::format("{}: line {}", path_, lines_.number());
}

// --- Lines ---

Result<bool> ConsoleLog::next_text(std::string_view& text) {
    if (!has_rest_) {
        TRY_ASSIGN(has_rest_, lines_.next(rest_));
    }
    if (!has_rest_) {
        return false;
    }
    const size_t end = rest_.find('\r');
    has_rest_ = end != std::string_view::npos;
    text = rest_.substr(0, end);
    rest_ = has_rest_ ? rest_.substr(end + 1) : std::string_view();
    return true;
}

void ConsoleLog::take_key(const LineKind& kind) {
    const std::optional<double> step =
        kind.step ? parse_logged_step(groups_[*kind.step]) : std::nullopt;
    const std::optional<int64_t> time = kind.time ? parse_time(groups_[*kind.time]) : std::nullopt;
    step_ = step ? step : step_;
    time_us_ = time ? time : time_us_;
}

Status ConsoleLog::take_value(std::string_view name, std::string_view value) {
    ++counts_.read;
    const std::optional<double> number = parse_logged_number(trim(value));
    if (!number) {
        counts_.skip("text", [&] {
            return fmt::format("{}, {}: '{}' is no number", place(), printable(name, 80),
                               printable(value, 80));
        });
        return {};
    }
    const Result<uint32_t> metric = names_.intern(trim(name));
    if (!metric && metric.error().code() != ErrorCode::kInvalidArgument) {
        return metric.error().within(place());
    }
    const bool is_twice = metric && std::ranges::any_of(points_, [&](const auto& point) {
                              return point.first == *metric;
                          });
    if (!metric || is_twice) {
        counts_.skip(is_twice ? "named twice in a line" : "without a proper name",
                     [&] { return fmt::format("{}: '{}'", place(), printable(name, 80)); });
        return {};
    }
    points_.emplace_back(*metric, *number);
    return {};
}

Status ConsoleLog::take_line(const LineKind& kind, std::string_view text) {
    take_key(kind);
    for (const auto& [name, group] : kind.metrics) {
        if (groups_[group].data() != nullptr) {
            TRY(take_value(name, groups_[group]));
        }
    }
    const std::string_view within = kind.rest ? groups_[*kind.rest] : text;
    for (const PairPattern& pairs : kind.pairs) {
        size_t at = 0;
        while (at <= within.size() && pairs.regex.search(within, at, pair_)) {
            TRY(take_value(pair_[pairs.name], pair_[pairs.value]));
            const auto end = static_cast<size_t>(pair_[0].data() + pair_[0].size() - within.data());
            at = end + (pair_[0].empty() ? 1 : 0);
        }
    }
    return {};
}

Status ConsoleLog::take_text(std::string_view text) {
    points_.clear();
    for (const LineKind& kind : kinds_) {
        if (kind.line.search(text, 0, groups_)) {
            return take_line(kind, text);
        }
    }
    return {};
}

// --- Rows ---

bool ConsoleLog::has_key() {
    if (is_indexed_ || (is_timed_ ? time_us_.has_value() : step_.has_value())) {
        return true;
    }
    for (size_t point = 0; point < points_.size(); ++point) {
        counts_.skip(is_timed_ ? "without a time" : "without a step", [&] {
            return fmt::format("{}: no {} came before", place(), is_timed_ ? "time" : "step");
        });
    }
    return false;
}

std::optional<double> ConsoleLog::key() const {
    if (is_timed_) {
        return std::nullopt;
    }
    return is_indexed_ ? static_cast<double>(lines_taken_ - 1) : step_;
}

Result<bool> ConsoleLog::next_points() {
    std::string_view text;
    for (;;) {
        TRY_ASSIGN(const bool more, next_text(text));
        if (!more) {
            return false;
        }
        TRY(take_text(text));
        if (!points_.empty() && has_key()) {
            ++lines_taken_;
            return true;
        }
    }
}

bool ConsoleLog::joins() const {
    return !rows_.empty() && rows_.row().step == key() &&
           rows_.row().time_us == time_us_.value_or(options_.file_time_us) &&
           std::ranges::none_of(points_, [&](const auto& point) { return rows_.has(point.first); });
}

Result<bool> ConsoleLog::next(LogRow& row) {
    for (;;) {
        Result<bool> more = broken_ ? Result<bool>(*broken_) : next_points();
        if (!more) {
            broken_ = more.error();
        }
        if (!more || !*more) {
            if (rows_.empty()) {
                return more;
            }
            rows_.take(row);
            return true;
        }
        const bool is_complete = !rows_.empty() && !joins();
        if (is_complete) {
            rows_.take(row);
        }
        if (rows_.empty()) {
            rows_.begin(key(), time_us_.value_or(options_.file_time_us), lines_.number());
        }
        for (const auto& [metric, value] : points_) {
            rows_.add(metric, value);
        }
        if (is_complete) {
            return true;
        }
    }
}

}  // namespace stepdb
