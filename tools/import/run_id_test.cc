#include "tools/import/run_id.h"

#include <gtest/gtest.h>

#include "engine/model/schema.h"

namespace stepdb {
namespace {

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

TEST(FindFiles, NamesWhatIsNotThere) {
    const auto files = find_files({"/no/such/file.csv"}, LogFilePattern());
    ASSERT_FALSE(files);
    EXPECT_EQ(files.error().code(), ErrorCode::kNotFound);
    EXPECT_NE(files.error().message().find("/no/such/file.csv"), std::string::npos);
}

}  // namespace
}  // namespace stepdb
