// A store is damaged in every way that files can be, and repaired: what is not in what was damaged
// must be there, what is missing must be told, and the repaired store must be whole.
#include "engine/repair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "engine/model/file_header.h"
#include "engine/wal/log_format.h"
#include "engine/wal/log_reader.h"
#include "tests/support/backup_check.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/observed.h"

namespace stepdb::repair_test {

using Disk = SimDisk;
using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;

Result<RepairReport> repair(Disk& disk, bool dry_run = false) {
    SimExecutor executor;
    SimFileSystem files(disk, executor);
    RepairOptions options;
    options.directory = "store";
    options.dry_run = dry_run;
    options.now_us = 1'800'000'000'000'000;
    Result<RepairReport> report =
        run_task(executor, repair_store(files, executor, std::move(options)));
    executor.run_until_idle();
    return report;
}

std::string describe(const RepairReport& report) {
    std::string text;
    for (const RepairFinding& finding : report.findings) {
        text +=
            fmt::format("{}: {}: {}\n", repair_kind_name(finding.kind), finding.file, finding.what);
    }
    return text;
}

void remove_file(Disk& disk, const std::string& path) {
    SimExecutor executor;
    SimFileSystem files(disk, executor);
    ASSERT_TRUE(run_task(executor, files.remove(path)));
    ASSERT_TRUE(run_task(executor, files.sync_directory("store", SyncSite::kFlushDirectory)));
}

std::map<std::string, std::vector<std::byte>> all_files(const Disk& disk) {
    std::map<std::string, std::vector<std::byte>> files;
    for (const std::string& path : disk.files()) {
        files[path] = *disk.contents(path);
    }
    return files;
}

// "lost: sequences 3 to 5, sequence 9" of all findings.
Ranges lost_sequences(const RepairReport& report) {
    Ranges ranges;
    for (const RepairFinding& finding : report.findings) {
        const size_t at = finding.what.find("lost: sequence");
        if (finding.kind != RepairKind::kLost || at == std::string::npos) {
            continue;
        }
        const std::string text = finding.what.substr(at + 6, finding.what.find(';', at) - at - 6);
        std::vector<uint64_t> numbers;
        for (size_t i = 0; i < text.size();) {
            if (text[i] < '0' || text[i] > '9') {
                ++i;
                continue;
            }
            size_t digits = 0;
            numbers.push_back(std::stoull(text.substr(i), &digits));
            const bool is_single = text.rfind("sequences", i) == std::string::npos ||
                                   text.rfind("sequence ", i) + 9 == i;
            i += digits;
            if (is_single) {
                numbers.push_back(numbers.back());
            }
        }
        for (size_t i = 0; i + 1 < numbers.size(); i += 2) {
            ranges.emplace_back(numbers[i], numbers[i + 1]);
        }
    }
    return ranges;
}

// Runs, restarts and attributes over three flushes and several lives, of which the last leaves some
// in the log. Every row has a key of its own, so that no point stands for another.
class Written {
  public:
    explicit Written(bool close) {
        SimStore store(disk, 1, options());
        open(store);
        for (int flush = 0; flush < 3; ++flush) {
            rows(store, 24);
            EXPECT_TRUE(store.flush());
            checkpoint = store.engine().sequence();
        }
        for (int life = 0; life < 2; ++life) {
            store.crash(CrashKind::kProcessKill);
            open(store);
            rows(store, 12);
        }
        if (close) {
            writer_.disconnect();
            EXPECT_TRUE(store.close());
        } else {
            store.crash(CrashKind::kProcessKill);
        }
    }

    static EngineOptions options() {
        EngineOptions options = SimStore::small_options();
        options.merge_automatically = false;
        options.log_live_bytes_max = 4U << 20U;  // so that no flush begins by itself
        return options;
    }

    std::vector<std::string> paths() const {
        std::vector<std::string> paths;
        for (const std::string& path : disk.files()) {
            if (path != "store/LOCK") {
                paths.push_back(path);
            }
        }
        return paths;
    }

    SimDisk disk;
    ReferenceModel model;
    uint64_t checkpoint = 0;
    std::map<std::pair<std::string, Key>, uint64_t> sequences;  // run and key -> sequence

