// What goes wrong in a world: operations that fail, power cuts, kills, files that are damaged.
#include <algorithm>

#include "engine/repair.h"
#include "tests/simulation/world.h"

namespace stepdb {

namespace {

std::vector<std::byte> damaged(std::vector<std::byte> bytes, SimRandom& random, std::string& how) {
    constexpr size_t kPage = 4096;
    const size_t at = random.below(bytes.size());
    const size_t page = at / kPage * kPage;
    const size_t other = random.below(bytes.size()) / kPage * kPage;
    const bool has_pages = page + kPage <= bytes.size() && other + kPage <= bytes.size();
    switch (random.below(5)) {
        case 0:
            how = "emptied";
            return {};
        case 1:
            how = fmt::format("cut short at byte {}", at);
            bytes.resize(at);
            return bytes;
        case 2:
            how = fmt::format("zeros in the sector at byte {}", at / 512 * 512);
            for (size_t i = at / 512 * 512; i < std::min(bytes.size(), at / 512 * 512 + 512); ++i) {
                bytes[i] = std::byte{0};
            }
            return bytes;
        case 3:
            if (has_pages) {
                how = fmt::format("page {} written at {}", other, page);
                std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(other), kPage,
                            bytes.begin() + static_cast<ptrdiff_t>(page));
                return bytes;
            }
            [[fallthrough]];
        default:
            how = fmt::format("a bit of byte {} flipped", at);
            bytes[at] ^= std::byte{static_cast<uint8_t>(1U << random.below(8))};
            return bytes;
    }
}

}  // namespace

// One of the next operations on files ends with an error, and what it should have done is undone.
void World::fail_an_operation() {
    const uint64_t operation = store_.files().count_operations() + 1 + random_.below(12);
    store_.files().fail_operation(operation, make_error(ErrorCode::kIoError, "Input/output error"));
    send_some(1 + random_.below(3));
    if (random_.coin()) {
        merge_or_flush();
    }
    store_.run();
    for (const std::string& failed : store_.files().failed_operations()) {
        tell("failed: " + failed);
        ++counts_.io_errors;
    }
    const bool is_read_only = store_.engine().read_only_reason().has_value();
    if (is_read_only || random_.coin()) {
        // It takes nothing more until it is started again.
        crash(random_.coin() ? CrashKind::kPowerCut : CrashKind::kProcessKill);
        return recover();
    }
    store_.files().forget_failures();
    store_.engine().tick();
}

void World::crash_now() {
    crash(random_.coin() ? CrashKind::kPowerCut : CrashKind::kProcessKill);
    recover();
}

void World::crash_at_an_operation() {
    store_.files().crash_at_operation(store_.files().count_operations() + 1 + random_.below(30));
    for (uint64_t left = 1 + random_.below(6); left > 0; --left) {
        send();
        if (random_.below(3) == 0) {
            merge_or_flush();
        }
    }
    if (random_.coin()) {
        store_.run();
    }
    crash(CrashKind::kPowerCut);
    recover();
}

void World::crash(CrashKind kind) {
    ++(kind == CrashKind::kPowerCut ? counts_.power_cuts : counts_.kills);
    tell(fmt::format("{} at operation {}", kind == CrashKind::kPowerCut ? "power cut" : "kill",
                     store_.files().count_operations()));
    look_at_answers();
    store_.crash(kind);
    questions_.clear();  // what is told as a server goes need not be heard
}

void World::recover() {
    if (random_.below(4) == 0) {
        ++counts_.recovery_crashes;
        const uint64_t operation = 1 + random_.below(25);
        tell(fmt::format("power cut at operation {} of the recovery", operation));
        store_.crash_next_open_at(operation);
        if (store_.open()) {
            store_.crash(CrashKind::kPowerCut);
        }
    }
    begin_life();
    if (!is_wrong()) {
        check("after a crash");
        connect();
    }
}

// Of a store that is at rest one file is damaged. Opening it, reading everything or verify tells,
// or nothing is missing; then the file is as it was.
void World::damage_a_file() {
    tell("damage");
    settle();
    if (is_wrong()) {
        return;
    }
    check("before a damage");
    store_.crash(CrashKind::kProcessKill);
    const SimDisk whole = disk_;
    std::vector<std::string> files = disk_.files();
    std::erase_if(files, [](const std::string& path) { return !path.starts_with("store/"); });
    const std::string& file = files[random_.below(files.size())];
    std::vector<std::byte> bytes = *disk_.contents(file);
    if (!bytes.empty() && !is_wrong()) {
        ++counts_.damages;
        std::string how;
        disk_.put_file(file, damaged(std::move(bytes), random_, how));
        look_at_damaged(file, how);
        disk_ = whole;
    }
    if (!is_wrong()) {
        begin_life();
        connect();
    }
}

