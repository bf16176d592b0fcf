// A sound store is called sound, and whatever is done to its files is found and named.
#include "engine/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/catalog/catalog_file.h"
#include "engine/inspect.h"
#include "engine/manifest/manifest.h"
#include "engine/wal/log_format.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/sim_store.h"
#include "tests/support/tracked_client.h"
#include "tests/support/workload.h"

namespace stepdb::verify_test {

using ::testing::HasSubstr;

// A live store of one metric beside its files.
class EngineVerifyTest : public EngineTest {
  protected:
    VerifyReport verify() {
        SimExecutor executor;
        SimFileSystem files(disk_, executor);
        VerifyOptions options;
        options.directory = "store";
        return run_task(executor, verify_store(files, options)).value();
    }
    ManifestState state() {
        SimExecutor executor;
        SimDisk copy = disk_;
        SimFileSystem files(copy, executor);
        return run_task(executor, load_manifest(files, "store")).value()->state;
    }
};

class VerifyTest : public ::testing::Test {
  protected:
    // Two segments, a catalog, and a log with a few groups on top.
    VerifyTest() { write_and_kill(disk_, 30, {10, 20}); }

    Result<VerifyReport> try_verify(const std::string& directory = "store") {
        SimExecutor executor;
        SimFileSystem files(disk_, executor);
        VerifyOptions options;
        options.directory = directory;
        return run_task(executor, verify_store(files, options));
    }
    VerifyReport verify() { return try_verify().value(); }

    // The files of a kind, oldest first.
    std::vector<std::string> files(std::string_view prefix) {
        std::vector<std::string> found;
        for (const std::string& path : disk_.files()) {
            if (path.starts_with("store/" + std::string(prefix))) {
                found.push_back(path.substr(6));
            }
        }
        return found;
    }
    // The newest one with bytes in it, which is the one that counts.
    std::string file(std::string_view prefix) { return files(prefix).back(); }
    std::vector<std::byte> contents(const std::string& name) {
        return *disk_.contents("store/" + name);
    }
    void remove(const std::string& name) {
        SimExecutor executor;
        SimFileSystem files(disk_, executor);
        ASSERT_TRUE(run_task(executor, files.remove("store/" + name)));
    }

    // Where the n-th group of a log begins, counted from the end; the last few are above the
    // checkpoint.
    uint64_t group_from_end(const std::string& log, int count) {
        const std::vector<std::byte> bytes = contents(log);
        uint64_t at = bytes.size();
        while (count > 0 && at != 0) {
            at -= kPageBytes;
            count -= load_le<uint32_t>(bytes.data() + at) == kGroupMagic ? 1 : 0;
        }
        return at;
    }

    static bool names(const VerifyReport& report, std::string_view file) {
        return std::any_of(report.problems.begin(), report.problems.end(),
                           [&](const StoreProblem& problem) { return problem.file == file; });
    }
    static std::string words(const VerifyReport& report) {
        std::string all;
        for (const StoreProblem& problem : report.problems) {
            EXPECT_FALSE(problem.remedy.empty()) << problem.what;
            all +=
                fmt::format("{}@{}: {}\n", problem.file, problem.offset.value_or(0), problem.what);
        }
        return all;
    }

    // Flips a byte, verifies, and flips it back.
    std::string flipped(const std::string& name, uint64_t offset) {
        EXPECT_TRUE(disk_.flip_byte("store/" + name, offset));
        const VerifyReport report = verify();
        EXPECT_TRUE(disk_.flip_byte("store/" + name, offset));
        return names(report, name) ? words(report) : notes_of(report, name);
    }
    static std::string notes_of(const VerifyReport& report, std::string_view file) {
        std::string all;
        for (const StoreNote& note : report.notes) {
            all += note.file == file ? "note: " + note.what + "\n" : "";
        }
        return all;
    }