  private:
    void open(SimStore& store) {
        const Status opened = store.open();
        ASSERT_TRUE(opened) << opened.error().message();
        writer_.connect(store);
        store.run();
    }

    void rows(SimStore& store, int count) {
        for (int i = 0; i < count; ++i, ++step_) {
            const std::string run = fmt::format("p/{}", "abc"[step_ % 3]);
            const auto& schema = step_ % 4 == 0 ? wide_ : step_ % 4 == 1 ? narrow_ : late_;
            std::vector<std::optional<double>> values;
            for (uint32_t column = 0; column < schema->width(); ++column) {
                values.emplace_back(0.37 * step_ + column);
            }
            const ModelChange change = one_row(run, schema, step_, std::move(values));
            writer_.send(change);
            model.apply(change);
            store.run();
            sequences[{run, key_of_step(step_)}] = store.engine().sequence();
        }
    }

    TestWriter writer_{sha256_128(as_bytes("writer"))};
    int step_ = 0;
    std::shared_ptr<const Schema> narrow_ = stepped({"loss"});
    std::shared_ptr<const Schema> wide_ = stepped({"loss", "lr", "norm/1", "norm/2", "norm/3"});
    std::shared_ptr<const Schema> late_ = stepped({"lr", "late"});
};

// What is wrong with how a damaged store was repaired; "" if nothing.
class Judge {
  public:
    explicit Judge(const Written& written) : written_(written) {}

    std::string judge(Disk disk) {
        const auto before = all_files(disk);
        const Result<RepairReport> dry = repair(disk, true);
        if (!dry) {
            return "dry run: " + dry.error().message();
        }
        if (before != all_files(disk)) {
            return "a dry run has changed something";
        }
        const Result<RepairReport> report = repair(disk);
        if (!report) {
            return "repair: " + report.error().message();
        }
        said_ = describe(*report);
        needed += report->needed ? 1 : 0;
        if (said_ != describe(*dry)) {
            return "a dry run says something else: " + describe(*dry) + "\n not \n" + said_;
        }
        if (!report->needed && before != all_files(disk)) {
            return "nothing to repair, and something has changed";
        }
        for (const auto& [path, bytes] : before) {
            const auto as_was = disk.contents(path);
            const auto aside = disk.contents(path + std::string(kBeforeRepairSuffix));
            if (as_was != bytes && aside != bytes) {
                return path + " is not there any more as it was";
            }
        }
        std::string wrong = judge_whole(disk, *report);
        if (wrong.empty()) {
            wrong = judge_again(disk);
        }
        return wrong.empty() ? judge_contents(disk, *report) : wrong;
    }

    const std::string& said() const { return said_; }
    int needed = 0;

  private:
    static std::string judge_whole(Disk& disk, const RepairReport& report) {
        SimExecutor executor;
        SimFileSystem files(disk, executor);
        VerifyOptions options;
        options.directory = "store";
        const auto verified = run_task(executor, verify_store(files, options));
        if (!verified) {
            return verified.error().message();
        }
        for (const StoreProblem& problem : verified->problems) {
            const bool is_carried = report.count(RepairKind::kKept) != 0 &&
                                    problem.what.find("damaged already") != std::string::npos;
            if (!is_carried) {
                return fmt::format("verify: {}: {}", problem.file, problem.what);
            }
        }
        return "";
    }

    static std::string judge_again(Disk& disk) {
        const auto before = all_files(disk);
        const Result<RepairReport> again = repair(disk);
        if (!again) {
            return "again: " + again.error().message();
        }
        if (again->needed || before != all_files(disk)) {
            return "the second repair is no no-op: " + describe(*again);
        }
        return "";
    }

