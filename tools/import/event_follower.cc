#include "tools/import/event_follower.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/base/text.h"
#include "engine/model/schema.h"
#include "tools/import/byte_source.h"
#include "tools/import/point_counter.h"

namespace stepdb {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOffsetPrefix = "import/offset/";
// Of rows, in memory: what is sent at most before outcomes are waited for and offsets are set.
constexpr size_t kCommitBytes = 8U << 20U;
// A file on a shared disk can be seen longer than it is written. What is still damaged when it is
// looked at so often is.
constexpr int kDamageLooks = 3;
constexpr size_t kToldMax = 10'000;

// A file's name as part of an attribute's: bytes that it cannot have, and %, as %XX.
std::string attribute_part(std::string_view name) {
    const bool is_text = is_valid_utf8(name);
    std::string part;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F || c == '%' || (byte >= 0x80 && !is_text)) {
            part += fmt::format("%{:02X}", byte);
        } else {
            part += c;
        }
    }
    return part;
}

bool is_for_now(ErrorCode code) {
    return code == ErrorCode::kUnavailable || code == ErrorCode::kResourceExhausted;
}

}  // namespace

EventFollower::EventFollower(client::Writer& writer, FollowTarget target,
                             FollowEnvironment environment)
    : writer_(writer),
      target_(std::move(target)),
      environment_(std::move(environment)),
      axis_(target_.log.axis == ImportAxis::kTime ? Axis::kTimed : Axis::kStepped) {}

Status EventFollower::look() {
    find_new_files();
    for (auto& [id, run] : runs_) {
        if (is_stopping()) {
            break;
        }
        TRY(read_run(run));
    }
    return commit();
}

Status EventFollower::look_last() {
    is_last_ = true;
    return look();
}

bool EventFollower::is_stopping() const {
    return !is_last_ && environment_.should_stop();
}

void EventFollower::tell_once(const std::string& what) {
    if (told_.size() < kToldMax && told_.insert(what).second) {
        environment_.tell(what);
    }
}

// --- Files ---

void EventFollower::find_new_files() {
    const FoundFiles found = find_files(target_.paths, target_.files);
    for (const FoundFile& file : found.files) {
        if (known_paths_.insert(file.path).second) {
            add_file(file);
        }
    }
    for (const Error& error : found.errors) {
        tell_once(error.message() + "; it is looked for again");
    }
}

// Within the run; what it is below the path that was named where runs are not directories.
std::string EventFollower::name_of(const FoundFile& found) const {
    const fs::path path(found.path);
    for (const std::string& root : target_.paths) {
        const fs::path relative = path.lexically_relative(root);
        if (!target_.run.empty() && !relative.empty() && relative != "." &&
            *relative.begin() != "..") {
            return relative.native();
        }
    }
    return path.filename().native();
}

void EventFollower::add_file(const FoundFile& found) {
    const std::string& id = target_.run.empty() ? found.run : target_.run;
    const Status valid = check_id("run", id);
    if (!valid) {
        problems_.push_back(
            valid.error().within(fmt::format("{}: name the run by --run", found.path)));
        environment_.tell(problems_.back().message());
        return;
    }
    if (is_compressed(found.path)) {
        environment_.tell(
            fmt::format("{} is compressed, so nothing comes to it, and it is left to "
                        "an import without --follow",
                        found.path));
        return;
    }
    FollowedRun& run = runs_.try_emplace(id, axis_).first->second;
    run.id = id;
    run.origin = run.origin.empty() ? found.origin : run.origin;
    if (target_.run.empty() && run.origin != found.origin) {
        problems_.push_back(make_error(ErrorCode::kInvalidArgument,
                                       "{} and {} would both become run {}; follow them apart, "
                                       "with --run",
                                       run.origin, found.origin, id));
        environment_.tell(problems_.back().message());
        return;
    }
    File file;
    file.path = found.path;
    file.attribute = std::string(kOffsetPrefix) + attribute_part(name_of(found));
    const auto behind = std::find_if(run.files.begin(), run.files.end(), [&](const File& other) {
        return natural_less(file.path, other.path);
    });
    run.files.insert(behind, std::move(file));
    ++files_;
}