    // What inspect_file makes of one file: the error, or the part "notes", or nothing.
    std::string inspected(const std::string& name) {
        class NotesSink final : public InspectSink {
          public:
            void part(std::string_view part, bool /*is_record*/, std::vector<ResultColumn> /*c*/,
                      const ResultBlock& rows) override {
                if (part == "notes") {
                    const auto bytes = rows.column(0).uint64s();
                    const auto texts = rows.column(1).texts();
                    for (uint32_t row = 0; row < rows.rows(); ++row) {
                        notes += fmt::format("note: byte {}: {}\n", bytes[row], texts[row]);
                    }
                }
            }
            std::string notes;
        } sink;
        InspectOptions options;
        options.name = name;
        const Status status = inspect_file(contents(name), options, sink);
        return status ? sink.notes : status.error().message();
    }
    // Flips a byte: both call it a problem, or both note it, or neither does.
    void expect_agreement(const std::string& name, uint64_t offset) {
        const std::string verified = flipped(name, offset);
        disk_.flip_byte("store/" + name, offset);
        const std::string shown = inspected(name);
        disk_.flip_byte("store/" + name, offset);
        const auto kind = [](const std::string& said) {
            return said.empty() ? "nothing" : said.starts_with("note: ") ? "a note" : "a problem";
        };
        EXPECT_STREQ(kind(verified), kind(shown))
            << name << " byte " << offset << ": verify " << verified << "; inspect " << shown;
    }