    std::string judge_contents(Disk& disk, const RepairReport& report) const {
        SimStore store(disk, 2, Written::options());
        const Status opened = store.open();
        if (!opened) {
            return "open: " + opened.error().message();
        }
        const RecoveryReport& recovery = store.engine().recovery();
        if (!recovery.damage.empty() || !recovery.damaged_segments.empty() ||
            store.engine().read_only_reason()) {
            return "the repaired store opens as a damaged one: " +
                   (recovery.damage.empty() ? std::string() : recovery.damage.front().what);
        }
        const Observed seen = observe(store);
        const bool lost_any = report.count(RepairKind::kLost) != 0;
        const ReferenceModel::Contents model = written_.model.contents();
        for (const auto& [name, series] : model) {
            std::string wrong = judge_series(name, series, seen, report);
            if (!wrong.empty()) {
                return wrong;
            }
        }
        for (const auto& [name, series] : seen.contents) {
            if (!model.contains(name) && !lost_any && !series.empty()) {
                return fmt::format("{} of {} was never written", name.second, name.first);
            }
        }
        return judge_going_on(store);
    }

    std::string judge_series(const std::pair<std::string, std::string>& name,
                             const ReferenceModel::Series& want, const Observed& seen,
                             const RepairReport& report) const {
        const auto error = seen.errors.find(name);
        if (error != seen.errors.end()) {
            const bool is_told = std::ranges::any_of(report.findings, [&](const auto& finding) {
                return finding.kind == RepairKind::kKept &&
                       finding.what.find(name.first) != std::string::npos;
            });
            return is_told ? "" : "cannot be read, and nobody told: " + error->second;
        }
        const auto got = seen.contents.find(name);
        const Ranges lost = lost_sequences(report);
        for (const auto& [key, point] : want) {
            if (got != seen.contents.end()) {
                const auto at = got->second.find(key);
                if (at != got->second.end()) {
                    if (at->second != point) {
                        return fmt::format("{} of {} at {} is another", name.second, name.first,
                                           key);
                    }
                    continue;
                }
            }
            if (!is_told(name.first, written_.sequences.at({name.first, key}), lost, report)) {
                return fmt::format("{} of {} at step {} (sequence {}) is missing, and nobody told",
                                   name.second, name.first, step_of_key(key),
                                   written_.sequences.at({name.first, key}));
            }
        }
        return "";
    }

    bool is_told(const std::string& run, uint64_t sequence, const Ranges& lost,
                 const RepairReport& report) const {
        if (std::ranges::any_of(lost, [&](const auto& range) {
                return range.first <= sequence && sequence <= range.second;
            })) {
            return true;
        }
        return std::ranges::any_of(report.findings, [&](const RepairFinding& finding) {
            const bool names_run = finding.what.find(run) != std::string::npos ||
                                   finding.what.find("nobody knows of which") != std::string::npos;
            const bool is_segment =
                finding.file.starts_with("segment-") && sequence <= written_.checkpoint;
            const bool is_end = finding.what.find("if anything") != std::string::npos &&
                                sequence > written_.checkpoint;
            const bool may_be_torn = finding.kind == RepairKind::kNote &&
                                     finding.what.find("a crash cut short") != std::string::npos &&
                                     sequence > written_.checkpoint;
            return may_be_torn ||
                   (finding.kind == RepairKind::kLost && ((names_run && is_segment) || is_end));
        });
    }

    // The repaired store takes rows, keeps them, and is verified.
    static std::string judge_going_on(SimStore& store) {
        TestWriter writer(sha256_128(as_bytes("another")));
        writer.connect(store);
        writer.send(one_row("p/new", stepped({"loss"}), 1, {1.0}));
        store.run();
        if (!writer.refusals().empty()) {
            return "refuses: " + writer.refusals().front().second.error.message();
        }
        const Status flushed = store.flush();
        if (!flushed) {
            return flushed.error().message();
        }
        writer.disconnect();
        const Status closed = store.close();
        return closed ? "" : closed.error().message();
    }

