// Repair: a small store whose files are damaged as the input says, and what a repair makes of it.
// Whatever was done to it, afterwards it opens, verifies and can be read, and repairing it again
// does nothing. Where a file was made up with checksums that are right, nothing of that is asked:
// only that the repair ends.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "engine/repair.h"
#include "engine/verify.h"
#include "tests/fuzz/fix_checksums.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/sim_store.h"
#include "tests/support/workload.h"

namespace stepdb {

namespace {

using FileMap = std::map<std::string, std::vector<std::byte>>;

constexpr int kChanges = 60;
constexpr int kFlushEvery = 25;  // so that the last ones are in the log alone
constexpr int kDamagesMax = 8;
constexpr size_t kFileBytesMax = 4U << 20U;

EngineOptions store_options() {
    EngineOptions options = SimStore::small_options();
    options.merge_automatically = false;
    return options;
}

FileMap files_of(const SimDisk& disk) {
    FileMap files;
    for (const std::string& path : disk.files()) {
        if (!path.ends_with("/LOCK")) {
            files[path] = *disk.contents(path);
        }
    }
    return files;
}

SimDisk disk_of(const FileMap& files) {
    SimDisk disk({"store"});
    for (const auto& [path, bytes] : files) {
        disk.put_file(path, bytes);
    }
    return disk;
}

FileMap make_store() {
    SimDisk disk({"store"});
    SimRandom random(7);
    Workload workload(random, 2);
    SimStore store(disk, 8, store_options());
    CHECK(store.open().has_value(), "a new store");
    TestWriter writer(sha256_128(as_bytes("writer")));
    writer.connect(store);
    for (int at = 1; at <= kChanges; ++at) {
        writer.send(workload.next());
        store.run();
        if (at % kFlushEvery == 0) {
            CHECK(store.flush().has_value(), "flush");
        }
    }
    store.crash(CrashKind::kProcessKill);
    return files_of(disk);
}

// --- Damage ---

// With the checksums that belong to it, by what kind of file it is.
std::vector<std::byte> made_up(const std::string& path, Bytes compact) {
    const std::string name = path.substr(path.find('/') + 1);
    if (name.starts_with("segment")) {
        return expand_segment(compact);
    }
    if (name.starts_with("log")) {
        return expand_log(compact);
    }
    if (name.starts_with("manifest")) {
        return expand_manifest(compact);
    }
    if (name.starts_with("catalog")) {
        return expand_catalog(compact);
    }
    return {compact.begin(), compact.end()};
}

// So many, or all that are left.
Bytes take_bytes(ByteReader& reader, size_t count) {
    return reader.get_bytes(std::min(count, reader.remaining()));
}

void swap_pages(std::vector<std::byte>& file, ByteReader& reader) {
    const size_t pages = file.size() / kPageBytes;
    if (pages < 2) {
        return;
    }
    const size_t a = reader.get<uint8_t>() % pages * kPageBytes;
    const size_t b = reader.get<uint8_t>() % pages * kPageBytes;
    if (a != b) {
        std::swap_ranges(file.begin() + static_cast<ptrdiff_t>(a),
                         file.begin() + static_cast<ptrdiff_t>(a + kPageBytes),
                         file.begin() + static_cast<ptrdiff_t>(b));
    }
}

void write_over(std::vector<std::byte>& file, ByteReader& reader) {
    const size_t at = file.empty() ? 0 : reader.get<uint32_t>() % file.size();
    const Bytes bytes = take_bytes(reader, reader.get<uint8_t>());
    std::copy_n(bytes.begin(), std::min(bytes.size(), file.size() - at),
                file.begin() + static_cast<ptrdiff_t>(at));
}

// One damage: u8 what, u8 of which file, then where. True if its checksums are right.
bool damage(FileMap& files, ByteReader& reader) {
    const auto what = reader.get<uint8_t>();
    const auto which = reader.get<uint8_t>();
    if (files.empty()) {
        return false;
    }
    const auto victim = std::next(files.begin(), which % static_cast<int>(files.size()));
    std::vector<std::byte>& file = victim->second;
    switch (what % 9) {
        case 0: {  // bits
            const auto at = reader.get<uint32_t>();
            const std::byte mask{reader.get<uint8_t>()};
            if (!file.empty()) {
                file[at % file.size()] ^= mask;
            }
            return false;
        }
        case 1:  // its end
            file.resize(reader.get<uint32_t>() % (file.size() + 1));
            return false;
        case 2: {  // pages that read as zeros
            const size_t begin = std::min(reader.get<uint8_t>() * kPageBytes, file.size());
            const size_t bytes = (reader.get<uint8_t>() % 4 + 1) * kPageBytes;
            std::fill_n(file.begin() + static_cast<ptrdiff_t>(begin),
                        std::min(bytes, file.size() - begin), std::byte{0});
            return false;
        }
        case 3:
            swap_pages(file, reader);
            return false;
        case 4:
            file.clear();
            return false;
        case 5:
            files.erase(victim);
            return false;
        case 6: {  // another's contents
            const auto other =
                std::next(files.begin(), reader.get<uint8_t>() % static_cast<int>(files.size()));
            file = other->second;
            return false;
        }
        case 7:
            write_over(file, reader);
            return false;
        default: {
            file = made_up(victim->first, take_bytes(reader, reader.get<uint16_t>()));
            return true;
        }
    }
}

// --- What a repair makes of it ---

Result<RepairReport> repair(SimDisk& disk) {
    SimExecutor executor;
    SimFileSystem files(disk, executor);
    RepairOptions options;
    options.directory = "store";
    options.now_us = 1'800'000'000'000'000;
    auto report = run_task(executor, repair_store(files, executor, options));
    executor.run_until_idle();
    return report;
}

void check_verifies(SimDisk& disk, const RepairReport& report) {
    SimExecutor executor;
    SimFileSystem files(disk, executor);
    VerifyOptions options;
    options.directory = "store";
    const auto verified = run_task(executor, verify_store(files, options));
    executor.run_until_idle();
    CHECK(verified.has_value(), "{}", verified.error().to_string());
    for (const StoreProblem& problem : verified->problems) {
        const bool is_carried = report.count(RepairKind::kKept) != 0 &&
                                problem.what.find("damaged already") != std::string::npos;
        CHECK(is_carried, "repaired, and {}: {}", problem.file, problem.what);
    }
}

void check_opens(SimDisk& disk, bool is_whole) {
    SimStore store(disk, 9, store_options());
    const Status opened = store.open();
    CHECK(opened.has_value(), "repaired: {}", opened.error().to_string());
    const RecoveryReport& recovery = store.engine().recovery();
    CHECK(recovery.damage.empty(), "repaired: {}", recovery.damage.front().what);
    store.read_points_alone();
    const auto contents = store.contents();
    CHECK(contents.has_value() || !is_whole, "repaired: {}", contents.error().to_string());
    CHECK(store.close().has_value(), "closing");
}

}  // namespace

void fuzz_one(Bytes input) {
    static const FileMap sound = make_store();
    FileMap files = sound;
    ByteReader reader(input);
    bool is_made_up = false;
    for (int at = 0; at < kDamagesMax && reader.remaining() > 0; ++at) {
        is_made_up = damage(files, reader) || is_made_up;
    }
    for (const auto& [path, bytes] : files) {
        if (bytes.size() > kFileBytesMax) {
            return;
        }
    }
    SimDisk disk = disk_of(files);
    const Result<RepairReport> report = repair(disk);
    if (!report || is_made_up) {
        const bool has_store = files.contains("store/CURRENT") || files.size() > 2;
        CHECK(is_made_up || !has_store || report.error().code() == ErrorCode::kUnsupportedVersion,
              "{}", report.error().to_string());
        return;
    }
    const Result<RepairReport> again = repair(disk);
    CHECK(again.has_value() && !again->needed, "again: {}",
          again ? again->findings.front().what : again.error().to_string());
    check_verifies(disk, *report);
    check_opens(disk, report->count(RepairKind::kKept) == 0);
}

}  // namespace stepdb