Status EventFollower::read_run(FollowedRun& run) {
    run.is_to_repeat = false;
    for (File& file : run.files) {
        // What is read again comes before what lies behind it.
        if (run.failure || run.is_to_repeat || is_stopping()) {
            return {};
        }
        std::error_code failed;
        const uint64_t size = fs::file_size(file.path, failed);
        if (failed) {
            tell_once(fmt::format("cannot look at {}: {}", file.path, failed.message()));
            continue;
        }
        if (file.looked_size == size) {
            continue;
        }
        file.looked_size = size;
        const bool is_ready = run.run || (has_row(file) && open(run));
        if (is_ready && size < place(run, file)) {
            environment_.tell(
                fmt::format("{} was read up to byte {} and has {}: it is read again "
                            "from its beginning",
                            file.path, file.sent, size));
            file.sent = 0;
        }
        if (is_ready) {
            TRY(read_file(run, file));
        }
    }
    return {};
}

// Runs are made for files that say something.
bool EventFollower::has_row(File& file) {
    Result<std::unique_ptr<EventLog>> log = open_log(file, 0);
    if (!log) {
        return false;
    }
    LogRow row;
    const Result<bool> more = (*log)->next(row);
    note_end(file, **log, more ? std::nullopt : std::optional(more.error()));
    return more && *more;
}

Result<std::unique_ptr<EventLog>> EventFollower::open_log(File& file, uint64_t begin) {
    LogOptions options = target_.log;
    options.file_time_us = modification_time_us(file.path);
    Result<std::unique_ptr<EventLog>> log = EventLog::open_at(file.path, options, begin);
    if (!log) {
        file.looked_size.reset();
        tell_once(log.error().message() + "; it is tried again");
    }
    return log;
}

uint64_t EventFollower::place(const FollowedRun& run, File& file) {
    if (!std::exchange(file.is_placed, true)) {
        const auto known = run.offsets.find(file.attribute);
        file.stored = known == run.offsets.end() ? 0 : known->second;
        file.sent = file.stored;
    }
    return file.sent;
}

Status EventFollower::read_file(FollowedRun& run, File& file) {
    Result<std::unique_ptr<EventLog>> log = open_log(file, file.sent);
    if (!log) {
        return {};
    }
    Reading reading;
    reading.log = std::move(*log);
    LogRow row;
    std::optional<Error> broken;
    for (;;) {
        const Result<bool> more = reading.log->next(row);
        if (!more) {
            broken = more.error();
        }
        if (!more || !*more) {
            break;
        }
        if (const Status sent = send(run, reading, row); !sent) {
            fail(run, sent.error());
            return {};
        }
        if (bytes_ >= kCommitBytes) {
            file.sent = reading.log->resume_offset();
            count(run, reading);
            TRY(commit());
            if (run.failure || run.is_to_repeat || is_stopping()) {
                file.looked_size.reset();
                return {};
            }
        }
    }
    file.sent = reading.log->resume_offset();
    count(run, reading);
    note_end(file, *reading.log, broken);
    return {};
}

// What was skipped since the last time.
void EventFollower::count(FollowedRun& run, Reading& reading) {
    const LogCounts& counts = reading.log->counts();
    run.waiting.skipped += counts.skipped - std::exchange(reading.skipped, counts.skipped);
    if (run.first_skipped.empty()) {
        run.first_skipped = counts.first_skipped;
    }
}

void EventFollower::note_end(File& file, const EventLog& log, const std::optional<Error>& broken) {
    file.is_torn = broken && log.is_torn();
    if (!broken || file.is_torn) {
        file.damage.reset();
        return;
    }
    const uint64_t offset = log.resume_offset();
    file.damage_looks = file.damage && file.damage_offset == offset ? file.damage_looks + 1 : 1;
    file.damage = broken;
    file.damage_offset = offset;
    if (file.damage_looks < kDamageLooks) {
        file.looked_size.reset();
    } else {
        tell_once(broken->message() + "; nothing behind it is read, until the file changes");
    }
}

// --- Runs ---

void EventFollower::fail(FollowedRun& run, const Error& error) {
    run.failure = error.within(fmt::format("{}/{} is followed no more", target_.project, run.id));
    run.waiting = Counts();
    if (!environment_.should_stop()) {
        environment_.tell(run.failure->message());
    }
}

