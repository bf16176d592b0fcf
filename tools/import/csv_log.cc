#include "tools/import/csv_log.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "engine/base/float_bits.h"
#include "engine/base/text.h"
#include "engine/model/schema.h"
#include "tools/import/time_text.h"

namespace stepdb {

namespace {

constexpr size_t kColumnsShown = 12;  // of a header in a message

std::string_view trim(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::string lower(std::string_view text) {
    std::string lowered(text);
    for (char& c : lowered) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return lowered;
}

std::optional<size_t> find_any(const std::vector<std::string>& header,
                               const std::vector<std::string_view>& names) {
    for (const std::string_view name : names) {
        for (size_t column = 0; column < header.size(); ++column) {
            if (lower(header[column]) == name) {
                return column;
            }
        }
    }
    return std::nullopt;
}

std::string shown_columns(const std::vector<std::string>& header) {
    std::string text;
    for (size_t column = 0; column < std::min(header.size(), kColumnsShown); ++column) {
        text += (column == 0 ? "" : ", ") + printable(header[column], 60);
    }
    if (header.size() > kColumnsShown) {
        text += fmt::format(" and {} more", header.size() - kColumnsShown);
    }
    return text;
}

// A finite step; -0 becomes +0.
std::optional<double> parse_step(std::string_view text) {
    const std::optional<double> step = parse_value(text);
    if (!step || !std::isfinite(*step)) {
        return std::nullopt;
    }
    return *step == 0 ? 0.0 : *step;
}

}  // namespace

const std::vector<std::string_view>& step_column_names() {
    static const std::vector<std::string_view> names = {"step", "_step", "global_step",
                                                        "trainer/global_step", "iteration"};
    return names;
}

const std::vector<std::string_view>& time_column_names() {
    static const std::vector<std::string_view> names = {"wall_time", "wall time", "_timestamp",
                                                        "timestamp"};
    return names;
}

CsvLog::CsvLog(std::string path, CsvLogOptions options)
    : path_(std::move(path)), options_(std::move(options)) {}

Result<std::unique_ptr<CsvLog>> CsvLog::open(std::string path, CsvLogOptions options) {
    std::unique_ptr<CsvLog> log(new CsvLog(std::move(path), std::move(options)));
    TRY(log->open_file());
    TRY(log->read_header());
    TRY(log->check_header());
    TRY(log->find_roles());
    TRY(log->choose_axis());
    TRY(log->name_metrics());
    return log;
}

std::string CsvLog::place() const {
    return fmt::format("{}: line {}", path_, reader_->line());
}

Error CsvLog::error_here(std::string_view what) const {
    return make_error(ErrorCode::kInvalidArgument, "{}: {}", place(), what);
}

Status CsvLog::open_file() {
    file_.open(path_, std::ios::binary);
    if (!file_) {
        const int number = errno;
        return make_error(number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIoError,
                          "cannot open {}: {}", path_, std::generic_category().message(number));
    }
    CsvOptions csv;
    csv.name = path_;
    const auto read = [this](MutableBytes into) -> Result<size_t> {
        file_.read(reinterpret_cast<char*>(into.data()), static_cast<std::streamsize>(into.size()));
        if (file_.bad()) {
            return make_error(ErrorCode::kIoError, "cannot read {}", path_);
        }
        return static_cast<size_t>(file_.gcount());
    };
    reader_ = std::make_unique<CsvReader>(read, std::move(csv));
    return {};
}

// --- The header ---

Status CsvLog::read_header() {
    TRY_ASSIGN(const bool more, reader_->next(cells_));
    if (!more) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{} is empty; its first line must name the columns", path_);
    }
    for (const std::string_view cell : cells_) {
        header_.emplace_back(trim(cell));
    }
    return {};
}

Status CsvLog::check_header() {
    if (std::all_of(header_.begin(), header_.end(),
                    [](const std::string& name) { return parse_value(name).has_value(); })) {
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

Result<std::optional<size_t>> CsvLog::find_named(const std::string& wanted, std::string_view what,
                                                 const std::vector<std::string_view>& usual) const {
    if (wanted.empty()) {
        return find_any(header_, usual);
    }
    const auto at = std::find(header_.begin(), header_.end(), wanted);
    if (at == header_.end()) {
        return error_here(fmt::format("no column is named '{}', as --{}-column says; there are {}",
                                      printable(wanted), what, shown_columns(header_)));
    }
    return std::optional<size_t>(static_cast<size_t>(at - header_.begin()));
}

Status CsvLog::find_roles() {
    TRY_ASSIGN(roles_.step, find_named(options_.step_column, "step", step_column_names()));
    TRY_ASSIGN(roles_.time, find_named(options_.time_column, "time", time_column_names()));
    if (roles_.step && roles_.step == roles_.time) {
        return error_here(fmt::format("column '{}' cannot be both step and time",
                                      printable(header_[*roles_.step])));
    }
    find_long_form();
    return {};
}

void CsvLog::find_long_form() {
    const std::optional<size_t> series = find_any(header_, {"series", "metric"});
    const std::optional<size_t> value = find_any(header_, {"value"});
    const size_t keys = (roles_.step ? 1U : 0U) + (roles_.time ? 1U : 0U);
    if (series && value && keys > 0 && header_.size() == 2 + keys) {
        roles_.series = series;
        roles_.value = *value;
    }
}

Status CsvLog::choose_axis() {
    const std::string steps = fmt::format("{}", fmt::join(step_column_names(), ", "));
    const std::string times = fmt::format("{}", fmt::join(time_column_names(), ", "));
    const std::string there = shown_columns(header_);
    ImportAxis axis = options_.axis;
    if (axis == ImportAxis::kAuto) {
        axis = roles_.step ? ImportAxis::kStep : ImportAxis::kTime;
        if (!roles_.step && !roles_.time) {
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
    if (axis == ImportAxis::kTime && !roles_.time) {
        return error_here(
            fmt::format("no column is known to hold the time ({}); name it by "
                        "--time-column; there are {}",
                        times, there));
    }
    is_timed_ = axis == ImportAxis::kTime;
    is_indexed_ = axis == ImportAxis::kIndex;
    return {};
}

Status CsvLog::name_metrics() {
    if (roles_.series) {
        return {};
    }
    const bool uses_step = !is_timed_ && !is_indexed_;
    for (size_t column = 0; column < header_.size(); ++column) {
        if ((uses_step && roles_.step == column) || roles_.time == column) {
            continue;
        }
        const Status valid = check_metric(header_[column]);
        if (!valid) {
            return valid.error().within(fmt::format("{}, column {}", place(), column + 1));
        }
        metrics_.push_back(header_[column]);
        metric_columns_.push_back(column);
    }
    if (metrics_.empty()) {
        return error_here("no column is left to be a metric");
    }
    return {};
}

// --- Records ---

Result<bool> CsvLog::next(LogRow& row) {
    return roles_.series ? next_long(row) : next_wide(row);
}

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

std::optional<CsvLog::RecordKey> CsvLog::record_key() {
    RecordKey key;
    key.time_us = options_.file_time_us;
    if (roles_.time) {
        const std::optional<int64_t> time = parse_time(cells_[*roles_.time]);
        if (is_timed_ && !time) {
            skip_record(*roles_.time, "is no time");
            return std::nullopt;
        }
        key.time_us = time.value_or(options_.file_time_us);
    }
    if (is_indexed_) {
        key.step = static_cast<double>(records_ - 1);
    } else if (!is_timed_) {
        key.step = parse_step(cells_[*roles_.step]);
        if (!key.step) {
            skip_record(*roles_.step, "is no step");
            return std::nullopt;
        }
    }
    return key;
}

void CsvLog::note_skipped(size_t column, std::string_view why) {
    ++counts_.skipped;
    if (counts_.first_skipped.empty()) {
        counts_.first_skipped =
            fmt::format("{}, column {}: '{}' {}", place(), printable(header_[column], 80),
                        printable(cells_[column], 80), why);
    }
}

void CsvLog::skip_record(size_t column, std::string_view why) {
    const auto skip_cell = [&](size_t at) {
        if (!cells_[at].empty()) {
            ++counts_.read;
            note_skipped(column, why);
        }
    };
    if (roles_.series) {
        skip_cell(roles_.value);
    }
    for (const size_t at : metric_columns_) {
        skip_cell(at);
    }
}

std::optional<double> CsvLog::take_value(size_t column) {
    if (cells_[column].empty()) {
        return std::nullopt;
    }
    ++counts_.read;
    const std::optional<double> value = parse_value(cells_[column]);
    if (!value) {
        note_skipped(column, "is no number");
    }
    return value;
}

Result<bool> CsvLog::next_wide(LogRow& row) {
    for (;;) {
        TRY_ASSIGN(const bool more, next_record());
        if (!more) {
            return false;
        }
        const std::optional<RecordKey> key = record_key();
        if (!key) {
            continue;
        }
        row.values.clear();
        for (uint32_t metric = 0; metric < metric_columns_.size(); ++metric) {
            if (const auto value = take_value(metric_columns_[metric])) {
                row.values.emplace_back(metric, *value);
            }
        }
        if (!row.values.empty()) {
            row.step = key->step;
            row.time_us = key->time_us;
            row.line = reader_->line();
            return true;
        }
    }
}

Result<uint32_t> CsvLog::intern(std::string_view metric) {
    const auto [at, is_new] =
        metric_ids_.emplace(std::string(metric), static_cast<uint32_t>(metrics_.size()));
    if (is_new) {
        const Status valid = check_metric(metric);
        if (!valid) {
            return valid.error().within(fmt::format("{}, column {}", place(), *roles_.series + 1));
        }
        metrics_.emplace_back(metric);
        points_of_metric_.push_back(0);
    }
    return at->second;
}

Result<bool> CsvLog::next_long(LogRow& row) {
    bool has_row = pending_.has_value();
    if (has_row) {
        row = *std::exchange(pending_, std::nullopt);
    }
    for (;;) {
        TRY_ASSIGN(const bool more, next_record());
        if (!more) {
            return has_row;
        }
        std::optional<RecordKey> key = record_key();
        if (!key) {
            continue;
        }
        const std::optional<double> value = take_value(roles_.value);
        if (!value) {
            continue;
        }
        TRY_ASSIGN(const uint32_t metric, intern(cells_[*roles_.series]));
        if (is_indexed_) {
            key->step = static_cast<double>(points_of_metric_[metric]++);
        }
        auto at = row.values.end();
        if (has_row && row.step == key->step && row.time_us == key->time_us) {
            at = std::lower_bound(
                row.values.begin(), row.values.end(), metric,
                [](const auto& entry, uint32_t wanted) { return entry.first < wanted; });
            if (at == row.values.end() || at->first != metric) {
                row.values.insert(at, {metric, *value});
                continue;
            }
        }
        LogRow begun;
        begun.step = key->step;
        begun.time_us = key->time_us;
        begun.values.emplace_back(metric, *value);
        begun.line = reader_->line();
        if (has_row) {
            pending_ = std::move(begun);
            return true;
        }
        row = std::move(begun);
        has_row = true;
    }
}

}  // namespace stepdb