    const Written& written_;
    std::string said_;
};

class Repair : public ::testing::TestWithParam<bool> {
  protected:
    // Damages each file of the store in one way, and judges what becomes of it.
    void each_file(const std::function<bool(Disk&, const std::string& path)>& damage) {
        const Written written(GetParam());
        Judge judge(written);
        int done = 0;
        for (const std::string& path : written.paths()) {
            SimDisk disk = written.disk;
            if (!damage(disk, path)) {
                continue;
            }
            ++done;
            EXPECT_EQ(judge.judge(disk), "") << path << "\n" << judge.said();
        }
        EXPECT_GT(done, 0);
        std::printf("%d damages, %d needed a repair\n", done, judge.needed);
    }
};

TEST_P(Repair, OfWhatIsWholeDoesNothing) {
    const Written written(GetParam());
    SimDisk disk = written.disk;
    const auto report = repair(disk);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_FALSE(report->needed) << describe(*report);
    EXPECT_EQ(all_files(disk), all_files(written.disk));
}

TEST_P(Repair, OfAFileThatIsGone) {
    each_file([](Disk& disk, const std::string& path) {
        remove_file(disk, path);
        return true;
    });
}

TEST_P(Repair, OfAnEmptyFile) {
    each_file([](Disk& disk, const std::string& path) {
        disk.put_file(path, {});
        return true;
    });
}

TEST_P(Repair, OfAFileThatIsCutOff) {
    for (const int part : {1, 2, 3}) {
        each_file([&](Disk& disk, const std::string& path) {
            const std::vector<std::byte> bytes = *disk.contents(path);
            disk.put_file(path, Bytes(bytes).first(bytes.size() * static_cast<size_t>(part) / 4));
            return true;
        });
    }
}

TEST_P(Repair, OfAFileWithSomethingBehindItsEnd) {
    each_file([](Disk& disk, const std::string& path) {
        std::vector<std::byte> bytes = *disk.contents(path);
        bytes.resize(bytes.size() + kPageBytes, std::byte{0x5A});
        disk.put_file(path, bytes);
        return path != "store/CURRENT";
    });
}

TEST_P(Repair, OfAPageOfZeros) {
    for (size_t page = 0; page < 6; ++page) {
        each_file([&](Disk& disk, const std::string& path) {
            std::vector<std::byte> bytes = *disk.contents(path);
            const size_t at = page * kPageBytes;
            if (at >= bytes.size()) {
                return path == "store/CURRENT" && page == 0;
            }
            std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(at),
                        std::min(kPageBytes, bytes.size() - at), std::byte{0});
            disk.put_file(path, bytes);
            return true;
        });
    }
}

TEST_P(Repair, OfPagesThatHaveChangedPlaces) {
    each_file([](Disk& disk, const std::string& path) {
        std::vector<std::byte> bytes = *disk.contents(path);
        if (bytes.size() < 3 * kPageBytes) {
            return false;
        }
        std::swap_ranges(bytes.begin() + kPageBytes, bytes.begin() + 2 * kPageBytes,
                         bytes.begin() + 2 * kPageBytes);
        disk.put_file(path, bytes);
        return true;
    });
}

TEST_P(Repair, OfFilesThatHaveChangedNames) {
    const Written written(GetParam());
    Judge judge(written);
    const std::vector<std::string> paths = written.paths();
    for (size_t i = 0; i + 1 < paths.size(); ++i) {
        SimDisk disk = written.disk;
        disk.put_file(paths[i], *written.disk.contents(paths[i + 1]));
        disk.put_file(paths[i + 1], *written.disk.contents(paths[i]));
        EXPECT_EQ(judge.judge(disk), "") << paths[i] << " and " << paths[i + 1] << "\n"
                                         << judge.said();
    }
}

TEST_P(Repair, OfAByteAnywhere) {
    const uint64_t seed = test_seed(1);
    const Written written(GetParam());
    Judge judge(written);
    SimRandom random(seed);
    int done = 0;
    for (const std::string& path : written.paths()) {
        const std::vector<std::byte> bytes = *written.disk.contents(path);
        size_t used = bytes.size();
        while (used > 1 && bytes[used - 1] == std::byte{0}) {
            --used;
        }
        for (int i = 0; i < static_cast<int>(scaled(25)); ++i, ++done) {
            SimDisk disk = written.disk;
            const uint64_t at = random.below(used);
            ASSERT_TRUE(disk.flip_byte(path, at, static_cast<std::byte>(1U << random.below(8))));
            ASSERT_EQ(judge.judge(disk), "") << path << " byte " << at << "\n" << judge.said();
        }
    }
    std::printf("%d bytes, %d needed a repair\n", done, judge.needed);
}