void World::look_at_damaged(const std::string& file, std::string_view how) {
    const SimDisk as_damaged = disk_;
    const Status opened = store_.open();
    if (!opened) {
        ++counts_.damages_told;
        disk_ = as_damaged;
        return repair(file, how, std::nullopt);
    }
    const bool reads_alone = store_.reads_points_alone();
    store_.read_points_alone(true);
    const Result<ReferenceModel::Contents> contents = store_.contents();
    const RecoveryReport& recovery = store_.engine().recovery();
    const bool may_lack = !recovery.damage.empty() || !recovery.damaged_segments.empty();
    const bool is_told =
        may_lack || !recovery.notes.empty() || !contents || !store_.verify().empty();
    store_.read_points_alone(reads_alone);
    counts_.damages_told += is_told ? 1U : 0U;
    std::optional<StoreView> readable;
    if (contents) {
        StoreView& there = readable.emplace();
        there.contents = *contents;
        there.facts = store_.facts();
    }
    // Also where verify has told of something: what is read without an error is right.
    if (readable && !may_lack) {
        // The end of a log that a crash has torn and one that was damaged look alike where nothing
        // is written behind it: docs/reliability.md. Then an earlier state is there, and whole.
        const bool may_be_torn = file.find("/log-") != std::string::npos;
        for (Client& client : clients_) {
            const size_t shown = std::exchange(client.shown, may_be_torn ? 0 : client.shown);
            check_client(client, *readable, fmt::format("{} with {}", file, how));
            client.shown = shown;
        }
    }
    store_.crash(CrashKind::kProcessKill);
    if (!is_wrong()) {
        disk_ = as_damaged;
        repair(file, how, readable);
    }
}

// A repair makes a store of it that is whole, and drops nothing of what could be read.
void World::repair(const std::string& file, std::string_view how,
                   const std::optional<StoreView>& readable) {
    if (random_.coin()) {
        return;
    }
    ++counts_.repairs;
    const auto repair_once = [this] {
        SimExecutor executor(random_.next());
        SimFileSystem files(disk_, executor);
        RepairOptions options;
        options.directory = options_.directory;
        options.now_us = store_.clock().now_us();
        Result<RepairReport> report =
            run_task(executor, repair_store(files, executor, std::move(options)));
        executor.run_until_idle();
        return report;
    };
    const Result<RepairReport> report = repair_once();
    if (!report && report.error().code() == ErrorCode::kUnsupportedVersion) {
        return;  // as a damaged version looks
    }
    if (!report) {
        return fail(fmt::format("{} with {}: repair: {}", file, how, report.error().to_string()));
    }
    const Result<RepairReport> again = repair_once();
    if (!again || again->needed) {
        return fail(fmt::format("{} with {}: a repair has left something to repair", file, how));
    }
    const Status opened = store_.open();
    if (!opened || !store_.engine().recovery().damage.empty()) {
        return fail(fmt::format("{} with {}: what a repair made is opened with damage", file, how));
    }
    const bool reads_alone = store_.reads_points_alone();
    store_.read_points_alone(true);
    const Result<ReferenceModel::Contents> contents = store_.contents();
    store_.read_points_alone(reads_alone);
    // Of what is carried along as damaged verify tells again.
    const std::string found =
        report->count(RepairKind::kKept) == 0 ? store_.verify() : std::string();
    if (!found.empty()) {
        fail(fmt::format("{} with {}: verify after a repair: {}", file, how, found));
    }
    if (!is_wrong() && contents && readable) {
        for (const Client& client : clients_) {
            check_repaired(client, *readable, *contents, fmt::format("{} with {}", file, how));
        }
    }
    store_.crash(CrashKind::kProcessKill);
}

namespace {

bool has_point(const ReferenceModel::Contents& contents,
               const ReferenceModel::Contents::key_type& series,
               const ReferenceModel::Series::value_type& point) {
    const auto of = contents.find(series);
    if (of == contents.end()) {
        return false;
    }
    const auto at = of->second.find(point.first);
    return at != of->second.end() && at->second == point.second;
}

}  // namespace

// Points that are right and could be read. Of what could be read not everything is: a delete that a
// repair has found may be missing before it, and may be one that nobody has been told of yet.
void World::check_repaired(const Client& client, const StoreView& readable,
                           const ReferenceModel::Contents& repaired, const std::string& what) {
    const std::vector<StoreView>& views = client.changes->views();
    for (const auto& [series, points] : views[client.shown].contents) {
        const auto after = repaired.find(series);
        for (const auto& point : points) {
            const bool stays = std::all_of(views.begin() + static_cast<ptrdiff_t>(client.shown),
                                           views.end(), [&, &of = series](const StoreView& view) {
                                               return has_point(view.contents, of, point);
                                           });
            if (stays && has_point(readable.contents, series, point) &&
                !has_point(repaired, series, point)) {
                const std::string now = after == repaired.end() ? "there is no such series"
                                        : after->second.contains(point.first) ? "it is another"
                                                                              : "it is missing";
                return fail(
                    fmt::format("{}: key {} of {} {} could be read before the repair, and "
                                "after it {}",
                                what, point.first, series.first, series.second, now));
            }
        }
    }
}

}  // namespace stepdb
