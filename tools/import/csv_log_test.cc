#include "tools/import/csv_log.h"

#include <gtest/gtest.h>

#include "tools/import/testing/log_text.h"

namespace stepdb::csv_log_test {

using testing::LogText;
using testing::read_log;

class CsvLogTest : public testing::LogFiles {
  protected:
    LogText read(const std::string& text, const LogOptions& options = LogOptions()) {
        Result<std::unique_ptr<LogSource>> log = CsvLog::open(write("log.csv", text), options);
        if (!log) {
            LogText none;
            none.error = log.error().message();
            return none;
        }
        return read_log(**log);
    }
};

using Rows = std::vector<std::string>;

TEST_F(CsvLogTest, CutsUnitsOffWhereTheHeaderNamesThem) {
    const LogText log = read(
        "step, power [W], load [%], other\n"
        "0, 69.05 W, 0 %, 5 W\n"
        "1, 70W, 3, 6\n"
        "2, [N/A], 4 W, 7\n"
        "3, 71 , nan %, 8\n");
    EXPECT_EQ(log.rows, (Rows{"0 0 power=69.05 load=0", "1 0 power=70 load=3 other=6",
                              "2 0 other=7", "3 0 power=71 load=nan other=8"}));
    EXPECT_EQ(log.counts.skipped, 3U);
    EXPECT_NE(log.counts.first_skipped.find("line 2, column other: '5 W'"), std::string::npos);
}

TEST_F(CsvLogTest, KeepsBracketsThatAreNoUnitOrTellColumnsApart) {
    const LogText log =
        read("step,acc [0],loss [nats],loss [bits],[x],y[W],z [],lr\n0,1,2,3 bits,4,5,6,7\n");
    EXPECT_EQ(log.metrics, (std::vector<std::string>{"acc [0]", "loss [nats]", "loss [bits]", "[x]",
                                                     "y[W]", "z []", "lr"}));
    EXPECT_EQ(log.counts.skipped, 0U);
}

TEST_F(CsvLogTest, AUnitIsNoPartOfANumber) {
    EXPECT_EQ(read("step,x [e5]\n0,1e5\n1,2 e5\n").rows, (Rows{"0 0 x=100000", "1 0 x=2"}));
}

TEST_F(CsvLogTest, TakesTheRunFromACommentLine) {
    const std::string text =
        "#{\"t_start\": 100.5, \"env_id\": \"Fetch\", \"seed\": 3}\nr,l,t\n-50,5,0.25\n-40,6,2\n";
    LogOptions options;
    options.axis = ImportAxis::kIndex;
    const LogText log = read(text, options);
    EXPECT_EQ(log.rows, (Rows{"0 100750000 r=-50 l=5 t=0.25", "1 102500000 r=-40 l=6 t=2"}));
    EXPECT_EQ(std::get<std::string>(log.facts.attributes().at("config/env_id")), "Fetch");
    EXPECT_EQ(std::get<int64_t>(log.facts.attributes().at("config/seed")), 3);
    EXPECT_EQ(log.facts.attributes().size(), 2U);
    EXPECT_EQ(log.bytes_read, text.size());
    EXPECT_EQ(read(text).rows, (Rows{"- 100750000 r=-50 l=5 t=0.25", "- 102500000 r=-40 l=6 t=2"}));
}

TEST_F(CsvLogTest, CountsLinesFromTheComment) {
    EXPECT_NE(read("#{}\nstep,x\n0,1\n1\n").error.find("line 4: the record has 1 cells"),
              std::string::npos);
    EXPECT_NE(read("#{\"a\" 1}\nstep,x\n0,1\n").error.find("line 1, the object behind `#`"),
              std::string::npos);
}

TEST_F(CsvLogTest, ATimeColumnComesBeforeSecondsSinceTheStart) {
    EXPECT_EQ(read("#{\"t_start\": 100}\nstep,timestamp,t\n0,7,1\n").rows, (Rows{"0 7000000 t=1"}));
    EXPECT_EQ(read("step,t\n0,1\n").rows, (Rows{"0 0 t=1"}));
    EXPECT_EQ(read("#{\"t_start\": 100}\nt,x\nnan,1\n2,3\n").rows, (Rows{"- 102000000 t=2 x=3"}));
}

TEST_F(CsvLogTest, NamesByTheFirstUsualColumn) {
    LogOptions options;
    options.name_from_usual = {"index", "uuid"};
    options.name_prefix = "gpu.";
    EXPECT_EQ(read("timestamp,uuid,index,x [W]\n1,a,0,2 W\n1,b,1,3 W\n", options).rows,
              (Rows{"- 1000000 gpu.0/x=2 gpu.1/x=3"}));
    EXPECT_EQ(read("timestamp,uuid,x\n1,a,2\n", options).rows, (Rows{"- 1000000 gpu.a/x=2"}));
    EXPECT_EQ(read("timestamp,x\n1,2\n", options).rows, (Rows{"- 1000000 x=2"}));
}

}  // namespace stepdb::csv_log_test
