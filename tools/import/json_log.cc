#include "tools/import/json_log.h"

#include <algorithm>
#include <limits>
#include <set>

#include "engine/base/number_text.h"
#include "engine/base/text.h"
#include "tools/import/points_log.h"
#include "tools/import/time_text.h"

namespace stepdb {

namespace {

constexpr uint64_t kObjectsLookedAt = 1000;  // for the fields of step and time
constexpr size_t kFieldsKept = 10'000;       // of these objects

// The field that an option names, with `/` or `.` between the levels.
std::optional<std::string> find_named(const std::vector<std::string>& fields, std::string wanted) {
    if (std::ranges::binary_search(fields, wanted)) {
        return wanted;
    }
    std::replace(wanted.begin(), wanted.end(), '.', '/');
    return std::ranges::binary_search(fields, wanted) ? std::optional<std::string>(wanted)
                                                      : std::nullopt;
}

// What other writers put into strings because JSON has no such numbers.
std::optional<double> number_in_string(std::string_view text) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (text == "NaN") {
        return std::numeric_limits<double>::quiet_NaN();
    }
    if (text == "Infinity") {
        return kInfinity;
    }
    return text == "-Infinity" ? std::optional<double>(-kInfinity) : std::nullopt;
}

}  // namespace

Result<std::unique_ptr<LogSource>> JsonLog::open(const std::string& path, const LogOptions& options,
                                                 uint64_t bytes_max) {
    if (options.part) {
        return PointsLog::open(path, options, bytes_max, open_json_points, false);
    }
    return open_log(path, options, bytes_max, open_json_lines, false);
}

Result<std::unique_ptr<LogSource>> JsonLog::open_timed(const std::string& path,
                                                       const LogOptions& options,
                                                       uint64_t bytes_max) {
    if (!options.beside || !options.beside->has_timed) {
        return make_empty_log();
    }
    if (options.part) {
        return PointsLog::open(path, options, bytes_max, open_json_points, true);
    }
    return open_log(path, options, bytes_max, open_json_lines, true);
}

Result<std::unique_ptr<LogSource>> JsonLog::open_objects(const std::string& path,
                                                         const LogOptions& options,
                                                         uint64_t bytes_max, OpenJsonObjects open) {
    LogOptions alone = options;
    alone.beside.reset();
    return open_log(path, alone, bytes_max, open, false);
}

Result<std::unique_ptr<LogSource>> JsonLog::open_log(const std::string& path,
                                                     const LogOptions& options, uint64_t bytes_max,
                                                     OpenJsonObjects open, bool is_second) {
    TRY_ASSIGN(auto first, open(path, bytes_max));
    std::unique_ptr<JsonLog> log(new JsonLog(path, options, std::move(first)));
    log->is_second_ = is_second;
    TRY(log->find_fields());
    TRY_ASSIGN(log->objects_, open(path, bytes_max));
    return std::unique_ptr<LogSource>(std::move(log));
}

// --- Fields ---

Status JsonLog::find_fields() {
    std::set<std::string> fields;
    bool has_objects = false;
    const JsonSink collect = [&](const JsonLeaf& leaf) -> Status {
        const bool can_be_key = leaf.kind == JsonKind::kNumber || leaf.kind == JsonKind::kString;
        if (can_be_key && fields.size() < kFieldsKept) {
            fields.emplace(leaf.path);
        }
        return {};
    };
    for (uint64_t object = 0; object < kObjectsLookedAt; ++object) {
        const Result<bool> more = next_object(collect);
        if (!more && object == 0) {
            return more.error();
        }
        if (!more || !*more) {
            break;  // what is wrong is told when it is read
        }
        has_objects = true;
    }
    return has_objects ? choose_axis({fields.begin(), fields.end()}) : Status();
}

Status JsonLog::choose_axis(const std::vector<std::string>& fields) {
    const auto find = [&](const std::string& wanted, std::string_view option,
                          const std::vector<std::string_view>& usual,
                          std::optional<std::string>& field) -> Status {
        if (wanted.empty()) {
            const std::optional<size_t> at = find_usual(fields, usual);
            field = at ? std::optional<std::string>(fields[*at]) : std::nullopt;
        } else {
            field = find_named(fields, wanted);
        }
        if (!wanted.empty() && !field) {
            return make_error(ErrorCode::kInvalidArgument,
                              "{}: the first lines have no number or text '{}', as {} says; there "
                              "are {}",
                              path_, printable(wanted), option, shown_names(fields));
        }
        return {};
    };
    TRY(find(options_.step_column, "--step-column", step_column_names(), step_field_));
    TRY(find(options_.time_column, "--time-column", time_column_names(), time_field_));
    if (step_field_ && step_field_ == time_field_) {
        return make_error(ErrorCode::kInvalidArgument, "{}: '{}' cannot be both step and time",
                          path_, printable(*step_field_));
    }
    const ImportAxis axis = options_.axis;
    is_indexed_ = axis == ImportAxis::kIndex;
    is_timed_ = axis == ImportAxis::kTime || (axis == ImportAxis::kAuto && !step_field_);
    const bool needs_step = !is_indexed_ && !is_timed_;
    if ((needs_step && !step_field_) || (is_timed_ && !time_field_)) {
        return make_error(
            ErrorCode::kInvalidArgument,
            "{}: the first lines have nothing that is known to hold the step ({}) or the time "
            "({}); name it by --step-column or --time-column, or number the lines by --axis index; "
            "there are {}",
            path_, fmt::join(step_column_names(), ", "), fmt::join(time_column_names(), ", "),
            shown_names(fields));
    }
    if (!needs_step) {
        step_field_.reset();  // a metric like others
    }
    if (axis != ImportAxis::kAuto) {
        options_.beside.reset();
    }
    return {};
}

