#include "tools/import/line_reader.h"

#include <gtest/gtest.h>

#include "tools/import/testing/proto_bytes.h"

namespace stepdb::line_reader_test {

TEST(LineReader, CutsLinesHoweverTheyEnd) {
    for (const size_t piece : {1U, 3U, 1000U}) {
        LineReader reader(testing::source_of("\xef\xbb\xbfone\r\n\ntwo\nthree", piece), "a");
        std::vector<std::string> lines;
        std::string_view line;
        while (*reader.next(line)) {
            EXPECT_EQ(reader.unterminated(), line == "three");
            lines.emplace_back(line);
            EXPECT_EQ(reader.number(), lines.size());
        }
        EXPECT_EQ(lines, (std::vector<std::string>{"one", "", "two", "three"}));
        EXPECT_FALSE(*reader.next(line));
        EXPECT_EQ(reader.bytes_read(), 18U);
    }
}

TEST(LineReader, TakesLongLinesButNoEndlessOnes) {
    const std::string as_long_as_may_be(LineReader::kLineBytesMax - 1, 'x');
    LineReader reader(testing::source_of(as_long_as_may_be + "\nx", 1U << 20U), "a");
    std::string_view line;
    ASSERT_TRUE(*reader.next(line));
    EXPECT_EQ(line.size(), as_long_as_may_be.size());
    LineReader endless(testing::source_of(as_long_as_may_be + "xx\n", 1U << 20U), "a.jsonl");
    const Result<bool> more = endless.next(line);
    ASSERT_FALSE(more);
    EXPECT_NE(more.error().message().find("a.jsonl: line 1 is longer"), std::string::npos);
}

}  // namespace stepdb::line_reader_test