    SimDisk disk_;
};

TEST_F(VerifyTest, ASoundStoreHasNoProblems) {
    const VerifyReport report = verify();
    EXPECT_EQ(words(report), "");
    EXPECT_EQ(report.segments, 2U);
    EXPECT_GE(report.runs, 2U);
    EXPECT_GT(report.blocks, 2U);
    EXPECT_GT(report.log_groups, 2U);
    EXPECT_GT(report.rows, 30U);
    EXPECT_GT(report.points, report.rows);
    EXPECT_GT(report.bytes, 64U << 10U);
}

TEST_F(VerifyTest, FindsAFlippedByteAnywhereInASegment) {
    for (const std::string& name : files("segment-")) {
        const size_t size = contents(name).size();
        for (size_t offset = 0; offset < size; offset += 41) {
            ASSERT_NE(flipped(name, offset), "") << name << " byte " << offset;
        }
    }
}

TEST_F(VerifyTest, DamageThatLosesNothingIsNotedByInspectToo) {
    const std::string segment = files("segment-").front();
    const std::vector<std::byte> bytes = contents(segment);
    const std::byte* const footer = bytes.data() + bytes.size() - kPageBytes;
    const uint64_t padding = load_le<uint64_t>(footer + 32) + load_le<uint64_t>(footer + 40);
    ASSERT_LT(padding, bytes.size() - kPageBytes);
    EXPECT_EQ(flipped(segment, padding),
              fmt::format("note: byte {}: padding that should be zero is not\n", padding));
    expect_agreement(segment, padding);
    const std::string log = files("log-").front();
    EXPECT_THAT(flipped(log, 704), HasSubstr("note: byte 0: log header: checksum"));
    expect_agreement(log, 704);
    const uint64_t group = group_from_end(log, 3);
    const uint64_t end = group + load_le<uint32_t>(contents(log).data() + group + 4);
    EXPECT_EQ(flipped(log, end - 1),
              fmt::format("note: byte {}: padding that should be zero is not\n", end - 1));
    expect_agreement(log, end - 1);
    // The room behind the edits of a manifest.
    expect_agreement(file("manifest-"), contents(file("manifest-")).size() - 1);
}

TEST_F(VerifyTest, InspectAgreesOnEveryByteOfWhatIsReadAlone) {
    for (const std::string& name :
         {files("segment-").front(), file("catalog-"), file("manifest-")}) {
        const size_t size = contents(name).size();
        for (size_t offset = 0; offset < size; offset += 83) {
            ASSERT_NO_FATAL_FAILURE(expect_agreement(name, offset));
        }
    }
}

TEST_F(VerifyTest, FindsAFlippedByteAnywhereInTheCatalog) {
    const std::string name = file("catalog-");
    const size_t size = contents(name).size();
    for (size_t offset = 0; offset < size; offset += 13) {
        ASSERT_NE(flipped(name, offset), "") << offset;
    }
}

TEST_F(VerifyTest, FindsFlippedBytesOfLogManifestAndCurrent) {
    const std::string log = files("log-").front();
    const uint64_t at = group_from_end(log, 3);
    EXPECT_THAT(flipped(log, at + 20), HasSubstr("lost with it: sequence"));
    EXPECT_THAT(flipped(log, at + 64 + 96 + 30), HasSubstr("lost with it: sequence"));
    EXPECT_THAT(flipped(file("manifest-"), 60), HasSubstr("manifest header"));
    EXPECT_THAT(flipped(file("manifest-"), 4096 + 40), HasSubstr("edit 1 at byte 4096 is damaged"));
    EXPECT_THAT(flipped("CURRENT", 3), HasSubstr("do not name a manifest"));
}

TEST_F(VerifyTest, FindsMissingFiles) {
    for (const std::string prefix : {"segment-", "catalog-", "log-", "manifest-", "CURRENT"}) {
        const SimDisk whole = disk_;
        const std::string name = files(prefix).front();
        remove(name);
        const VerifyReport report = verify();
        EXPECT_TRUE(names(report, name)) << name << ": " << words(report);
        disk_ = whole;
    }
}

TEST_F(VerifyTest, FindsFilesOfSizeZero) {
    for (const std::string prefix : {"segment-", "catalog-", "log-", "manifest-", "CURRENT"}) {
        const SimDisk whole = disk_;
        const std::string name = files(prefix).front();
        disk_.put_file("store/" + name, {});
        const VerifyReport report = verify();
        EXPECT_TRUE(names(report, name)) << name << ": " << words(report);
        disk_ = whole;
    }
}

TEST_F(VerifyTest, ALostCurrentIsToldHowToMend) {
    remove("CURRENT");
    const VerifyReport report = verify();
    ASSERT_EQ(report.problems.size(), 1U) << words(report);
    EXPECT_THAT(report.problems[0].remedy, HasSubstr(file("manifest-")));
    EXPECT_EQ(report.segments, 2U);  // the rest is verified all the same
}

TEST_F(VerifyTest, WithoutAManifestAllFilesThatAreThereAreChecked) {
    const VerifyReport sound = verify();
    const std::string manifest = file("manifest-");
    for (const bool is_gone : {false, true}) {
        const SimDisk whole = disk_;
        is_gone ? remove(manifest) : disk_.put_file("store/" + manifest, as_bytes("no manifest"));
        disk_.put_file("store/diary.txt", as_bytes("not ours"));
        VerifyReport report = verify();
        ASSERT_TRUE(names(report, manifest)) << words(report);
        EXPECT_EQ(report.problems.size(), 1U) << words(report);
        EXPECT_EQ(report.store, sound.store);
        EXPECT_EQ(report.runs, sound.runs);
        EXPECT_EQ(report.segments, 2U);
        EXPECT_EQ(report.log_groups, sound.log_groups);
        EXPECT_EQ(report.rows, sound.rows);
        EXPECT_EQ(report.points, sound.points);
        // No file of the store can be called superfluous.
        ASSERT_EQ(report.notes.size(), 1U) << report.notes[0].file << ": " << report.notes[0].what;
        EXPECT_EQ(report.notes[0].file, "diary.txt");
        // Damage to the others is found too.
        disk_.flip_byte("store/" + files("segment-").front(), 4096 + 5);
        disk_.flip_byte("store/" + file("catalog-"), 4096 + 5);
        disk_.flip_byte("store/" + files("log-").front(), 4096 + 64 + 50);
        report = verify();
        EXPECT_TRUE(names(report, files("segment-").front())) << words(report);
        EXPECT_TRUE(names(report, file("catalog-"))) << words(report);
        EXPECT_TRUE(names(report, files("log-").front())) << words(report);
        EXPECT_EQ(report.problems.size(), 4U) << words(report);
        disk_ = whole;
    }
}

TEST_F(VerifyTest, WithoutACatalogTheRunsOfSegmentsAndLogAreCounted) {
    const VerifyReport sound = verify();
    disk_.flip_byte("store/" + file("catalog-"), 100);
    const VerifyReport report = verify();
    EXPECT_TRUE(names(report, file("catalog-"))) << words(report);
    EXPECT_EQ(report.problems.size(), 1U) << words(report);
    EXPECT_THAT(report.problems[0].remedy, HasSubstr("restarts"));
    EXPECT_EQ(report.runs, sound.runs);
    EXPECT_EQ(report.schemas, sound.schemas);
    EXPECT_THAT(notes_of(report, "log"), HasSubstr("are not counted"));
}

TEST_F(VerifyTest, EveryDamageOfABlockWithSummariesIsToldOnce) {
    disk_ = SimDisk();
    SimStore store(disk_, 9);
    ASSERT_TRUE(store.open());
    TestWriter writer(sha256_128(as_bytes("writer")));
    writer.connect(store);
    SimRandom random(5);
    for (int step = 0; step < 300; ++step) {
        const double value = 0.37 * static_cast<double>(random.below(1000));
        writer.send(one_row("p/r", stepped({"loss"}), step, {value}));
        store.run();
    }
    ASSERT_TRUE(store.flush());
    ASSERT_TRUE(store.compact());
    writer.disconnect();
    ASSERT_TRUE(store.close());
    const std::string segment = file("segment-");
    const std::vector<std::byte> bytes = contents(segment);
    const auto blocks_end =
        load_le<uint64_t>(bytes.data() + bytes.size() - kPageBytes + 56);  // where the names are
    for (uint64_t offset = kPageBytes; offset < blocks_end; ++offset) {
        disk_.flip_byte("store/" + segment, offset);
        const VerifyReport report = verify();
        disk_.flip_byte("store/" + segment, offset);
        ASSERT_EQ(report.problems.size(), 1U) << offset << ": " << words(report);
    }
}

// A life whose flush was the last leaves a log file that holds nothing but what is in segments.
TEST_F(VerifyTest, DamageOfALogBelowTheCheckpointIsOnlyNoted) {
    SimStore store(disk_, 8);
    ASSERT_TRUE(store.open());
    TestWriter writer(sha256_128(as_bytes("another writer")));
    writer.connect(store);
    SimRandom random(12);
    Workload workload(random, 2);
    for (int i = 0; i < 5; ++i) {
        writer.send(workload.next());
        store.run();
    }
    ASSERT_TRUE(store.flush());
    writer.disconnect();
    ASSERT_TRUE(store.close());
    const std::string old_log = file("log-");
    ASSERT_TRUE(store.open());
    ASSERT_TRUE(store.close());
    const SimDisk whole = disk_;
    const auto check = [&](std::string_view what) {
        const VerifyReport report = verify();
        EXPECT_EQ(words(report), "") << what;
        const auto note = std::ranges::find(report.notes, old_log, &StoreNote::file);
        ASSERT_NE(note, report.notes.end()) << what;
        EXPECT_THAT(note->remedy, HasSubstr("nothing to do")) << what;
        disk_ = whole;
    };
    disk_.flip_byte("store/" + old_log, 60);
    check("header");
    disk_.flip_byte("store/" + old_log, 4096 + 20);
    check("first group");
    remove(old_log);
    check("gone");
    disk_.put_file("store/" + old_log, {});
    check("empty");
    disk_.put_file("store/" + old_log, Bytes(contents(old_log)).first(8192));
    check("cut off");
}

TEST_F(VerifyTest, ListsEveryProblem) {
    const std::vector<std::string> segments = files("segment-");
    disk_.flip_byte("store/" + segments[0], 4096 + 5);
    disk_.flip_byte("store/" + segments[1], 20);
    disk_.flip_byte("store/" + segments[1], 4096 + 5);
    const std::string log = files("log-").front();
    disk_.flip_byte("store/" + log, group_from_end(log, 3) + 64 + 50);
    const VerifyReport report = verify();
    EXPECT_EQ(report.problems.size(), 4U) << words(report);
}

TEST_F(VerifyTest, WhatNothingNamesIsNoProblem) {
    disk_.put_file("store/segment-000099", contents(file("segment-")));
    disk_.put_file("store/diary.txt", as_bytes("not ours"));
    const VerifyReport report = verify();
    EXPECT_EQ(words(report), "");
    const auto has_note = [&](std::string_view name) {
        return std::any_of(report.notes.begin(), report.notes.end(),
                           [&](const StoreNote& note) { return note.file == name; });
    };
    EXPECT_TRUE(has_note("segment-000099"));
    EXPECT_TRUE(has_note("diary.txt"));
}

TEST_F(VerifyTest, FindsWhatOnlyOtherFilesContradict) {
    // A catalog that is whole, of this store and this checkpoint, and knows nobody.
    const std::string name = file("catalog-");
    const uint64_t id = *parse_file_name(name, "catalog-");
    const std::vector<std::byte> old = contents(name);
    Id128 store;
    std::copy_n(old.begin() + 32, 16, store.bytes.begin());
    const auto sequence = load_le<uint64_t>(old.data() + 56);
    remove(name);
    SimExecutor executor;
    SimFileSystem files(disk_, executor);
    const std::vector<std::byte> body =
        encode_checkpoint(Catalog(), WriterTable(), RunActivities(), {});
    ASSERT_TRUE(
        run_task(executor, write_catalog_file(files, "store/" + name, store, id, sequence, body)));
    const std::string found = words(verify());
    EXPECT_THAT(found, HasSubstr("the catalog does not know the run"));
    EXPECT_THAT(found, HasSubstr("the catalog does not know the schema"));
    EXPECT_THAT(found, HasSubstr("which are not all known"));
    // Two segments under each other's names.
    const std::vector<std::string> segments = this->files("segment-");
    const std::vector<std::byte> first = contents(segments[0]);
    disk_.put_file("store/" + segments[0], contents(segments[1]));
    disk_.put_file("store/" + segments[1], first);
    EXPECT_THAT(words(verify()), HasSubstr("segment file has file id"));
}

TEST_F(VerifyTest, TakesTheLockAndNoDirectoryWithoutAStore) {
    SimStore store(disk_, 8);
    ASSERT_TRUE(store.open());
    EXPECT_EQ(try_verify().error().code(), ErrorCode::kFailedPrecondition);
    EXPECT_EQ(store.verify(), "");
    ASSERT_TRUE(store.close());
    EXPECT_TRUE(verify().good());
    disk_.make_directory("empty");
    EXPECT_EQ(try_verify("empty").error().code(), ErrorCode::kNotFound);
    EXPECT_TRUE(disk_.names("empty").empty());
    EXPECT_FALSE(try_verify("nowhere").has_value());
}

// A segment that a merge has replaced, named again beside the one that replaced it.
TEST_F(EngineVerifyTest, RowsThatAreInTheStoreTwiceAreTold) {
    for (int step = 0; step < 40; ++step) {
        send(one_row("p/r", loss_, step, {0.5 * step}));
        if (step % 20 == 19) {
            store_.run();
            ASSERT_TRUE(store_.flush());
        }
    }
    const SimDisk before = disk_;
    const ManifestState old = state();
    const Id128 store = store_.engine().store_id();
    ASSERT_TRUE(store_.compact());
    store_.run();
    ASSERT_EQ(store_.verify(), "");
    store_.crash(CrashKind::kProcessKill);
    ManifestState both = state();
    ASSERT_EQ(both.segments.size(), 1U);
    const uint64_t again = old.segments.begin()->first;
    both.segments[again] = old.segments.at(again);
    both.segment_runs[again] = old.segment_runs.at(again);
    const std::string name = "store/" + segment_file_name(again);
    disk_.put_file(name, *before.contents(name));
    {
        SimExecutor executor;
        SimFileSystem files(disk_, executor);
        Manifest manifest(files, "store", store, 1U << 20U);
        manifest.skip_file_ids(both.next_file_id);
        ASSERT_TRUE(run_task(executor, manifest.begin(both)));
    }
    const VerifyReport report = verify();
    ASSERT_FALSE(report.problems.empty());
    EXPECT_THAT(report.problems.front().what, HasSubstr("is in the store before"));
}

// Rows whose columns were deleted at different times come into blocks of other columns, and a block
// may say of a row that it has no value in a column where another block has one.
TEST(EngineVerify, RowsWhoseColumnsLieInSeveralBlocksAreNoProblem) {
    for (const uint64_t seed : {uint64_t{72}, uint64_t{1}, uint64_t{2}}) {
        SimDisk disk;
        SimRandom random(seed);
        EngineOptions options = SimStore::small_options();
        options.merge_automatically = random.coin();
        SimStore store(disk, seed, options);
        ASSERT_TRUE(store.open());
        TrackedClient client(store, sha256_128(as_bytes("w")), [&] {
            for (uint64_t turns = random.below(12); turns > 0; --turns) {
                store.executor().run_one();
            }
        });
        std::vector<std::string> metrics(60);
        for (size_t i = 0; i < metrics.size(); ++i) {
            metrics[i] = fmt::format("m/{:02}", i);
        }
        const auto schema =
            std::make_shared<const Schema>(*Schema::create(Axis::kStepped, metrics));
        int step = 0;
        for (uint64_t round = 0; round < 40; ++round) {
            ModelChange change;
            change.run = "p/r";
            change.schema = schema;
            for (uint64_t rows = 1 + random.below(12); rows > 0; --rows) {
                ModelRow& row = change.rows.emplace_back();
                row.step = random.below(4) == 0 ? static_cast<double>(random.below(50)) : step++;
                row.time_us = 1'700'000'000'000'000 + step;
                for (int i = 0; i < 60; ++i) {
                    row.values.emplace_back(step * 0.1 + i);
                }
            }
            client.send(change);
            if (random.below(3) != 0) {
                client.delete_metrics("p/r", {metrics[round]});
            }
            if (random.coin()) {
                store.run();
                ASSERT_TRUE(store.flush());
            }
            if (random.below(3) == 0) {
                start(store.engine().compact(), [](const Status&) {});
            }
            if (random.below(6) == 0) {
                store.run();
                ASSERT_EQ(store.verify(), "") << "seed " << seed << ", round " << round;
            }
        }
    }
}

}  // namespace stepdb::verify_test
