#include "tools/import/mlflow_database.h"

#include <sqlite3.h>

#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>

#include "engine/base/text.h"
#include "tools/import/mlflow_run.h"

namespace stepdb {

namespace {

constexpr int kBusyMs = 10'000;  // MLflow writes for moments
constexpr int64_t kDatabaseTimeMsMax = std::numeric_limits<int64_t>::max() / 1000;
constexpr std::string_view kRowLimit = "metrics";  // in LogOptions::files

Error sqlite_error(const std::string& path, sqlite3* database) {
    const int code = database == nullptr ? SQLITE_NOMEM : sqlite3_errcode(database);
    const ErrorCode kind = code == SQLITE_CORRUPT ? ErrorCode::kCorruption
                           : code == SQLITE_ERROR || code == SQLITE_NOTADB
                               ? ErrorCode::kInvalidArgument
                               : ErrorCode::kIoError;
    return make_error(kind, "{}: SQLite: {}", path,
                      database == nullptr ? "no memory" : sqlite3_errmsg(database));
}

Result<SqliteDatabase> open_database(const std::string& path) {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READONLY, nullptr);
    SqliteDatabase database(opened);
    if (code != SQLITE_OK) {
        return sqlite_error(path, database.get());
    }
    sqlite3_busy_timeout(database.get(), kBusyMs);
    return database;
}

Result<SqliteStatement> prepare(const std::string& path, const SqliteDatabase& database,
                                std::string_view text, const std::string& run = "") {
    sqlite3_stmt* prepared = nullptr;
    const int code = sqlite3_prepare_v2(database.get(), text.data(), static_cast<int>(text.size()),
                                        &prepared, nullptr);
    SqliteStatement statement(prepared);
    if (code != SQLITE_OK) {
        return sqlite_error(path, database.get()).within("this is no database of MLflow");
    }
    if (!run.empty()) {
        // A copy of the text, which need not last.
        sqlite3_bind_text(prepared, 1, run.c_str(), -1,
                          reinterpret_cast<sqlite3_destructor_type>(-1));  // NOLINT
    }
    return statement;
}

std::string_view cell_text_of(const SqliteStatement& row, int column) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row.get(), column));
    const int bytes = sqlite3_column_bytes(row.get(), column);
    return text == nullptr ? std::string_view()
                           : std::string_view(text, static_cast<size_t>(bytes));
}

// Calls `take` for each row.
template <typename Take>
Status for_each_row(const std::string& path, const SqliteDatabase& database,
                    const SqliteStatement& statement, const Take& take) {
    for (;;) {
        const int code = sqlite3_step(statement.get());
        if (code == SQLITE_DONE) {
            return {};
        }
        if (code != SQLITE_ROW) {
            return sqlite_error(path, database.get());
        }
        take();
    }
}

}  // namespace

void SqliteClose::operator()(sqlite3* database) const {
    sqlite3_close_v2(database);
}

void SqliteClose::operator()(sqlite3_stmt* statement) const {
    sqlite3_finalize(statement);
}

bool is_sqlite_file(const std::string& path) {
    constexpr std::string_view kMagic("SQLite format 3\0", 16);
    std::array<char, kMagic.size()> head = {};
    std::ifstream file(path, std::ios::binary);
    file.read(head.data(), head.size());
    return std::string_view(head.data(), static_cast<size_t>(file.gcount())) == kMagic;
}

Result<std::vector<LogPart>> list_mlflow_runs(const std::string& path) {
    std::vector<LogPart> parts;
    if (!is_sqlite_file(path)) {
        return parts;
    }
    TRY_ASSIGN(const SqliteDatabase database, open_database(path));
    TRY_ASSIGN(
        const SqliteStatement runs,
        prepare(path, database,
                "SELECT experiment_id, run_uuid FROM runs WHERE lifecycle_stage IS NULL OR "
                "lifecycle_stage <> 'deleted' ORDER BY experiment_id, start_time, run_uuid"));
    TRY(for_each_row(path, database, runs, [&] {
        LogPart& part = parts.emplace_back();
        part.run = fmt::format("{}.{}", cell_text_of(runs, 0), cell_text_of(runs, 1));
    }));
    return parts;
}

Result<std::unique_ptr<LogSource>> MlflowDatabaseLog::open(const std::string& path,
                                                           const LogOptions& options,
                                                           uint64_t /*bytes_max*/) {
    if (!options.part) {
        return make_error(ErrorCode::kInvalidArgument, "{}: there is no run in this database",
                          path);
    }
    std::unique_ptr<MlflowDatabaseLog> log(new MlflowDatabaseLog(path, options));
    TRY_ASSIGN(log->database_, open_database(path));
    const std::string& name = options.part->run;
    TRY(log->begin(name.substr(name.find('.') + 1)));
    return std::unique_ptr<LogSource>(std::move(log));
}

Status MlflowDatabaseLog::begin(const std::string& run) {
    TRY(read_facts(run));
    std::map<std::string, uint64_t> own;
    std::map<std::string, uint64_t>& limits = options_.files ? *options_.files : own;
    const std::string name(kRowLimit);
    if (!limits.contains(name)) {
        TRY_ASSIGN(const SqliteStatement last,
                   prepare(path_, database_, "SELECT max(rowid) FROM metrics"));
        TRY(for_each_row(path_, database_, last, [&] {
            limits[name] = static_cast<uint64_t>(sqlite3_column_int64(last.get(), 0));
        }));
    }
    TRY_ASSIGN(points_, prepare(path_, database_,
                                "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE "
                                "run_uuid = ?1 AND rowid <= ?2 ORDER BY timestamp, step, rowid",
                                run));
    sqlite3_bind_int64(points_.get(), 2, static_cast<sqlite3_int64>(limits[name]));
    return {};
}