// --- Objects ---

Result<bool> JsonLog::next_object(const JsonSink& sink) {
    std::string_view text;
    TRY_ASSIGN(const bool more, objects_->next(text));
    if (!more) {
        return false;
    }
    const Status status = scan_json_object(text, sink);
    if (!status) {
        const Error error = status.error().within(place());
        return objects_->unterminated()
                   ? Error(error.code(), error.message() + "; the file seems to be cut off here")
                   : error;
    }
    return true;
}

void JsonLog::skip_leaf(const JsonLeaf& leaf, std::string_view kind) {
    if (is_second_) {
        return;  // the first log has counted it
    }
    ++counts_.read;
    counts_.skip(kind, [&] {
        return fmt::format("{}, {}: '{}' is no number", place(), printable(leaf.path, 80),
                           leaf.kind == JsonKind::kArray ? "[...]" : printable(leaf.text, 80));
    });
}

Status JsonLog::take_value(std::string_view name, double value) {
    const Result<uint32_t> metric = names_.intern(name);
    if (!metric && metric.error().code() != ErrorCode::kInvalidArgument) {
        return metric.error();
    }
    counts_.read += is_second_ ? 0U : 1U;
    if (!metric) {
        if (!is_second_) {
            counts_.skip("without a proper name", [&] {
                return fmt::format("{}: '{}': {}", place(), printable(name, 80),
                                   metric.error().message());
            });
        }
        return {};
    }
    last_of_metric_.resize(names_.all().size());
    auto& [object, point] = last_of_metric_[*metric];
    if (object == objects_read_) {
        if (!is_second_) {
            counts_.skip("named twice in a line", [&] {
                return fmt::format("{}: '{}' comes twice", place(), printable(name, 80));
            });
        }
        points_[point].second = value;
        return {};
    }
    object = objects_read_;
    point = points_.size();
    points_.emplace_back(*metric, value);
    return {};
}

Status JsonLog::take_leaf(const JsonLeaf& leaf) {
    if (leaf.kind == JsonKind::kNull) {
        return {};
    }
    if (step_field_ && leaf.path == *step_field_) {
        has_step_field_ = true;
        step_ = leaf.kind == JsonKind::kNumber   ? as_step(leaf.number)
                : leaf.kind == JsonKind::kString ? parse_logged_step(leaf.text)
                                                 : std::nullopt;
        return {};
    }
    if (time_field_ && leaf.path == *time_field_) {
        time_us_ = parse_time(leaf.text);
        return {};
    }
    if (leaf.kind == JsonKind::kArray) {
        skip_leaf(leaf, "arrays");
        return {};
    }
    if (leaf.kind != JsonKind::kString) {
        return take_value(leaf.path, leaf.number);
    }
    const std::optional<double> number = number_in_string(leaf.text);
    if (number) {
        return take_value(leaf.path, *number);
    }
    skip_leaf(leaf, "strings");
    return {};
}

bool JsonLog::has_key() {
    if (is_indexed_ || (is_timed_ ? time_us_.has_value() : step_.has_value())) {
        return true;
    }
    const std::string& field = is_timed_ ? *time_field_ : *step_field_;
    for (size_t point = 0; point < points_.size(); ++point) {
        counts_.skip(is_timed_ ? "without a time" : "without a step", [&] {
            return fmt::format("{}: there is no {} in '{}'", place(), is_timed_ ? "time" : "step",
                               printable(field, 80));
        });
    }
    return false;
}

void JsonLog::keep_timed_values() {
    if (!is_timed_line()) {
        points_.clear();
        return;
    }
    counts_.read += points_.size();
    const auto is_stepped = [&](const std::pair<uint32_t, double>& point) {
        const std::string& name = names_.all()[point.first];
        if (!options_.beside->stepped.contains(name)) {
            return false;
        }
        counts_.skip("without a step", [&] {
            return fmt::format("{}: {} is logged by step elsewhere, and there is no {} here",
                               place(), printable(name, 80), printable(*step_field_, 80));
        });
        return true;
    };
    std::erase_if(points_, is_stepped);
}

void JsonLog::remember_stepped() {
    is_stepped_.resize(names_.all().size());
    for (const auto& [metric, value] : points_) {
        if (!is_stepped_[metric]) {
            is_stepped_[metric] = true;
            options_.beside->stepped.insert(names_.all()[metric]);
        }
    }
}

Result<bool> JsonLog::next(LogRow& row) {
    const JsonSink sink = [this](const JsonLeaf& leaf) { return take_leaf(leaf); };
    for (;;) {
        ++objects_read_;
        points_.clear();
        step_.reset();
        has_step_field_ = false;
        time_us_.reset();
        Result<bool> more = next_object(sink);
        if (!more && !is_second_) {
            counts_.read -= points_.size();  // of such a line nothing is taken
        }
        if (!more || !*more) {
            return more;
        }
        if (is_second_) {
            keep_timed_values();
        } else if (is_timed_line()) {
            counts_.read -= points_.size();
            options_.beside->has_timed = true;
            continue;
        }
        if (points_.empty() || (!is_second_ && !has_key())) {
            continue;
        }
        if (options_.beside && !is_second_) {
            remember_stepped();
        }
        if (is_indexed_) {
            step_ = static_cast<double>(objects_read_ - 1);
        }
        row_.begin(step_, time_us_.value_or(options_.file_time_us), objects_->number());
        for (const auto& [metric, value] : points_) {
            row_.add(metric, value);
        }
        row_.take(row);
        return true;
    }
}

}  // namespace stepdb