bool EventFollower::open(FollowedRun& run) {
    Result<client::Run> opened = writer_.open_run(target_.project, run.id);
    if (!opened) {
        fail(run, opened.error());
        return false;
    }
    run.run = std::move(*opened);
    run.logs.clear();
    const Status known = run.run->created() ? Status() : read_offsets(run);
    if (known) {
        return true;
    }
    run.run.reset();
    if (known.error().code() != ErrorCode::kUnavailable) {
        fail(run, known.error());
        return false;
    }
    tell_once(known.error().message() + "; it is tried again");
    run.is_to_repeat = true;
    for (File& file : run.files) {
        file.looked_size.reset();
    }
    return false;
}

// Behind the opening, so that nobody else can change them any more.
Status EventFollower::read_offsets(FollowedRun& run) {
    TRY_ASSIGN(const auto client, environment_.connect());
    run.offsets.clear();
    AnswerHandler handler;
    handler.on_columns = [](const std::vector<ResultColumn>&) {};
    handler.on_block = [&](const ResultBlock& block) {
        const std::vector<std::string_view> names = block.column(1).texts();
        const std::vector<std::string_view> values = block.column(3).texts();
        for (uint32_t row = 0; row < block.rows(); ++row) {
            uint64_t offset = 0;
            const std::string_view text = values[row];
            const auto read = std::from_chars(text.data(), text.data() + text.size(), offset);
            if (names[row].starts_with(kOffsetPrefix) && read.ec == std::errc()) {
                run.offsets.emplace(names[row], offset);
            }
        }
        return true;
    };
    TRY_ASSIGN(const QueryEnd end,
               client->query("attributes " + query_literal(run.run->path()), handler));
    return {};
}

// --- Rows ---

Status EventFollower::send(FollowedRun& run, Reading& reading, const LogRow& row) {
    const std::vector<std::string>& names = reading.log->metrics();
    while (reading.names.size() < names.size()) {
        TRY_ASSIGN(const uint32_t name, run.names.intern(names[reading.names.size()]));
        reading.names.push_back(name);
    }
    reading.row.clear();
    reading.metrics.clear();
    for (const auto& [metric, value] : row.values) {
        reading.row.emplace_back(reading.names[metric], value);
    }
    std::sort(reading.row.begin(), reading.row.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [metric, value] : reading.row) {
        reading.metrics.push_back(metric);
        run.series.insert(metric);
    }
    TRY_ASSIGN(const std::vector<uint32_t> schemas,
               run.schemas.find(reading.metrics, run.names.all()));
    for (const uint32_t schema : schemas) {
        TRY(send_part(run, reading, row, schema));
    }
    run.waiting.points += row.values.size();
    return {};
}

// The values that the schema has.
Status EventFollower::send_part(FollowedRun& run, Reading& reading, const LogRow& row,
                                uint32_t schema) {
    const std::vector<PlannedSchema>& schemas = run.schemas.schemas();
    while (run.logs.size() < schemas.size()) {
        TRY_ASSIGN(client::RowLog log,
                   run.run->row_log(schemas[run.logs.size()].schema, client::ValueType::kFloat64));
        run.logs.push_back(std::move(log));
    }
    const std::vector<uint32_t>& columns = schemas[schema].metrics;
    reading.values.assign(columns.size(), 0);
    reading.present.assign((columns.size() + 7) / 8, std::byte{0});
    size_t found = 0;
    size_t column = 0;
    for (const auto& [metric, value] : reading.row) {
        column =
            static_cast<size_t>(std::lower_bound(columns.begin() + static_cast<ptrdiff_t>(column),
                                                 columns.end(), metric) -
                                columns.begin());
        if (column < columns.size() && columns[column] == metric) {
            reading.values[column] = value;
            reading.present[column / 8] |= std::byte{1} << (column % 8);
            ++found;
        }
    }
    const client::Values values(reading.values,
                                found == columns.size() ? Bytes() : Bytes(reading.present));
    bytes_ += columns.size() * sizeof(double) + 16;
    return row.step ? run.logs[schema].log(*row.step, values, row.time_us)
                    : run.logs[schema].log_timed(values, row.time_us);
}

// --- Outcomes ---

