// Stores of every format that counts are read by this program, to the last bit, and written on.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/format/golden_store.h"
#include "tests/support/engine_fixture.h"

namespace stepdb::golden_test {

const std::filesystem::path kGolden =
    std::filesystem::path(STEPDB_SOURCE_DIR) / "tests/format/golden";

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.good()) << path;
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> formats() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
        names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
}

SimDisk load(const std::string& format) {
    SimDisk disk({"store"});
    for (const auto& entry : std::filesystem::directory_iterator(kGolden / format / "store")) {
        disk.put_file("store/" + entry.path().filename().string(),
                      as_bytes(read_file(entry.path())));
    }
    return disk;
}

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, IsReadToTheLastBit) {
    SimDisk disk = load(GetParam());
    SimStore store(disk, 1, golden_options());
    const Status opened = store.open();
    ASSERT_TRUE(opened) << opened.error().to_string();
    EXPECT_EQ(list_store(store), read_file(kGolden / GetParam() / "contents.txt"));
    EXPECT_GT(store.nodes_used(), 0U);
    EXPECT_GT(store.summaries_used(), 0U);
    EXPECT_EQ(store.verify(), "");
}

TEST_P(Golden, IsWrittenOnAndMergedWithoutAChangeOfWhatWasThere) {
    SimDisk disk = load(GetParam());
    SimStore store(disk, 1, golden_options());
    ASSERT_TRUE(store.open());
    const std::string before = list_store(store);
    TestWriter writer(sha256_128(as_bytes("later")));
    writer.connect(store);
    for (int step = 0; step < 40; ++step) {
        writer.send(one_row("q/later", stepped({"loss"}), step, {step * 0.5}));
    }
    store.run();
    ASSERT_TRUE(store.flush());
    ASSERT_TRUE(store.compact());
    writer.disconnect();
    ASSERT_TRUE(store.close());
    ASSERT_TRUE(store.open());
    const std::string after = list_store(store);
    std::string kept;
    size_t added = 0;
    for (size_t at = 0; at < after.size();) {
        const size_t end = after.find('\n', at) + 1;
        const std::string line = after.substr(at, end - at);
        if (line.starts_with("q/later ")) {
            ++added;
        } else {
            kept += line;
        }
        at = end;
    }
    EXPECT_EQ(kept, before);
    EXPECT_EQ(added, 41U) << "forty points and a line of facts";
    EXPECT_EQ(store.verify(), "");
}

INSTANTIATE_TEST_SUITE_P(Formats, Golden, ::testing::ValuesIn(formats()),
                         [](const auto& format) { return "Of" + format.param; });

}  // namespace stepdb::golden_test
