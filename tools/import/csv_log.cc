#include "tools/import/csv_log.h"

#include <algorithm>
#include <cmath>

#include "engine/base/json_scanner.h"
#include "engine/base/number_text.h"
#include "engine/base/text.h"
#include "engine/model/schema.h"
#include "tools/import/comment_line.h"
#include "tools/import/points_log.h"
#include "tools/import/time_text.h"

namespace stepdb {

namespace {

// Lists of name_from cells times measures: four times what one log's metrics may be.
constexpr size_t kNamedCellsMax = 1U << 22U;
constexpr size_t kUnitBytesMax = 16;

constexpr std::string_view kElapsedColumn = "t";
constexpr double kElapsedSecondsMax = 1e11;

struct NameAndUnit {
    std::string_view name;
    std::string_view unit;
};

// `power.draw [W]`. What is in the brackets is a unit if it does not begin with a digit, as an
// index does.
std::optional<NameAndUnit> split_unit(std::string_view header) {
    const size_t open = header.rfind('[');
    if (!header.ends_with(']') || open == std::string_view::npos || open == 0) {
        return std::nullopt;
    }
    const std::string_view name = trim(header.substr(0, open));
    const std::string_view unit = trim(header.substr(open + 1, header.size() - open - 2));
    const bool is_unit = !unit.empty() && unit.size() <= kUnitBytesMax &&
                         (unit.front() < '0' || unit.front() > '9') &&
                         unit.find_first_of("[]") == std::string_view::npos;
    if (!is_unit || name.empty() || name.size() == open) {
        return std::nullopt;
    }
    return NameAndUnit{name, unit};
}

// Kinds of what is skipped.
constexpr std::string_view kText = "text";
constexpr std::string_view kNoStep = "without a step";
constexpr std::string_view kNoTime = "without a time";
constexpr std::string_view kNoName = "without a proper name";

}  // namespace

Result<std::unique_ptr<LogSource>> CsvLog::open(const std::string& path, const LogOptions& options,
                                                uint64_t bytes_max) {
    if (options.part) {
        return PointsLog::open(path, options, bytes_max, open_csv_points, false);
    }
    std::unique_ptr<CsvLog> log(new CsvLog(path, options));
    TRY(log->open_source(bytes_max));
    TRY_ASSIGN(const bool has_header, log->read_header());
    if (!has_header) {
        return make_empty_log();
    }
    TRY(log->check_header());
    log->find_units();
    TRY(log->find_roles());
    TRY(log->choose_axis());
    TRY(log->find_measures());
    TRY(log->name_metrics());
    return std::unique_ptr<LogSource>(std::move(log));
}

Result<std::unique_ptr<LogSource>> CsvLog::open_timed(const std::string& path,
                                                      const LogOptions& options,
                                                      uint64_t bytes_max) {
    return options.part && options.beside && options.beside->has_timed
               ? PointsLog::open(path, options, bytes_max, open_csv_points, true)
               : make_empty_log();
}

std::string CsvLog::place() const {
    return fmt::format("{}: line {}", path_, reader_->line());
}

Error CsvLog::error_here(std::string_view what) const {
    return make_error(ErrorCode::kInvalidArgument, "{}: {}", place(), what);
}

Status CsvLog::open_source(uint64_t bytes_max) {
    CsvOptions csv;
    csv.name = path_;
    TRY_ASSIGN(ByteSource source, open_file(path_, bytes_max));
    TRY_ASSIGN(CommentedSource commented, take_comment(std::move(source)));
    if (commented.comment) {
        TRY(take_comment_object(*commented.comment));
        comment_bytes_ = commented.bytes;
        csv.first_line = 2;
    }
    reader_ = std::make_unique<CsvReader>(std::move(commented.rest), std::move(csv));
    return {};
}

Status CsvLog::take_comment_object(std::string_view object) {
    const JsonSink take = [this](const JsonLeaf& leaf) -> Status {
        if (leaf.path == "t_start" && leaf.kind == JsonKind::kNumber) {
            start_us_ = parse_time(leaf.text);
        } else {
            facts_.set_leaf("config/" + std::string(leaf.path), leaf);
        }
        return {};
    };
    const Status scanned = scan_json_object(object, take);
    return scanned ? scanned
                   : Status(scanned.error().within(
                         fmt::format("{}: line 1, the object behind `#`", path_)));
}

// --- The header ---

Result<bool> CsvLog::read_header() {
    TRY_ASSIGN(const bool more, reader_->next(cells_));
    if (more) {
        for (const std::string_view cell : cells_) {
            header_.emplace_back(trim(cell));
        }
    }
    return more;
}

Status CsvLog::check_header() {
    if (std::all_of(header_.begin(), header_.end(), [](const std::string& name) {
            return parse_logged_number(name).has_value();
        })) {
        return error_here("the first line must name the columns, but has only numbers");
    }
    std::unordered_map<std::string, size_t> columns;
    for (size_t column = 0; column < header_.size(); ++column) {
        // Data frames are saved like this: the number of the row, under no name.
        if (header_[column].empty()) {
            header_[column] = fmt::format("column_{}", column + 1);
        }
        const auto [at, is_new] = columns.emplace(header_[column], column);
        if (!is_new) {
            return error_here(fmt::format("columns {} and {} are both named '{}'", at->second + 1,
                                          column + 1, printable(header_[column])));
        }
    }
    return {};
}

void CsvLog::find_units() {
    std::unordered_map<std::string_view, size_t> names;
    std::vector<NameAndUnit> split(header_.size());
    for (size_t column = 0; column < header_.size(); ++column) {
        split[column] = split_unit(header_[column]).value_or(NameAndUnit{header_[column], {}});
        ++names[split[column].name];
    }
    for (size_t column = 0; column < header_.size(); ++column) {
        const auto& [name, unit] = split[column];
        units_.emplace_back(unit);
        measure_names_.push_back(names[name] == 1 ? std::string(name) : header_[column]);
    }
}

Result<std::optional<size_t>> CsvLog::find_named(const std::string& wanted, std::string_view option,
                                                 const std::vector<std::string_view>& usual) const {
    if (wanted.empty()) {
        return find_usual(header_, usual);
    }
    const auto at = std::find(header_.begin(), header_.end(), wanted);
    if (at == header_.end()) {
        return error_here(fmt::format("no column is named '{}', as {} says; there are {}",
                                      printable(wanted), option, shown_names(header_)));
    }
    return std::optional<size_t>(static_cast<size_t>(at - header_.begin()));
}

Status CsvLog::find_roles() {
    TRY_ASSIGN(roles_.step, find_named(options_.step_column, "--step-column", step_column_names()));
    TRY_ASSIGN(roles_.time, find_named(options_.time_column, "--time-column", time_column_names()));
    if (roles_.step && roles_.step == roles_.time) {
        return error_here(fmt::format("column '{}' cannot be both step and time",
                                      printable(header_[*roles_.step])));
    }
    const std::optional<size_t> elapsed = find_usual(header_, {kElapsedColumn});
    if (!roles_.time && start_us_ && elapsed != roles_.step) {
        roles_.elapsed = elapsed;
    }
    TRY(find_name_columns());
    find_series_column();
    return {};
}

Status CsvLog::find_name_columns() {
    for (const std::string& name : options_.name_from) {
        TRY_ASSIGN(const std::optional<size_t> column, find_named(name, "--name-from", {}));
        if (!column || column == roles_.step || column == roles_.time) {
            return error_here(fmt::format("--name-from '{}': this column is the step or the time",
                                          printable(name)));
        }
        roles_.name_from.push_back(*column);
    }
    const std::optional<size_t> usual = find_usual(header_, options_.name_from_usual);
    if (roles_.name_from.empty() && usual && usual != roles_.step && usual != roles_.time) {
        roles_.name_from.push_back(*usual);
    }
    return {};
}

void CsvLog::find_series_column() {
    const std::optional<size_t> series = find_usual(header_, {"series", "metric"});
    const std::optional<size_t> value = find_usual(header_, {"value"});
    const size_t keys = (roles_.step ? 1U : 0U) + (roles_.time ? 1U : 0U);
    if (roles_.name_from.empty() && series && value && keys > 0 && header_.size() == 2 + keys) {
        roles_.series = series;
        roles_.value = *value;
    }
}

Status CsvLog::choose_axis() {
    const std::string steps = fmt::format("{}", fmt::join(step_column_names(), ", "));
    const std::string times = fmt::format("{}", fmt::join(time_column_names(), ", "));
    const std::string there = shown_names(header_);
    ImportAxis axis = options_.axis;
    if (axis == ImportAxis::kAuto) {
        axis = roles_.step ? ImportAxis::kStep : ImportAxis::kTime;
        if (!roles_.step && !has_time()) {
            return error_here(fmt::format(
                "no column is known to hold the step ({}) or the time ({}); name it by "
                "--step-column or --time-column, or number the rows by --axis index; there are {}",
                steps, times, there));
        }
    }
    if (axis == ImportAxis::kStep && !roles_.step) {
        return error_here(
            fmt::format("no column is known to hold the step ({}); name it by "
                        "--step-column; there are {}",
                        steps, there));
    }
    if (axis == ImportAxis::kTime && !has_time()) {
        return error_here(
            fmt::format("no column is known to hold the time ({}); name it by "
                        "--time-column; there are {}",
                        times, there));
    }
    is_timed_ = axis == ImportAxis::kTime;
    is_indexed_ = axis == ImportAxis::kIndex;
    return {};
}

Status CsvLog::find_measures() {
    if (roles_.series) {
        measure_columns_ = {roles_.value};
        return {};
    }
    const bool uses_step = !is_timed_ && !is_indexed_;
    const std::vector<size_t>& names = roles_.name_from;
    for (size_t column = 0; column < header_.size(); ++column) {
        if ((uses_step && roles_.step == column) || roles_.time == column ||
            std::find(names.begin(), names.end(), column) != names.end()) {
            continue;
        }
        measure_columns_.push_back(column);
    }
    return measure_columns_.empty() ? Status(error_here("no column is left to be a metric"))
                                    : Status();
}

Status CsvLog::name_metrics() {
    if (is_long()) {
        return {};
    }
    for (const size_t column : measure_columns_) {
        const Result<uint32_t> metric = names_.intern(measure_names_[column]);
        if (!metric) {
            return metric.error().within(fmt::format("{}, column {}", place(), column + 1));
        }
    }
    return {};
}

// --- Records ---

Result<bool> CsvLog::next_record() {
    TRY_ASSIGN(const bool more, reader_->next(cells_));
    if (!more) {
        return false;
    }
    if (cells_.size() != header_.size()) {
        const bool is_cut = cells_.size() < header_.size() && reader_->unterminated();
        return error_here(fmt::format("the record has {} cells, the header {}{}", cells_.size(),
                                      header_.size(),
                                      is_cut ? "; the file seems to be cut off here" : ""));
    }
    for (std::string_view& cell : cells_) {
        cell = trim(cell);
    }
    ++records_;
    return true;
}

std::optional<int64_t> CsvLog::record_time() const {
    if (roles_.time) {
        return parse_time(cells_[*roles_.time]);
    }
    const std::optional<double> seconds = parse_logged_number(cells_[*roles_.elapsed]);
    if (!seconds || !(std::fabs(*seconds) < kElapsedSecondsMax)) {
        return std::nullopt;
    }
    return *start_us_ + std::llround(*seconds * 1e6);
}

std::optional<CsvLog::RecordKey> CsvLog::record_key() {
    RecordKey key;
    key.time_us = options_.file_time_us;
    if (has_time()) {
        const std::optional<int64_t> time = record_time();
        if (is_timed_ && !time) {
            skip_record(roles_.time ? *roles_.time : *roles_.elapsed, kNoTime, "is no time");
            return std::nullopt;
        }
        key.time_us = time.value_or(options_.file_time_us);
    }
    if (is_indexed_) {
        key.step = static_cast<double>(records_ - 1);
    } else if (!is_timed_) {
        key.step = parse_logged_step(cells_[*roles_.step]);
        if (!key.step) {
            skip_record(*roles_.step, kNoStep, "is no step");
            return std::nullopt;
        }
    }
    return key;
}

void CsvLog::note_skipped(size_t column, std::string_view kind, std::string_view why) {
    counts_.skip(kind, [&] {
        return fmt::format("{}, column {}: '{}' {}", place(), printable(header_[column], 80),
                           printable(cells_[column], 80), why);
    });
}

void CsvLog::skip_record(size_t column, std::string_view kind, std::string_view why) {
    for (const size_t at : measure_columns_) {
        if (!cells_[at].empty()) {
            ++counts_.read;
            note_skipped(column, kind, why);
        }
    }
}

std::optional<double> CsvLog::take_value(size_t column) {
    if (cells_[column].empty()) {
        return std::nullopt;
    }
    ++counts_.read;
    const std::optional<double> value = number_in(column);
    if (!value) {
        note_skipped(column, kText, "is no number");
    }
    return value;
}

std::optional<double> CsvLog::number_in(size_t column) const {
    std::string_view cell = cells_[column];
    const std::optional<double> number = parse_logged_number(cell);
    const std::string& unit = units_[column];
    if (number || unit.empty() || !cell.ends_with(unit)) {
        return number;
    }
    cell.remove_suffix(unit.size());
    return parse_logged_number(trim(cell));
}

// Of the wide form.
void CsvLog::take_cells() {
    for (uint32_t metric = 0; metric < measure_columns_.size(); ++metric) {
        if (const auto value = take_value(measure_columns_[metric])) {
            points_.emplace_back(metric, *value);
        }
    }
}

Result<std::optional<uint32_t>> CsvLog::take_metric(std::string_view name, size_t column) {
    const Result<uint32_t> metric = names_.intern(name);
    if (metric) {
        return std::optional<uint32_t>(*metric);
    }
    if (metric.error().code() != ErrorCode::kInvalidArgument) {
        return metric.error().within(place());
    }
    note_skipped(column, kNoName, "makes no metric: " + metric.error().message());
    return std::optional<uint32_t>();
}

// Of a form with a series column.
Status CsvLog::take_point(RecordKey& key) {
    const std::optional<double> value = take_value(roles_.value);
    if (!value) {
        return {};
    }
    TRY_ASSIGN(const std::optional<uint32_t> metric,
               take_metric(cells_[*roles_.series], *roles_.series));
    if (!metric) {
        return {};
    }
    if (is_indexed_) {
        points_of_metric_.resize(names_.all().size());
        key.step = static_cast<double>(points_of_metric_[*metric]++);
    }
    points_.emplace_back(*metric, *value);
    return {};
}

// Of a form with name_from columns.
Status CsvLog::take_measures(RecordKey& key) {
    std::string name = options_.name_prefix;
    for (const size_t column : roles_.name_from) {
        if (cells_[column].empty()) {
            skip_record(column, kNoName, "is empty, and is to be part of the name");
            return {};
        }
        name += std::string(cells_[column]) + "/";
    }
    Prefix& prefix = prefixes_[name];
    if (prefixes_.size() * measure_columns_.size() > kNamedCellsMax) {
        return make_error(ErrorCode::kResourceExhausted,
                          "{}: more than {} different names times measures", place(),
                          kNamedCellsMax);
    }
    prefix.metrics.resize(measure_columns_.size());
    if (is_indexed_) {
        key.step = static_cast<double>(prefix.records++);
    }
    for (size_t measure = 0; measure < measure_columns_.size(); ++measure) {
        const size_t column = measure_columns_[measure];
        const std::optional<double> value = take_value(column);
        if (!value) {
            continue;
        }
        std::optional<uint32_t>& metric = prefix.metrics[measure];
        if (!metric) {
            TRY_ASSIGN(metric, take_metric(name + measure_names_[column], roles_.name_from.back()));
        }
        if (metric) {
            points_.emplace_back(*metric, *value);
        }
    }
    return {};
}

Result<std::optional<CsvLog::RecordKey>> CsvLog::next_points() {
    points_.clear();
    for (;;) {
        TRY_ASSIGN(const bool more, next_record());
        if (!more) {
            return std::optional<RecordKey>();
        }
        std::optional<RecordKey> key = record_key();
        if (!key) {
            continue;
        }
        if (!is_long()) {
            take_cells();
        } else {
            TRY(roles_.series ? take_point(*key) : take_measures(*key));
        }
        if (!points_.empty()) {
            return key;
        }
    }
}

bool CsvLog::joins(const RecordKey& key) const {
    return !rows_.empty() && rows_.row().step == key.step && rows_.row().time_us == key.time_us &&
           std::none_of(points_.begin(), points_.end(),
                        [&](const auto& point) { return rows_.has(point.first); });
}

Result<bool> CsvLog::next(LogRow& row) {
    if (broken_) {
        return *broken_;
    }
    for (;;) {
        const Result<std::optional<RecordKey>> key = next_points();
        if (!key) {
            broken_ = key.error();
        }
        if (!key || !*key) {
            if (!rows_.empty()) {
                rows_.take(row);
                return true;
            }
            return key ? Result<bool>(false) : Result<bool>(*broken_);
        }
        bool is_complete = false;
        if (!joins(**key)) {
            is_complete = !rows_.empty();
            if (is_complete) {
                rows_.take(row);
            }
            rows_.begin((*key)->step, (*key)->time_us, reader_->line());
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
