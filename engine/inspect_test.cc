// Every kind of file shows its parts; a damaged one shows what comes before and names the place.
#include "engine/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/sim_store.h"
#include "tests/support/workload.h"

namespace stepdb::inspect_test {

using ::testing::HasSubstr;

class CollectingSink final : public InspectSink {
  public:
    void part(std::string_view name, bool is_record, std::vector<ResultColumn> columns,
              const ResultBlock& rows) override {
        EXPECT_EQ(columns.size(), rows.width()) << name;
        EXPECT_TRUE(rows.is_complete()) << name;
        EXPECT_TRUE(!is_record || rows.rows() == 1) << name;
        parts[std::string(name)] += rows.rows();
    }

    std::map<std::string, uint32_t> parts;  // rows
};

class InspectTest : public ::testing::Test {
  protected:
    InspectTest() { write_and_kill(disk_, 20, {10}); }

    std::vector<std::byte> file(std::string_view prefix) {
        for (const std::string& path : disk_.files()) {
            if (path.starts_with("store/" + std::string(prefix))) {
                return *disk_.contents(path);
            }
        }
        return {};
    }

    // The parts shown; `error` is what came back, "" if nothing.
    std::map<std::string, uint32_t> inspect(Bytes bytes, std::optional<uint64_t> block = {},
                                            const std::string& name = "") {
        CollectingSink sink;
        InspectOptions options;
        options.block = block;
        options.name = name;
        const Status status = inspect_file(bytes, options, sink);
        error_ = status ? "" : status.error().to_string();
        return sink.parts;
    }

    SimDisk disk_;
    std::string error_;
};

TEST_F(InspectTest, ShowsEveryKindOfFile) {
    EXPECT_EQ(inspect(file("CURRENT")).at("current"), 1U);
    EXPECT_EQ(error_, "");
    auto parts = inspect(file("manifest-"));
    EXPECT_EQ(error_, "");
    EXPECT_GE(parts.at("edits"), 2U);
    EXPECT_GE(parts.at("files"), 3U);
    parts = inspect(file("catalog-"));
    EXPECT_EQ(error_, "");
    EXPECT_GE(parts.at("runs"), 2U);
    EXPECT_GE(parts.at("schemas"), 1U);
    EXPECT_EQ(parts.at("writers"), parts.at("runs"));
    parts = inspect(file("log-"));
    EXPECT_EQ(error_, "");
    EXPECT_GE(parts.at("groups"), 10U);
    EXPECT_GE(parts.at("records"), parts.at("groups"));
    EXPECT_EQ(parts.at("end"), 1U);
    parts = inspect(file("segment-"));
    EXPECT_EQ(error_, "");
    EXPECT_GE(parts.at("blocks"), 2U);
    EXPECT_FALSE(parts.contains("damaged blocks"));
    parts = inspect(file("segment-"), 0);
    EXPECT_EQ(error_, "");
    EXPECT_FALSE(parts.contains("blocks"));
    EXPECT_FALSE(parts.contains("header"));
    EXPECT_GE(parts.at("columns"), 1U);
    EXPECT_GE(parts.at("strips"), 1U);
}

TEST_F(InspectTest, NamesTheDamageAndShowsTheRest) {
    std::vector<std::byte> log = file("log-");
    const uint32_t groups = inspect(log).at("groups");
    log[4096 * 3 + 70] ^= std::byte{1};
    auto parts = inspect(log);
    EXPECT_THAT(error_, HasSubstr("at byte 12352: checksum"));
    EXPECT_LT(parts.at("groups"), groups);
    EXPECT_GE(parts.at("records"), 1U);

    std::vector<std::byte> segment = file("segment-");
    segment[4096 + 3] ^= std::byte{1};
    parts = inspect(segment, 0);
    EXPECT_THAT(error_, HasSubstr("byte 4096: axis: checksum"));
    EXPECT_GE(parts.at("columns"), 1U);
    parts = inspect(segment);
    EXPECT_THAT(error_, HasSubstr("block 0: byte 4096: axis: checksum"));
    EXPECT_EQ(parts.at("damaged blocks"), 1U);
    EXPECT_GE(parts.at("blocks"), 2U);
    segment[20] ^= std::byte{1};
    parts = inspect(segment, 0);
    EXPECT_THAT(error_, HasSubstr("byte 0: segment header: checksum"));
    EXPECT_GE(parts.at("columns"), 1U);

    std::vector<std::byte> catalog = file("catalog-");
    catalog[4096 + 30] ^= std::byte{1};
    parts = inspect(catalog);
    EXPECT_THAT(error_, HasSubstr("byte 4096: body checksum"));
    EXPECT_EQ(parts.at("header"), 1U);

    std::vector<std::byte> manifest = file("manifest-");
    manifest[4096 + 33] ^= std::byte{1};
    parts = inspect(manifest);
    EXPECT_THAT(error_, HasSubstr("edit 1 at byte 4096 is damaged"));
}

TEST_F(InspectTest, NamesWhatIsMissingOfALogThatWasCutOff) {
    const std::vector<std::byte> log = file("log-");
    const auto parts = inspect(Bytes(log).first(log.size() - 4096));
    EXPECT_THAT(error_, HasSubstr(fmt::format("byte {}: the file ends here; it was made with {}",
                                              log.size() - 4096, log.size())));
    EXPECT_GE(parts.at("records"), 1U);
}

TEST_F(InspectTest, TellsTheKindOfADamagedFileByItsName) {
    inspect(as_bytes("manifold-000002\n"), {}, "CURRENT");
    EXPECT_THAT(error_, HasSubstr("do not name a manifest"));
    std::vector<std::byte> segment = file("segment-");
    segment[0] ^= std::byte{1};
    const auto parts = inspect(segment, {}, "segment-000004");
    EXPECT_THAT(error_, HasSubstr("byte 0: "));
    EXPECT_GE(parts.at("blocks"), 2U);
}

TEST_F(InspectTest, SurvivesTruncationAnywhere) {
    for (const std::string_view kind : {"log-", "segment-", "catalog-", "manifest-", "CURRENT"}) {
        const std::vector<std::byte> whole = file(kind);
        const size_t step = whole.size() > 30'000 ? 997 : 101;
        for (size_t size = 0; size < std::min<size_t>(whole.size(), 40'000); size += step) {
            inspect(Bytes(whole).first(size),
                    kind == "segment-" ? std::optional<uint64_t>(0) : std::nullopt);
        }
    }
}

TEST_F(InspectTest, RefusesWhatIsNoFileOfAStore) {
    inspect({});
    EXPECT_THAT(error_, HasSubstr("0 bytes"));
    inspect(as_bytes("#!/bin/sh\necho not ours\n"));
    EXPECT_THAT(error_, HasSubstr("no file of a store: it begins with '#!/bin/s'"));
    inspect({}, {}, "LOCK");
    EXPECT_THAT(error_, HasSubstr("there is nothing in it"));
    inspect(as_bytes("STEPDBLG"));
    EXPECT_THAT(error_, HasSubstr("within its header"));
    inspect(file("log-"), 0);
    EXPECT_THAT(error_, HasSubstr("a log has no blocks"));
    inspect(file("segment-"), 999);
    EXPECT_THAT(error_, HasSubstr("there is no block 999"));
}

}  // namespace stepdb::inspect_test