Status EventFollower::commit() {
    TRY_ASSIGN(const client::Report report, writer_.flush());
    bytes_ = 0;
    std::map<std::string, Error, std::less<>> again;
    std::map<std::string, Error, std::less<>> refusals;  // the first for good, by run
    for (const client::Refused& refused : report.refused) {
        (is_for_now(refused.error.code()) ? again : refusals).emplace(refused.run, refused.error);
    }
    // Those that are not named may be of any run.
    const bool is_any_refused = !again.empty() && report.refused_frames > report.refused.size();
    for (auto& [id, run] : runs_) {
        const std::string path = target_.project + "/" + id;
        const auto to_repeat = is_any_refused ? again.begin() : again.find(path);
        if (to_repeat != again.end()) {
            read_again(run, to_repeat->second);
            continue;
        }
        set_offsets(run);
        const auto refused = refusals.find(path);
        if (refused != refusals.end() && !run.failure) {
            problems_.push_back(refused->second.within(fmt::format(
                "{}: the server refused rows, which are passed over; the first", path)));
            tell_once(problems_.back().message());
        }
    }
    return {};
}

// From what the store is known to have.
void EventFollower::read_again(FollowedRun& run, const Error& why) {
    tell_once(fmt::format("{}/{}: {}; it is sent again", target_.project, run.id, why.message()));
    run.waiting = Counts();
    run.is_to_repeat = true;
    for (File& file : run.files) {
        file.sent = file.stored;
        file.looked_size.reset();
    }
}

void EventFollower::set_offsets(FollowedRun& run) {
    std::vector<AttributeChange> changes;
    for (const File& file : run.files) {
        if (!run.failure && file.sent != file.stored) {
            AttributeValue offset;
            offset.emplace<int64_t>(static_cast<int64_t>(file.sent));
            changes.emplace_back(AttributeChange::Kind::kSet, file.attribute, std::move(offset));
        }
    }
    if (changes.empty()) {
        return;
    }
    const Status set = run.run->change_attributes(std::move(changes));
    if (!set && is_for_now(set.error().code())) {
        read_again(run, set.error());
        return;
    }
    if (!set) {
        fail(run, set.error());
        return;
    }
    for (File& file : run.files) {
        file.stored = file.sent;
    }
    run.done.points += std::exchange(run.waiting.points, 0);
    run.done.skipped += std::exchange(run.waiting.skipped, 0);
}

// --- The end ---

Status EventFollower::finish_runs() {
    for (auto& [id, run] : runs_) {
        const bool is_whole = std::ranges::none_of(run.files, [](const File& file) {
            return file.is_torn || file.damage || file.sent != file.stored;
        });
        if (!run.run && !run.failure) {
            continue;  // nothing was found in it
        }
        if (!run.failure && is_whole) {
            const Status finished = run.run->finish();
            if (!finished) {
                return finished.error().within(fmt::format("finishing {}/{}", target_.project, id));
            }
        } else {
            environment_.tell(
                fmt::format("{}/{} is not marked as finished, because not all of it "
                            "is there",
                            target_.project, id));
        }
    }
    return {};
}

std::vector<FollowReport> EventFollower::reports() const {
    std::vector<FollowReport> reports;
    for (const auto& [id, run] : runs_) {
        if (!run.run && !run.failure) {
            continue;
        }
        FollowReport report;
        report.run = id;
        report.files = run.files.size();
        report.series = run.series.size();
        report.sent = run.done.points;
        report.skipped = run.done.skipped;
        report.read = report.sent + report.skipped;
        report.first_skipped = run.first_skipped;
        reports.push_back(std::move(report));
    }
    return reports;
}

std::vector<std::string> EventFollower::torn() const {
    std::vector<std::string> torn;
    for (const auto& [id, run] : runs_) {
        for (const File& file : run.files) {
            if (file.is_torn) {
                torn.push_back(
                    fmt::format("{} ends within a record, at byte {}; going on later "
                                "begins there",
                                file.path, file.sent));
            }
        }
    }
    return torn;
}

std::vector<Error> EventFollower::problems() const {
    std::vector<Error> problems = problems_;
    for (const auto& [id, run] : runs_) {
        if (run.failure) {
            problems.push_back(*run.failure);
        }
        for (const File& file : run.files) {
            if (file.damage) {
                problems.push_back(*file.damage);
            }
        }
    }
    return problems;
}

}  // namespace stepdb