// All of what names files at once, and then one more.
TEST_P(Repair, OfCurrentManifestAndCatalogTogether) {
    const Written written(GetParam());
    Judge judge(written);
    for (const bool with_catalog : {false, true}) {
        SimDisk disk = written.disk;
        for (const std::string& path : written.paths()) {
            const bool goes = path.find("CURRENT") != std::string::npos ||
                              path.find("manifest-") != std::string::npos ||
                              (with_catalog && path.find("catalog-") != std::string::npos);
            if (goes) {
                remove_file(disk, path);
            }
        }
        EXPECT_EQ(judge.judge(disk), "") << judge.said();
        for (const std::string& path : written.paths()) {
            SimDisk worse = disk;
            const std::vector<std::byte> bytes =
                disk.contents(path).value_or(std::vector<std::byte>());
            if (bytes.size() > kPageBytes + 100) {
                ASSERT_TRUE(worse.flip_byte(path, kPageBytes + 100));
                EXPECT_EQ(judge.judge(worse), "") << path << "\n" << judge.said();
            }
        }
    }
}

// Where another log follows, whose beginning says where the one before it ended.
TEST_P(Repair, OfTheBeginningOfALogLosesThatGroupAlone) {
    const Written written(GetParam());
    int damaged = 0;
    for (const std::string& path : written.paths()) {
        const auto bytes = written.disk.contents(path);
        if (path.find("/log-") == std::string::npos) {
            continue;
        }
        const auto header = decode_file_header(kLogKind, Bytes(*bytes).first(kFileHeaderBytes));
        ASSERT_TRUE(header);
        const LogPlace place{header->store, std::stoull(path.substr(path.rfind('-') + 1))};
        const uint64_t second = find_log_group(*bytes, place, kLogFirstGroupOffset + kPageBytes, 0);
        if (second == 0) {
            continue;
        }
        ++damaged;
        const uint64_t whole_from =
            decode_group_header(Bytes(*bytes).subspan(second), place, second)->first_sequence;
        const uint64_t lost_from = decode_group_header(Bytes(*bytes).subspan(kLogFirstGroupOffset),
                                                       place, kLogFirstGroupOffset)
                                       ->first_sequence;
        std::vector<std::byte> changed = *bytes;
        std::fill_n(changed.begin() + kLogFirstGroupOffset, kPageBytes, std::byte{0});
        Disk disk = written.disk;
        disk.put_file(path, changed);
        ASSERT_TRUE(repair(disk));
        SimStore repaired(disk, 2, Written::options());
        ASSERT_TRUE(repaired.open());
        const Observed seen = observe(repaired);
        for (const auto& [row, sequence] : written.sequences) {
            const bool may_be_lost = sequence >= lost_from && sequence < whole_from;
            const bool is_there = std::ranges::any_of(seen.contents, [&, &key = row](auto& series) {
                return series.first.first == key.first && series.second.contains(key.second);
            });
            EXPECT_TRUE(is_there || may_be_lost) << path << ": sequence " << sequence;
        }
    }
    EXPECT_GT(damaged, 1);
}

INSTANTIATE_TEST_SUITE_P(Stores, Repair, ::testing::Values(false, true),
                         [](const auto& closed) { return closed.param ? "Closed" : "Killed"; });

TEST(RepairRefuses, WhatIsNoStoreOrInUse) {
    SimDisk empty({"store"});
    const auto none = repair(empty);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code(), ErrorCode::kNotFound);
    const Written written(true);
    SimDisk disk = written.disk;
    SimStore store(disk, 1, Written::options());
    ASSERT_TRUE(store.open());
    const auto used = repair(disk);
    ASSERT_FALSE(used);
    EXPECT_EQ(used.error().code(), ErrorCode::kFailedPrecondition);
}

TEST(RepairRefuses, AFullDiskAndLeavesNothingThere) {
    const Written written(true);
    SimDisk disk = written.disk;
    for (const std::string& path : written.paths()) {
        if (path.find("catalog-") != std::string::npos) {
            remove_file(disk, path);
        }
    }
    const auto before = all_files(disk);
    disk.set_capacity(disk.used_bytes() + 2000);
    const auto full = repair(disk);
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code(), ErrorCode::kResourceExhausted);
    EXPECT_EQ(all_files(disk), before);
}

}  // namespace stepdb::repair_test
