#include "tests/crash/enumeration.h"

#include <algorithm>
#include <utility>

#include "engine/manifest/manifest.h"
#include "tests/crash/every_fate.h"
#include "tests/support/backup_check.h"

namespace stepdb {

namespace {

constexpr uint64_t kSeed = 1;

// So that changes are caught at all stages of their way.
std::function<void()> some_turns(SimStore& store) {
    return [&store] {
        for (int turns = 0; turns < 4; ++turns) {
            store.executor().run_one();
        }
    };
}

Id128 client_id() {
    return sha256_128(as_bytes("client"));
}

EngineOptions options_of(const CrashScript& script) {
    EngineOptions options = SimStore::small_options();
    options.merge_automatically = false;  // scripts say when
    script.adjust(options);
    return options;
}

// Of the files in a directory, as they can be seen.
uint64_t fingerprint_of(const SimDisk& disk, const std::string& directory) {
    std::string all;
    for (const std::string& path : disk.files()) {
        if (path.starts_with(directory + "/")) {
            all += fmt::format("{} {:x};", path, xxh3(*disk.contents(path), 0));
        }
    }
    return xxh3(as_bytes(all), 0);
}

}  // namespace

CrashEnumeration::CrashEnumeration(const CrashScript& script, EnumerationOptions options)
    : script_(script), options_(std::move(options)), engine_options_(options_of(script)) {}

std::string CrashEnumeration::run() {
    SimDisk disk;
    options_.breaks(disk);
    SimStore store(disk, kSeed, engine_options_);
    store_ = &store;
    const Status opened = store.open();
    CHECK(opened, "{}", opened.error().to_string());
    {
        TrackedClient client(store, client_id(), some_turns(store));
        client_ = &client;
        store.files().watch_operations([this](uint64_t) { look_at_script(); });
        script_.play(client);
        store.run();
        look_at_script();
    }
    client_ = nullptr;
    store.files().watch_operations({});
    return problem_;
}

std::string CrashEnumeration::run_with_failures(ErrorCode code) {
    for (uint64_t operation = 1; problem_.empty() && play_with_failure(operation, code);
         operation += options_.failures_every) {
    }
    return problem_;
}

// False if the script has no such operation.
bool CrashEnumeration::play_with_failure(uint64_t operation, ErrorCode code) {
    SimDisk disk;
    options_.breaks(disk);
    SimStore store(disk, kSeed, engine_options_);
    const Status opened = store.open();
    CHECK(opened, "{}", opened.error().to_string());
    TrackedClient client(store, client_id(), some_turns(store));
    client_ = &client;
    client.expect_failures();
    const uint64_t failing = store.files().count_operations() + operation;
    store.files().fail_operation(failing, make_error(code, "{}", "it fails in this test"));
    script_.play(client);
    store.run();
    const bool is_there = store.files().count_operations() >= failing;
    const size_t least = client.acknowledged();
    counts_.operations += is_there ? 1U : 0U;
    for (const CrashKind kind : {CrashKind::kPowerCut, CrashKind::kProcessKill}) {
        const std::string when =
            fmt::format("{} at the end of {}, in which operation {} ({}) failed",
                        kind == CrashKind::kPowerCut ? "power cut" : "kill", script_.name,
                        operation, fmt::join(store.files().failed_operations(), ", "));
        look_at_crashes(store.files(), kind, options_.combinations_in_recovery_max,
                        [&](SimDisk left) { expect(std::move(left), least, when); });
    }
    client_ = nullptr;
    return is_there;
}

void CrashEnumeration::fail(std::string what) {
    if (problem_.empty()) {
        problem_ = std::move(what);
    }
}

// What a crash at this moment would leave.
void CrashEnumeration::look_at_script() {
    if (!problem_.empty()) {
        return;
    }
    ++counts_.operations;
    const size_t least = client_->acknowledged();
    for (const CrashKind kind : {CrashKind::kPowerCut, CrashKind::kProcessKill}) {
        const std::string when = fmt::format("{} at operation {} of {}",
                                             kind == CrashKind::kPowerCut ? "power cut" : "kill",
                                             counts_.operations, script_.name);
        look_at_crashes(store_->files(), kind, options_.combinations_max,
                        [&](SimDisk disk) { expect(std::move(disk), least, when); });
    }
}

void CrashEnumeration::look_at_crashes(const SimFileSystem& files, CrashKind kind,
                                       uint64_t combinations_max,
                                       const std::function<void(SimDisk)>& use) {
    EveryFate every;
    uint64_t tried = 0;
    bool is_more = true;
    while (is_more && tried < combinations_max && problem_.empty()) {
        use(files.after_crash(kind, every));
        ++tried;
        is_more = every.next();
    }
    if (!is_more || !problem_.empty()) {
        counts_.crashes += tried;
        return;
    }
    ++counts_.sampled_cuts;
    OneApartFate one_apart;
    do {
        use(files.after_crash(kind, one_apart));
        ++tried;
    } while (one_apart.next() && problem_.empty());
    for (uint64_t i = 0; i < combinations_max && problem_.empty(); ++i) {
        use(files.after_crash(kind, random_));
        ++tried;
    }
    counts_.crashes += tried;
}

void CrashEnumeration::expect(SimDisk disk, size_t least, std::string_view when) {
    const Recovered recovered = recover(std::move(disk), true);
    if (problem_.empty() && recovered.least < least) {
        fail(fmt::format("{} of {} changes are back, and {} were acknowledged", recovered.least,
                         client_->views().size() - 1, least));
    }
    if (problem_.empty() && client_->backed_up() && recovered.backup < client_->backed_up()) {
        fail(recovered.backup
                 ? fmt::format("the backup is that of change {}, and that of {} was made",
                               *recovered.backup, *client_->backed_up())
                 : std::string("a backup that was made is not there"));
    }
    if (!problem_.empty() && !problem_.starts_with("after")) {
        problem_ = fmt::format("after a {}: {}", when, problem_);
    }
}

CrashEnumeration::Recovered CrashEnumeration::recover(SimDisk disk, bool with_cuts) {
    const uint64_t fingerprint = disk.fingerprint();
    auto& known = with_cuts ? recovered_with_cuts_ : recovered_;
    if (const auto at = known.find(fingerprint); at != known.end()) {
        return at->second;
    }
    if (!with_cuts) {
        if (const auto at = recovered_with_cuts_.find(fingerprint);
            at != recovered_with_cuts_.end()) {
            return at->second;
        }
    }
    ++counts_.disks;
    const Recovered recovered = recover_anew(std::move(disk), with_cuts);
    known.emplace(fingerprint, recovered);
    return recovered;
}

CrashEnumeration::Recovered CrashEnumeration::recover_anew(SimDisk disk, bool with_cuts) {
    Recovered recovered;
    recovered.least = SIZE_MAX;
    recovered.backup = find_backup(disk);
    SimStore store(disk, kSeed + 1, engine_options_);
    store.read_points_alone();
    const auto cut = [&] {
        look_at_crashes(store.files(), CrashKind::kPowerCut, options_.combinations_in_recovery_max,
                        [&](SimDisk left) {
                            const Recovered again = recover(std::move(left), false);
                            recovered.least = std::min(recovered.least, again.least);
                        });
    };
    if (with_cuts) {
        store.watch_operations([&](uint64_t) { cut(); });
    }
    const Status opened = store.open();
    if (!opened) {
        fail(opened.error().to_string());
        return recovered;
    }
    store.files().watch_operations({});
    const std::vector<StoreDamage>& damage = store.engine().recovery().damage;
    if (!damage.empty()) {
        fail("the store takes no rows any more: " + damage.front().what);
        return recovered;
    }
    const std::optional<size_t> view = find_view(store);
    if (!view) {
        return recovered;
    }
    recovered.view = *view;
    recovered.least = std::min(recovered.least, *view);
    const size_t least_before = std::exchange(recovered.least, SIZE_MAX);
    if (with_cuts) {
        cut();
        if (problem_.empty() && recovered.least < *view) {
            fail(fmt::format("change {} was shown, and {} are back after a power cut", *view,
                             recovered.least));
        }
    }
    recovered.least = least_before;
    if (with_cuts && script_.backs_up && problem_.empty()) {
        back_up_again(store);
    }
    return recovered;
}

// What is restored from the backup on this disk, if there is one: the last of equal views.
std::optional<size_t> CrashEnumeration::find_backup(const SimDisk& disk) {
    const std::string directory(kBackupsDirectory);
    if (!script_.backs_up || !disk.contents(directory + "/" + std::string(kCurrentName))) {
        return std::nullopt;
    }
    const uint64_t fingerprint = fingerprint_of(disk, directory);
    if (const auto at = backups_.find(fingerprint); at != backups_.end()) {
        return at->second;
    }
    std::optional<size_t>& found = backups_[fingerprint];
    const Result<ReferenceModel::Contents> contents = contents_of_backup(disk, directory);
    if (!contents) {
        fail("the backup: " + contents.error().to_string());
        return std::nullopt;
    }
    const std::vector<StoreView>& views = client_->views();
    for (size_t i = views.size(); i > 0 && !found; --i) {
        if (views[i - 1].contents == *contents) {
            found = i - 1;
        }
    }
    if (!found) {
        fail("the backup holds what no change has left");
    }
    return found;
}

void CrashEnumeration::back_up_again(SimStore& store) {
    BackupOptions options;
    options.directory = kBackupsDirectory;
    const Result<BackupReport> report =
        run_task(store.executor(), store.engine().backup(std::move(options)));
    if (!report) {
        fail("the next backup: " + report.error().to_string());
    }
}

// Which of the views is there; the last of equal ones.
std::optional<size_t> CrashEnumeration::find_view(SimStore& store) {
    Result<ReferenceModel::Contents> contents = store.contents();
    if (!contents) {
        fail(contents.error().to_string());
        return std::nullopt;
    }
    StoreView there;
    there.contents = *std::move(contents);
    there.facts = store.facts();
    const std::vector<StoreView>& views = client_->views();
    for (size_t i = views.size(); i > 0; --i) {
        if (views[i - 1] == there) {
            const std::string found = options_.verifies ? store.verify() : std::string();
            if (!found.empty()) {
                fail(found);
                return std::nullopt;
            }
            return i - 1;
        }
    }
    const StoreView& want = views[client_->acknowledged()];
    fail(fmt::format(
        "what is there is not what any change left; after {} changes it would be: {} {}",
        client_->acknowledged(), describe_difference(want.contents, there.contents),
        describe_difference(want.facts, there.facts)));
    return std::nullopt;
}

}  // namespace stepdb
