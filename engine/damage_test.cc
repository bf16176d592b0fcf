// Damaged stores: what can be read is read, and what cannot is named.
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/model/file_header.h"
#include "engine/model/life_frame.h"
#include "tests/support/engine_fixture.h"

namespace stepdb::damage_test {

class DamageTest : public EngineTest {};

// What is left of a damaged store is open for reading and takes no frames.
TEST_F(DamageTest, DamageAtTheEndOfAnEarlierLogFileIsNamedAndTheRestIsRead) {
    send(one_row("p/r", loss_, 1, {1.0}));
    store_.run();
    std::string first_log;
    for (const std::string& path : disk_.files()) {
        first_log = path.find("/log-") != std::string::npos ? path : first_log;
    }
    writer_.disconnect();
    store_.crash(CrashKind::kProcessKill);
    ASSERT_TRUE(store_.open().has_value());
    writer_.connect(store_);
    send(one_row("p/r", loss_, 2, {2.0}));
    send(one_row("p/other", loss_, 1, {3.0}));
    store_.run();
    store_.crash(CrashKind::kPowerCut);
    const size_t files = disk_.files().size();
    ASSERT_TRUE(disk_.flip_byte(first_log, kPageBytes + 100));
    ASSERT_TRUE(store_.open().has_value());
    EXPECT_EQ(disk_.files().size(), files) << "nothing is removed";
    ASSERT_FALSE(store_.engine().recovery().damage.empty());
    EXPECT_NE(store_.engine().recovery().damage[0].what.find(first_log), std::string::npos)
        << store_.engine().recovery().damage[0].what;
    ASSERT_TRUE(store_.engine().read_only_reason().has_value());
    std::string briefly;
    for (const StoreDamage& damage : store_.engine().recovery().damage) {
        briefly += damage.brief;
    }
    EXPECT_EQ(briefly, first_log.substr(first_log.find('/') + 1) +
                           " cannot be read whole, and answers lack what was acknowledged with "
                           "sequences 1 to 3; restore it from a backup");
    // The run, schema and row of the damaged group are gone, and with them what speaks of them.
    EXPECT_TRUE(store_.contents()->empty() || store_.contents()->size() == 1U);
    ASSERT_TRUE(disk_.flip_byte(first_log, kPageBytes + 100));
    store_.crash(CrashKind::kProcessKill);
    ASSERT_TRUE(store_.open().has_value());
    EXPECT_TRUE(store_.engine().recovery().damage.empty()) << "restored, it is whole again";
    expect_model();
}

TEST_F(DamageTest, ADamagedManifestEditIsFoundOutByTheLogThatOnlyItNamed) {
    for (int i = 0; i < 400; ++i) {
        send(one_row("p/r", loss_, i, {0.1 * i}));
        store_.run();
    }
    const std::string manifest = find_file("/manifest-");
    writer_.disconnect();
    store_.crash(CrashKind::kProcessKill);
    // The last byte that is not zero is in the last edit.
    const std::vector<std::byte> bytes = *disk_.contents(manifest);
    size_t last = bytes.size() - 1;
    while (bytes[last] == std::byte{0}) {
        --last;
    }
    ASSERT_TRUE(disk_.flip_byte(manifest, last));
    const size_t files = disk_.files().size();
    ASSERT_TRUE(store_.open().has_value());
    if (!store_.engine().recovery().damage.empty()) {
        EXPECT_NE(store_.engine().recovery().damage[0].what.find("manifest"), std::string::npos);
        EXPECT_EQ(disk_.files().size(), files) << "nothing is removed";
    }
    expect_model();
}

TEST_F(DamageTest, ADamagedSegmentTakesOnlyItsRunsWithIt) {
    send(one_row("p/a", loss_, 1, {1.0}));
    store_.run();
    ASSERT_TRUE(store_.flush().has_value());
    send(one_row("p/b", loss_, 1, {2.0}));
    store_.run();
    ASSERT_TRUE(store_.flush().has_value());
    writer_.disconnect();
    ASSERT_TRUE(store_.close().has_value());
    const std::string segment = find_file("/segment-");
    disk_.put_file(segment, {});
    ASSERT_TRUE(store_.open().has_value());
    EXPECT_TRUE(store_.engine().recovery().damage.empty());
    ASSERT_EQ(store_.engine().recovery().damaged_segments.size(), 1U);
    EXPECT_FALSE(store_.engine().read_only_reason().has_value());
    const auto catalog = store_.engine().catalog();
    const auto a = catalog->find_run("p", "a");
    const auto b = catalog->find_run("p", "b");
    const std::vector<uint64_t> ids = {a->id, b->id};
    const auto snapshot = store_.engine().snapshot(ids);
    ASSERT_NE(snapshot->damage({*a, 0}), nullptr);
    EXPECT_NE(snapshot->damage({*a, 0})->message().find(segment), std::string::npos);
    EXPECT_EQ(snapshot->damage({*b, 0}), nullptr);
    TestWriter other(sha256_128(as_bytes("another writer")));
    other.connect(store_);
    other.send(one_row("p/a", loss_, 2, {1.0}));
    other.send(one_row("p/b", loss_, 2, {4.0}));
    store_.run();
    ASSERT_EQ(other.refusals().size(), 1U);
    EXPECT_EQ(other.refusals()[0].second.error.code(), ErrorCode::kUnavailable);
    EXPECT_NE(other.refusals()[0].second.error.message().find(segment), std::string::npos);
}

// A newer format is no damage: nothing is read around it, and nothing is changed.
TEST_F(DamageTest, AFileOfANewerFormatIsRefusedByName) {
    send(one_row("p/a", loss_, 1, {1.0}));
    store_.run();
    ASSERT_TRUE(store_.flush().has_value());
    send(one_row("p/a", loss_, 2, {2.0}));
    store_.run();
    writer_.disconnect();
    ASSERT_TRUE(store_.close().has_value());
    const FileKind kinds[] = {{"STEPDBSG", "segment"},
                              {"STEPDBLG", "log"},
                              {"STEPDBCT", "catalog"},
                              {"STEPDBMF", "manifest"}};
    for (const FileKind& kind : kinds) {
        const std::string path = find_file("/" + std::string(kind.name) + "-");
        const std::vector<std::byte> before = *disk_.contents(path);
        for (const bool is_feature : {false, true}) {
            const FileKind newer{kind.magic, kind.name, 99, 0, ~uint64_t{0}};
            auto header = decode_file_header(newer, Bytes(before).first(kFileHeaderBytes));
            ASSERT_TRUE(header) << header.error().message();
            header->version = is_feature ? header->version : 99;
            header->incompatible_features = is_feature ? 4 : 0;
            std::vector<std::byte> bytes = encode_file_header(newer, *header);
            bytes.insert(bytes.end(), before.begin() + kFileHeaderBytes, before.end());
            disk_.put_file(path, bytes);
            const std::vector<std::string> files = disk_.files();
            const Status opened = store_.open();
            ASSERT_FALSE(opened) << path;
            EXPECT_EQ(opened.error().code(), ErrorCode::kUnsupportedVersion) << path;
            for (const std::string& part :
                 {path, std::string(is_feature ? "features 0x4" : "version 99"),
                  std::string("reads versions 1 to"), std::string("newer")}) {
                EXPECT_NE(opened.error().message().find(part), std::string::npos)
                    << part << ": " << opened.error().message();
            }
            EXPECT_EQ(disk_.files(), files);
            EXPECT_EQ(disk_.contents(path), bytes);
        }
        disk_.put_file(path, before);
    }
    ASSERT_TRUE(store_.open().has_value());
    expect_model();
}

TEST_F(DamageTest, ALostCatalogIsMadeAnewFromSegmentsAndLog) {
    send(one_row("p/a", loss_, 1, {1.0}));
    store_.run();
    ASSERT_TRUE(store_.flush().has_value());
    send(one_row("p/b", stepped({"other"}), 1, {2.0}));
    store_.run();
    store_.crash(CrashKind::kProcessKill);
    const std::string catalog = find_file("/catalog-");
    disk_.put_file(catalog, {});
    ASSERT_TRUE(store_.open().has_value());
    ASSERT_EQ(store_.engine().recovery().damage.size(), 1U);
    EXPECT_NE(store_.engine().recovery().damage[0].what.find(catalog), std::string::npos);
    EXPECT_TRUE(store_.engine().read_only_reason().has_value());
    expect_model();
}

// Restarts, as `all ranks` send them.
TestWriter::EncodeLife restart(uint32_t attempt, double step) {
    return [=](uint32_t handle, uint64_t number) {
        RestartRunFrame frame;
        frame.handle = handle;
        frame.attempt = attempt;
        frame.step = step;
        return encode_restart_run_frame(frame, number);
    };
}

TEST_F(DamageTest, ALostCatalogSaysWhatIsLostWithItAndWhatMayBeShown) {
    send(one_row("p/a", loss_, 1, {1.0}));
    send(one_row("p/a", loss_, 2, {2.0}));
    writer_.send_life("p/a", restart(1, 1));
    ModelChange again = one_row("p/a", loss_, 3, {30.0});
    again.attempt = 1;
    writer_.send(again);
    writer_.send_life("p/a", restart(2, 3));
    store_.run();
    writer_.disconnect();
    // Into a segment, and out of the log.
    store_.crash(CrashKind::kProcessKill);
    ASSERT_TRUE(store_.open().has_value());
    writer_.connect(store_);
    writer_.send(one_row("p/b", loss_, 1, {1.0}));
    store_.run();
    ASSERT_TRUE(store_.flush().has_value());
    ModelChange newest = one_row("p/a", loss_, 4, {40.0});
    newest.attempt = 2;
    writer_.send(newest);
    store_.run();
    store_.crash(CrashKind::kProcessKill);
    disk_.put_file(find_file("/catalog-"), {});
    ASSERT_TRUE(store_.open().has_value());
    ASSERT_EQ(store_.engine().recovery().damage.size(), 1U);
    const std::string& said = store_.engine().recovery().damage[0].what;
    for (const char* lost : {"restarts", "forks", "deletes", "discarded attempts", "attributes",
                             "finished", "retention", "writers", "from a backup"}) {
        EXPECT_NE(said.find(lost), std::string::npos) << lost << ": " << said;
    }
    const std::string& brief = store_.engine().recovery().damage[0].brief;
    for (const char* lost :
         {"catalog-", "restarts", "forks", "deletes", "attributes", "states", "from a backup"}) {
        EXPECT_NE(brief.find(lost), std::string::npos) << lost << ": " << brief;
    }
    EXPECT_LT(3 * brief.size(), said.size());
    // The newest attempt is read, and what it had hidden of the one before is shown.
    const auto contents = store_.contents();
    ASSERT_TRUE(contents.has_value()) << contents.error().to_string();
    const auto& series = contents->at({"p/a", "loss"});
    EXPECT_EQ(series.size(), 4U);
    EXPECT_TRUE(series.contains(key_of_step(2))) << "hidden by a restart of which nobody knows";
    EXPECT_TRUE(series.contains(key_of_step(3))) << "of an attempt that a segment tells of";
    EXPECT_TRUE(series.contains(key_of_step(4))) << "of one that only the log tells of";
    EXPECT_EQ(contents->at({"p/a#0", "loss"}).size(), 2U);
}

TEST_F(DamageTest, WhatTheLogStillKnowsOfRestartsCountsMoreThanAGuess) {
    send(one_row("p/a", loss_, 1, {1.0}));
    send(one_row("p/a", loss_, 2, {2.0}));
    for (const uint32_t attempt : {1U, 3U}) {
        writer_.send_life("p/a", restart(attempt, 1));
        model_.restart("p/a", attempt, 1);
        ModelChange again = one_row("p/a", loss_, 3, {30.0 + attempt});
        again.attempt = attempt;
        send(again);
    }
    store_.run();
    // The log file in use stays.
    ASSERT_TRUE(store_.flush().has_value());
    store_.crash(CrashKind::kProcessKill);
    disk_.put_file(find_file("/catalog-"), {});
    ASSERT_TRUE(store_.open().has_value());
    ASSERT_EQ(store_.engine().recovery().damage.size(), 1U);
    expect_model();
}

TEST_F(DamageTest, ALostManifestRaisesNoAlarmAboutALogInWhichNothingIsMissing) {
    // First with a log in which there is nothing, then with one of which all is in a segment.
    for (const bool has_rows : {false, true}) {
        if (has_rows) {
            writer_.connect(store_);
            send(one_row("p/a", loss_, 1, {1.0}));
            store_.run();
            ASSERT_TRUE(store_.flush().has_value());
        }
        writer_.disconnect();
        ASSERT_TRUE(store_.close().has_value());
        const std::string manifest = find_file("/manifest-");
        ASSERT_TRUE(disk_.flip_byte(manifest, 40));
        ASSERT_TRUE(store_.open().has_value());
        const std::vector<StoreDamage>& damage = store_.engine().recovery().damage;
        ASSERT_EQ(damage.size(), 1U) << damage.back().what;
        EXPECT_NE(damage[0].what.find("manifest"), std::string::npos) << damage[0].what;
        expect_model();
        ASSERT_TRUE(store_.close().has_value());
        ASSERT_TRUE(disk_.flip_byte(manifest, 40));
        ASSERT_TRUE(store_.open().has_value());
        EXPECT_TRUE(store_.engine().recovery().damage.empty()) << "restored, it is whole again";
    }
}

TEST_F(DamageTest, ALostCurrentIsNoNewStoreAndTheManifestBesideItServes) {
    send(one_row("p/r", loss_, 1, {1.0}));
    store_.run();
    writer_.disconnect();
    ASSERT_TRUE(store_.close().has_value());
    SimFileSystem files(disk_, store_.executor());
    ASSERT_TRUE(run_task(store_.executor(), files.remove("store/CURRENT")).has_value());
    ASSERT_TRUE(store_.open().has_value());
    ASSERT_EQ(store_.engine().recovery().damage.size(), 1U);
    EXPECT_NE(store_.engine().recovery().damage[0].what.find("CURRENT is missing"),
              std::string::npos);
    EXPECT_TRUE(store_.engine().read_only_reason().has_value());
    expect_model();
}

TEST_F(DamageTest, WithoutAnyManifestTheFilesTellWhatThereIs) {
    send(one_row("p/a", loss_, 1, {1.0}));
    store_.run();
    ASSERT_TRUE(store_.flush().has_value());
    send(one_row("p/a", loss_, 2, {2.0}));
    send(one_row("p/b", loss_, 1, {3.0}));
    store_.run();
    store_.crash(CrashKind::kProcessKill);
    for (const std::string& path : disk_.files()) {
        if (path.find("/manifest-") != std::string::npos) {
            disk_.put_file(path, {});
        }
    }
    ASSERT_TRUE(store_.open().has_value());
    ASSERT_FALSE(store_.engine().recovery().damage.empty());
    EXPECT_NE(store_.engine().recovery().damage[0].what.find("manifest"), std::string::npos);
    expect_model();
}

}  // namespace stepdb::damage_test
