#include "tools/import/csv_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace stepdb::csv_reader_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Records = std::vector<std::vector<std::string>>;

// Hands out `text` in pieces of `piece` bytes.
ByteSource source_of(std::string text, size_t piece) {
    return [text = std::move(text), piece, at = size_t{0}](MutableBytes into) mutable {
        const size_t count = std::min({piece, into.size(), text.size() - at});
        std::memcpy(into.data(), text.data() + at, count);
        at += count;
        return Result<size_t>(count);
    };
}

CsvOptions named(size_t record_bytes_max = 1U << 20U) {
    CsvOptions options;
    options.name = "log.csv";
    options.record_bytes_max = record_bytes_max;
    return options;
}

Result<Records> read_all(CsvReader& reader) {
    Records records;
    std::vector<std::string_view> fields;
    for (;;) {
        TRY_ASSIGN(const bool found, reader.next(fields));
        if (!found) {
            return records;
        }
        records.emplace_back(fields.begin(), fields.end());
    }
}

// The records of `text`, which must not depend on how it comes in pieces.
Records read(const std::string& text) {
    CsvReader whole(source_of(text, text.size() + 1), named());
    const Result<Records> expected = read_all(whole);
    EXPECT_TRUE(expected.has_value()) << (expected ? "" : expected.error().to_string());
    for (size_t piece = 1; piece <= std::min<size_t>(text.size(), 16); ++piece) {
        CsvReader reader(source_of(text, piece), named());
        const Result<Records> records = read_all(reader);
        EXPECT_TRUE(records.has_value());
        EXPECT_EQ(*records, *expected) << "in pieces of " << piece;
    }
    return *expected;
}

std::string error_of(const std::string& text, size_t record_bytes_max = 1U << 20U) {
    CsvReader reader(source_of(text, 3), named(record_bytes_max));
    const Result<Records> records = read_all(reader);
    return records.has_value() ? "no error" : records.error().message();
}

TEST(CsvReader, ReadsLinesOfAnyEnding) {
    const Records expected = {{"step", "loss"}, {"1", "2.5"}, {"2", ""}};
    EXPECT_EQ(read("step,loss\n1,2.5\n2,\n"), expected);
    EXPECT_EQ(read("step,loss\r\n1,2.5\r\n2,\r\n"), expected);
    EXPECT_EQ(read("step,loss\r1,2.5\r2,\r"), expected);
    EXPECT_EQ(read("step,loss\n1,2.5\n2,"), expected);
}

TEST(CsvReader, SkipsTheByteOrderMarkAndBlankLines) {
    const Records expected = {{"a", "b"}, {"1", "2"}};
    EXPECT_EQ(read("\xef\xbb\xbf"
                   "a,b\n\n\r\n1,2\n\n"),
              expected);
    EXPECT_EQ(read(""), Records());
    EXPECT_EQ(read("\n\n"), Records());
    EXPECT_EQ(read("\xef\xbb\xbf"), Records());
}

TEST(CsvReader, UnquotesFields) {
    EXPECT_EQ(read("\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\r\nof it\",\"\"\n"),
              (Records{{"a,b", "say \"hi\"", "two\nlines\r\nof it", ""}}));
    // A quoted empty field alone is a record; an empty line is none.
    EXPECT_EQ(read("\"\"\n\nx\n"), (Records{{""}, {"x"}}));
    // A quote within a plain field is a character like any other.
    EXPECT_EQ(read("5\" pipe,6\n"), (Records{{"5\" pipe", "6"}}));
    EXPECT_EQ(read("\"a\""), (Records{{"a"}}));
}

TEST(CsvReader, KeepsEmptyFieldsBlanksAndZeroBytes) {
    EXPECT_EQ(read(",,\n"), (Records{{"", "", ""}}));
    EXPECT_EQ(read(" a , b \n"), (Records{{" a ", " b "}}));
    EXPECT_EQ(read(std::string("a\0b,c\n", 6)), (Records{{std::string("a\0b", 3), "c"}}));
}

TEST(CsvReader, TakesAnotherSeparator) {
    CsvOptions options = named();
    options.separator = ';';
    CsvReader reader(source_of("a;b,c\n", 100), options);
    EXPECT_THAT(*read_all(reader), ElementsAre(ElementsAre("a", "b,c")));
}

TEST(CsvReader, ReadsRecordsLongerThanItsBuffer) {
    std::string row;
    std::vector<std::string> expected;
    for (int i = 0; i < 60'000; ++i) {
        expected.push_back(std::to_string(i) + ".125");
        row += (i == 0 ? "" : ",") + expected.back();
    }
    CsvReader reader(source_of("x\n" + row + "\n" + row + "\n", 4096), named());
    EXPECT_THAT(*read_all(reader), ElementsAre(ElementsAre("x"), expected, expected));
}

TEST(CsvReader, TellsTheLineARecordBeganOn) {
    CsvReader reader(source_of("a\n\n\"1\n2\n3\"\nb\n", 2), named());
    std::vector<std::string_view> fields;
    std::vector<uint64_t> lines;
    while (*reader.next(fields)) {
        lines.push_back(reader.line());
    }
    EXPECT_THAT(lines, ElementsAre(1, 3, 6));
    EXPECT_EQ(reader.bytes_read(), 13U);
}

TEST(CsvReader, TellsThatTheLastLineLacksItsEnd) {
    CsvReader whole(source_of("a\n1\n", 2), named());
    EXPECT_EQ(read_all(whole)->size(), 2U);
    EXPECT_FALSE(whole.unterminated());
    CsvReader cut(source_of("a\n1", 2), named());
    EXPECT_EQ(read_all(cut)->size(), 2U);
    EXPECT_TRUE(cut.unterminated());
}

TEST(CsvReader, LeavesOutALastLineCutOffWithinQuotes) {
    CsvReader reader(source_of("a,b\n1,2\n3,\"hal", 4), named());
    EXPECT_EQ(*read_all(reader), (Records{{"a", "b"}, {"1", "2"}}));
    EXPECT_THAT(*reader.cut_off(), HasSubstr("line 3, column 3"));
}

TEST(CsvReader, RefusesAQuoteThatIsNeverClosed) {
    EXPECT_EQ(error_of("a,b\n1,\"2\n3,4\n5,6\n"),
              "log.csv: line 2, column 3: this quote is never closed");
    EXPECT_THAT(error_of("a\n\"" + std::string(1000, 'x') + "\n\"", 100),
                HasSubstr("line 2, column 1: this record is longer than 100 bytes"));
}

TEST(CsvReader, RefusesTextAfterAQuotedField) {
    EXPECT_EQ(error_of("a,b\n\"1\"x,2\n"),
              "log.csv: line 2, column 4: text follows the quote that ends a field");
}

TEST(CsvReader, RefusesUtf16ByName) {
    EXPECT_THAT(error_of(std::string("\xff\xfe"
                                     "a\0",
                                     4)),
                HasSubstr("UTF-16"));
}

TEST(CsvReader, PassesErrorsOfTheSourceOnAndStops) {
    int calls = 0;
    CsvReader reader(
        [&](MutableBytes into) -> Result<size_t> {
            if (++calls > 1) {
                return make_error(ErrorCode::kIoError, "disk gone");
            }
            std::memcpy(into.data(), "a,b\n1", 5);
            return size_t{5};
        },
        named());
    std::vector<std::string_view> fields;
    EXPECT_TRUE(*reader.next(fields));
    EXPECT_EQ(reader.next(fields).error().message(), "disk gone");
    EXPECT_FALSE(*reader.next(fields));
}

}  // namespace stepdb::csv_reader_test
