#include "tools/import/run_id.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/model/schema.h"

namespace stepdb::run_id_test {

TEST(RunId, ComesFromThePathWithDotsForSlashes) {
    EXPECT_EQ(run_id_of("a.csv"), "a.csv");
    EXPECT_EQ(run_id_of("sweep/7/log.csv"), "sweep.7.log.csv");
    EXPECT_EQ(run_id_of("1B-10xC.csv"), "1B-10xC.csv");
    EXPECT_EQ(run_id_of("läs/ö.csv"), "läs.ö.csv");
}

TEST(RunId, HasNoByteThatIdsMayNotHave) {
    std::string all;
    for (int byte = 1; byte < 256; ++byte) {
        all = std::string("x") + static_cast<char>(byte);
        EXPECT_TRUE(check_id("run", run_id_of(all))) << byte;
    }
    EXPECT_EQ(run_id_of("a b#c*d\"e'f\n.csv"), "a_b_c_d_e_f_.csv");
}

TEST(FindFiles, LeavesTheSuffixOfCompressionOutOfTheId) {
    const std::string directory = ::testing::TempDir() + fmt::format("stepdb-ids-{}", getpid());
    std::filesystem::create_directories(directory);
    for (const std::string_view name : {"a.csv", "b.csv.gz", "c.csv.zst", "d.gz", "e.csv.xz"}) {
        std::ofstream(fmt::format("{}/{}", directory, name)) << "x";
    }
    LogFilePattern pattern;
    pattern.suffixes = {".csv"};
    const FoundFiles found = find_files({directory, directory + "/d.gz"}, pattern);
    std::filesystem::remove_all(directory);
    std::vector<std::string> runs;
    for (const FoundFile& file : found.files) {
        runs.push_back(file.run);
    }
    EXPECT_EQ(runs, (std::vector<std::string>{"a.csv", "b.csv", "c.csv", "d"}));
}

TEST(FindFiles, NamesWhatIsNotThere) {
    const FoundFiles found = find_files({"/no/such/file.csv", "/dev/null"}, LogFilePattern());
    ASSERT_EQ(found.errors.size(), 1U);
    EXPECT_EQ(found.errors[0].code(), ErrorCode::kNotFound);
    EXPECT_NE(found.errors[0].message().find("/no/such/file.csv"), std::string::npos);
    ASSERT_EQ(found.files.size(), 1U);
    EXPECT_EQ(found.files[0].path, "/dev/null");
}

TEST(FindFiles, TakesAFileThatIsNamedTwiceOnce) {
    const FoundFiles found =
        find_files({"/dev/null", "/dev/./null", "/dev/zero"}, LogFilePattern());
    ASSERT_EQ(found.files.size(), 2U);
    EXPECT_EQ(found.files[0].path, "/dev/null");
    EXPECT_EQ(found.files[1].path, "/dev/zero");
}

}  // namespace stepdb::run_id_test