// A column of the run is what meta.yaml calls the same.
Status MlflowDatabaseLog::read_facts(const std::string& run) {
    std::map<std::string, std::string, std::less<>> meta;
    TRY_ASSIGN(const SqliteStatement runs,
               prepare(path_, database_,
                       "SELECT run_uuid, runs.name AS run_name, user_id, status, start_time, "
                       "end_time, runs.lifecycle_stage, runs.experiment_id, experiments.name FROM "
                       "runs LEFT JOIN experiments ON experiments.experiment_id = "
                       "runs.experiment_id WHERE run_uuid = ?1",
                       run));
    constexpr std::array<std::string_view, 8> kMembers = {
        "run_uuid",   "run_name", "user_id",         "status",
        "start_time", "end_time", "lifecycle_stage", "experiment_id"};
    TRY(for_each_row(path_, database_, runs, [&] {
        for (size_t member = 0; member < kMembers.size(); ++member) {
            const std::string_view text = cell_text_of(runs, static_cast<int>(member));
            if (!text.empty()) {
                meta.emplace(kMembers[member], text);
            }
        }
        facts_.set_text("mlflow/experiment", cell_text_of(runs, static_cast<int>(kMembers.size())));
    }));
    take_mlflow_meta(meta, facts_);
    TRY_ASSIGN(const SqliteStatement params,
               prepare(path_, database_,
                       "SELECT key, value FROM params WHERE run_uuid = ?1 ORDER BY key", run));
    TRY(for_each_row(path_, database_, params, [&] {
        facts_.set_typed("config/" + std::string(cell_text_of(params, 0)), cell_text_of(params, 1));
    }));
    TRY_ASSIGN(const SqliteStatement tags,
               prepare(path_, database_,
                       "SELECT key, value FROM tags WHERE run_uuid = ?1 ORDER BY key", run));
    return for_each_row(path_, database_, tags, [&] {
        take_mlflow_tag(std::string(cell_text_of(tags, 0)), std::string(cell_text_of(tags, 1)),
                        facts_);
    });
}

// --- Points ---

// Of the row that the statement stands at; false if it is none.
bool MlflowDatabaseLog::take_point() {
    sqlite3_stmt* const row = points_.get();
    ++counts_.read;
    const std::string_view name = cell_text_of(points_, 0);
    const auto is_number = [&](int column) {
        const int type = sqlite3_column_type(row, column);
        return type == SQLITE_INTEGER || type == SQLITE_FLOAT;
    };
    const int64_t time_ms = sqlite3_column_int64(row, 2);
    const bool is_nan = sqlite3_column_int(row, 4) != 0;
    const Result<uint32_t> metric = names_.intern(name);
    if (!metric || !is_number(2) || time_ms > kDatabaseTimeMsMax || time_ms < -kDatabaseTimeMsMax ||
        (!is_nan && !is_number(1))) {
        counts_.skip(metric ? "malformed rows" : "without a proper name", [&] {
            return fmt::format("{}: run {}, metric '{}', value '{}', timestamp '{}'", path_,
                               options_.part->run, printable(name, 80),
                               printable(cell_text_of(points_, 1), 40),
                               printable(cell_text_of(points_, 2), 40));
        });
        return false;
    }
    point_.metric = *metric;
    point_.value =
        is_nan ? std::numeric_limits<double>::quiet_NaN() : sqlite3_column_double(row, 1);
    if (std::fabs(point_.value) == std::numeric_limits<double>::max()) {
        point_.value = std::copysign(std::numeric_limits<double>::infinity(), point_.value);
    }
    point_.time_us = time_ms * 1000;
    points_of_metric_.resize(names_.all().size());
    const uint64_t index = points_of_metric_[*metric]++;
    if (options_.axis == ImportAxis::kTime) {
        point_.key.reset();
    } else if (options_.axis == ImportAxis::kIndex) {
        point_.key = static_cast<double>(index);
    } else {
        point_.key = static_cast<double>(sqlite3_column_int64(row, 3));
    }
    return true;
}

Result<bool> MlflowDatabaseLog::next_point() {
    while (points_ != nullptr) {
        const int code = sqlite3_step(points_.get());
        if (code == SQLITE_DONE) {
            points_.reset();  // another step would begin anew
            break;
        }
        if (code != SQLITE_ROW) {
            return sqlite_error(path_, database_.get());
        }
        if (take_point()) {
            return true;
        }
    }
    return false;
}

bool MlflowDatabaseLog::joins() const {
    const LogRow& row = rows_.row();
    const int64_t window_us = point_.key ? options_.row_window_us : 0;
    // In the order of time, so it is not before the row's.
    return row.step == point_.key && !rows_.has(point_.metric) &&
           point_.time_us - row.time_us <= window_us;
}

Result<bool> MlflowDatabaseLog::next(LogRow& row) {
    for (;;) {
        if (has_point_ && (rows_.empty() || joins())) {
            if (rows_.empty()) {
                rows_.begin(point_.key, point_.time_us, counts_.read);
            }
            rows_.add(point_.metric, point_.value);
            has_point_ = false;
            continue;
        }
        if (has_point_) {
            rows_.take(row);
            return true;
        }
        Result<bool> more = broken_ ? Result<bool>(*broken_) : next_point();
        if (!more) {
            broken_ = more.error();
        }
        has_point_ = more && *more;
        if (has_point_) {
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
