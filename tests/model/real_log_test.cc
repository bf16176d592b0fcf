// A real log of 105 series through every stage of the store, bit for bit: tails, blocks in memory,
// replay after a power cut, a segment written by this process and one opened from disk.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/base/float_bits.h"
#include "tests/support/sim_store.h"
#include "tools/import/csv_reader.h"

namespace stepdb::real_log_test {

std::string log_path() {
    const char* data = std::getenv("STEPDB_DATA");  // NOLINT(concurrency-mt-unsafe): one thread
    const std::string folder = data != nullptr ? data : STEPDB_SHARED_DATA;
    return folder + "/olmo_ladder/1B-10xC.csv";
}

// The rows of the log, grouped by the columns that they have, in the order of the file.
std::vector<ModelChange> read_log(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    ByteSource source = [&](MutableBytes into) -> Result<size_t> {
        file.read(reinterpret_cast<char*>(into.data()), static_cast<std::streamsize>(into.size()));
        return static_cast<size_t>(file.gcount());
    };
    CsvReader reader(std::move(source), CsvOptions());
    std::vector<std::string_view> fields;
    EXPECT_TRUE(*reader.next(fields));
    std::vector<std::string> names(fields.begin(), fields.end());
    const auto schema = std::make_shared<const Schema>(
        *Schema::create(Axis::kStepped, std::vector<std::string>(names.begin() + 1, names.end())));
    std::vector<ModelChange> changes;
    int64_t time_us = 1'700'000'000'000'000;
    while (*reader.next(fields)) {
        if (changes.empty() || changes.back().rows.size() == 7) {
            changes.emplace_back();
            changes.back().run = "real/olmo";
            changes.back().schema = schema;
        }
        ModelRow row;
        row.step = parse_value(fields[0]);
        row.time_us = time_us += 1'000'003;
        for (size_t column = 1; column < fields.size(); ++column) {
            row.values.push_back(parse_value(fields[column]));
        }
        changes.back().rows.push_back(std::move(row));
    }
    return changes;
}

TEST(RealLog, SurvivesEveryStageBitForBit) {
    if (!std::filesystem::exists(log_path())) {
        GTEST_SKIP() << "no folder of real logs beside the checkout and no $STEPDB_DATA";
    }
    SimDisk disk;
    EngineOptions options;  // the sizes of production
    options.directory = "store";
    options.log_file_bytes = 4U << 20U;
    SimStore store(disk, 1, options);
    ASSERT_TRUE(store.open().has_value());
    TestWriter writer(sha256_128(as_bytes("writer")));
    writer.connect(store);
    ReferenceModel model;
    for (const ModelChange& change : read_log(log_path())) {
        writer.send(change);
        model.apply(change);
    }
    store.run();
    ASSERT_EQ(writer.acknowledged(), writer.sent());
    size_t points = 0;
    for (const auto& [name, series] : model.contents()) {
        points += series.size();
    }
    EXPECT_EQ(model.contents().size(), 105U);
    EXPECT_EQ(points, 85470U) << "as series.csv has it";

    const auto expect_model = [&](std::string_view stage) {
        const auto got = store.contents();
        ASSERT_TRUE(got.has_value()) << stage << ": " << got.error().to_string();
        EXPECT_EQ(describe_difference(model.contents(), *got), "") << stage;
    };
    expect_model("tails and blocks");
    writer.disconnect();
    store.crash(CrashKind::kPowerCut);
    ASSERT_TRUE(store.open().has_value());
    EXPECT_GT(store.engine().recovery().rows_replayed, 0U);
    expect_model("replayed");
    ASSERT_TRUE(store.flush().has_value());
    EXPECT_EQ(store.engine().stats().segments, 1U);
    expect_model("segment");
    const double bytes_per_point =
        static_cast<double>(store.engine().stats().segment_bytes) / static_cast<double>(points);
    RecordProperty("segment_bytes_per_point", std::to_string(bytes_per_point));
    std::printf("%.2f bytes a point in the segment\n", bytes_per_point);
    ASSERT_TRUE(store.close().has_value());
    ASSERT_TRUE(store.open().has_value());
    EXPECT_EQ(store.engine().recovery().rows_replayed, 0U);
    expect_model("segment from disk");
}

}  // namespace stepdb::real_log_test
