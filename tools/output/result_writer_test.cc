#include "tools/output/result_writer.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace stepdb::result_writer_test {

const std::vector<ResultColumn> kColumns = {{"run", ColumnType::kText},
                                            {"step", ColumnType::kStep},
                                            {"time", ColumnType::kTime},
                                            {"value", ColumnType::kFloat64},
                                            {"count", ColumnType::kUint64}};

ResultBlock sample() {
    ResultBlock block(kColumns);
    block.column(0).append_text("gpt/a", 2);
    block.column(0).append_text("gpt/with \"quote\", comma");
    block.column(0).append_null();
    const std::vector<double> steps = {0, 1'000'000, 0.1};
    block.column(1).append_doubles(steps);
    block.column(1).append_null();
    block.column(2).append_time(0);
    block.column(2).append_null();
    block.column(2).append_time(1'500'000);
    block.column(2).append_time(1);
    const std::vector<double> values = {2.5, 0.03125, std::numeric_limits<double>::quiet_NaN(),
                                        -std::numeric_limits<double>::infinity()};
    block.column(3).append_doubles(values);
    const std::vector<uint64_t> counts = {1, 22, std::numeric_limits<uint64_t>::max(), 0};
    block.column(4).append_uint64s(counts);
    return block;
}

std::string write(OutputFormat format, const std::vector<ResultColumn>& columns,
                  const std::vector<ResultBlock>& blocks) {
    std::string out;
    const auto writer = make_result_writer(format, [&](std::string_view text) { out += text; });
    writer->begin(columns);
    for (const ResultBlock& block : blocks) {
        writer->block(block);
    }
    writer->end();
    return out;
}

std::string write_sample(OutputFormat format) {
    return write(format, kColumns, {sample()});
}

ResultBlock floats(const std::vector<double>& values) {
    ResultBlock block(std::vector<ResultColumn>{{"value", ColumnType::kFloat64}});
    block.column(0).append_doubles(values);
    return block;
}

std::string write_floats(OutputFormat format, const std::vector<double>& values) {
    return write(format, {{"value", ColumnType::kFloat64}}, {floats(values)});
}

TEST(ResultWriter, TableAlignsNumbersRightAndTextLeft) {
    EXPECT_EQ(write_sample(OutputFormat::kTable), R"(
run                         step                         time      value                 count
───────────────────────  ───────  ───────────────────────────  ─────────  ────────────────────
gpt/a                          0         1970-01-01T00:00:00Z    2.5                         1
gpt/a                    1000000                                 0.03125                    22
gpt/with "quote", comma      0.1     1970-01-01T00:00:01.500Z        NaN  18446744073709551615
                                  1970-01-01T00:00:00.000001Z  -Infinity                     0
(4 rows)
)" + 1);
}

TEST(ResultWriter, TableKeepsTheDecimalsAColumnNeeds) {
    EXPECT_NE(
        write_floats(OutputFormat::kTable, {3, 14, 1e6}).find("\n      3\n     14\n1000000\n"),
        std::string::npos);
    EXPECT_NE(write_floats(OutputFormat::kTable, {2.718281828, 0.5}).find("\n2.71828\n0.5\n"),
              std::string::npos);
    // Too wide a range for one layout: each in its own form.
    EXPECT_NE(write_floats(OutputFormat::kTable, {1e-9, 1e20, 0}).find("\n1e-09\n1e+20\n    0\n"),
              std::string::npos);
}

TEST(ResultWriter, TableOfNothingHasAHeaderAndSaysSo) {
    EXPECT_EQ(write(OutputFormat::kTable, {{"run", ColumnType::kText}}, {}),
              "run\n───\n(0 rows)\n");
}

TEST(ResultWriter, TableStreamsAfterTheRowsItIsLaidOutBy) {
    std::string out;
    const auto writer =
        make_result_writer(OutputFormat::kTable, [&](std::string_view text) { out += text; });
    writer->begin(std::vector<ResultColumn>{{"value", ColumnType::kFloat64}});
    writer->block(floats(std::vector<double>(1000, 1.25)));
    const size_t before = out.size();
    EXPECT_GT(before, 0U);
    writer->block(floats({1e-12}));
    EXPECT_EQ(out.substr(before), "1e-12\n");
    writer->end();
    EXPECT_NE(out.find("(1001 rows)"), std::string::npos);
}

TEST(ResultWriter, CsvQuotesAndWritesWordsForNonFinite) {
    EXPECT_EQ(write_sample(OutputFormat::kCsv), R"(run,step,time,value,count
gpt/a,0,1970-01-01T00:00:00Z,2.5,1
gpt/a,1000000,,0.03125,22
"gpt/with ""quote"", comma",0.1,1970-01-01T00:00:01.500Z,NaN,18446744073709551615
,,1970-01-01T00:00:00.000001Z,-Infinity,0
)");
}

TEST(ResultWriter, CsvWritesFloatsThatReadBackBitForBit) {
    const double nan_with_payload = std::bit_cast<double>(uint64_t{0x7ff0000000000001});
    EXPECT_EQ(write_floats(OutputFormat::kCsv,
                           {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0, nan_with_payload}),
              "value\n0.1\n0.3333333333333333\n5e-324\n1.7976931348623157e+308\n-0\n"
              "nan:7ff0000000000001\n");
}

TEST(ResultWriter, JsonIsAnArrayOfObjectsWithNullsAndWords) {
    EXPECT_EQ(write_sample(OutputFormat::kJson), R"([
  {"run": "gpt/a", "step": 0, "time": "1970-01-01T00:00:00Z", "value": 2.5, "count": 1},
  {"run": "gpt/a", "step": 1000000, "time": null, "value": 0.03125, "count": 22},
  {"run": "gpt/with \"quote\", comma", "step": 0.1, "time": "1970-01-01T00:00:01.500Z", )"
                                                 R"("value": "NaN", "count": 18446744073709551615},
  {"run": null, "step": null, "time": "1970-01-01T00:00:00.000001Z", "value": "-Infinity", )"
                                                 R"("count": 0}
]
)");
    EXPECT_EQ(write(OutputFormat::kJson, kColumns, {}), "[]\n");
}

TEST(ResultWriter, JsonEscapesTextAndSpellsNanBits) {
    ResultBlock block(std::vector<ResultColumn>{{"a\"b", ColumnType::kText}});
    block.column(0).append_text("\x01\\\n\xff");
    EXPECT_EQ(write(OutputFormat::kJsonl, {{"a\"b", ColumnType::kText}}, {block}),
              "{\"a\\\"b\": \"\\\\x01\\\\\\\\x0a\\\\xff\"}\n");
    EXPECT_EQ(write_floats(OutputFormat::kJsonl, {std::bit_cast<double>(0xfff8000000000000)}),
              "{\"value\": \"nan:fff8000000000000\"}\n");
}

TEST(ResultWriter, JsonLinesAreOneObjectEachOverBlocks) {
    EXPECT_EQ(write(OutputFormat::kJsonl, {{"value", ColumnType::kFloat64}},
                    {floats({1}), floats({INFINITY, 2})}),
              "{\"value\": 1}\n{\"value\": \"Infinity\"}\n{\"value\": 2}\n");
}

TEST(ResultWriter, FormatsAreKnownByName) {
    EXPECT_EQ(parse_output_format("jsonl"), OutputFormat::kJsonl);
    EXPECT_EQ(parse_output_format("xml"), std::nullopt);
}

}  // namespace stepdb::result_writer_test
