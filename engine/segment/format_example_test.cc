// The worked examples of docs/format.md, decoded.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "engine/base/coding.h"
#include "engine/segment/block_directory.h"
#include "engine/segment/segment_format.h"
#include "engine/segment/summary_section.h"

namespace stepdb::format_example_test {

// The bytes of the fenced hex dump after "<!-- example: NAME -->": an offset, then pairs of hex
// digits up to a semicolon. Checks the offsets.
std::vector<std::byte> read_example(const std::string& name) {
    std::ifstream file(std::string(STEPDB_SOURCE_DIR) + "/docs/format.md");
    CHECK(file.good(), "docs/format.md is not there");
    std::string line;
    while (std::getline(file, line) && line != "<!-- example: " + name + " -->") {
    }
    std::getline(file, line);
    CHECK(line == "```", "no example '{}' in docs/format.md", name);
    std::vector<std::byte> bytes;
    while (std::getline(file, line) && line != "```") {
        std::istringstream words(line.substr(0, line.find(';')));
        std::string word;
        if (!(words >> word)) {
            continue;
        }
        EXPECT_EQ(std::stoul(word, nullptr, 16), bytes.size()) << line;
        while (words >> word) {
            bytes.push_back(static_cast<std::byte>(std::stoul(word, nullptr, 16)));
        }
    }
    return bytes;
}

BlockInfo example_info() {
    BlockInfo info;
    info.run = 3;
    info.schema = 2;
    info.columns = 4;
    return info;
}

std::shared_ptr<const EncodedBlock> build_example(size_t summary_values_min = kSummaryValuesMin) {
    const std::vector<Key> keys = {key_of_step(20), key_of_step(30), key_of_step(10),
                                   key_of_step(20)};
    const std::vector<int64_t> times = {1700000000000000, 1700000001000100, 1700000002000050,
                                        1700000003000000};
    const std::vector<uint64_t> sequences = {100, 101, 102, 103};
    BlockBuilder builder(example_info(), keys, times, sequences, summary_values_min);
    builder.add_column(0, std::vector<double>{2.5, widen(0x7FC00000U), 3.5, 2.25}, {});
    builder.add_column(1, std::vector<double>{0.001, 0.001, 0.001, 0.001}, {});
    builder.add_column(3, std::vector<double>{0, 0.91, 0.5, 0}, std::vector<uint8_t>{0, 1, 1, 0});
    return builder.finish();
}

TEST(FormatExample, BlockDecodesToItsRows) {
    const auto bytes = read_example("block");
    ASSERT_EQ(bytes.size(), 99U);
    BlockInfo info = example_info();
    info.rows = 4;
    info.key_min = key_of_step(10);
    info.key_max = key_of_step(30);
    info.time_min = 1700000000000000;
    info.time_max = 1700000003000000;
    info.sequence_min = 100;
    info.sequence_max = 103;
    info.axis_bytes = 43;
    info.directory_bytes = 28;
    info.strips_bytes = 28;
    const auto axis = decode_axis(Bytes(bytes).first(43), info);
    ASSERT_TRUE(axis) << axis.error().to_string();
    EXPECT_EQ(axis->sequences, (std::vector<uint64_t>{102, 100, 103, 101}));
    EXPECT_EQ(axis->keys, (std::vector<Key>{key_of_step(10), key_of_step(20), key_of_step(20),
                                            key_of_step(30)}));
    EXPECT_EQ(axis->times, (std::vector<int64_t>{1700000002000050, 1700000000000000,
                                                 1700000003000000, 1700000001000100}));

    const Bytes strips = Bytes(bytes).subspan(71);
    std::vector<ColumnValues> columns(4);
    for (uint32_t column = 0; column < 4; ++column) {
        const auto place = find_chunk(Bytes(bytes).subspan(43, 28), info, column);
        ASSERT_TRUE(place) << place.error().to_string();
        if (place->bytes == 0) {
            continue;
        }
        EXPECT_EQ(xxh3(strips.subspan(place->strip_offset, place->strip_bytes), content_seed(info)),
                  place->strip_checksum);
        const auto values = decode_chunk(strips.subspan(place->offset, place->bytes), info);
        ASSERT_TRUE(values) << values.error().to_string();
        columns[column] = *values;
    }
    ASSERT_EQ(columns[0].values.size(), 4U);
    EXPECT_EQ(columns[0].values[0], 3.5);
    EXPECT_EQ(columns[0].values[1], 2.5);
    EXPECT_EQ(columns[0].values[2], 2.25);
    EXPECT_EQ(bits_of(columns[0].values[3]), 0x7FF8000000000000U);
    EXPECT_EQ(columns[1].values, std::vector<double>(4, 0.001));
    EXPECT_TRUE(columns[2].values.empty());
    EXPECT_EQ(columns[3].values, (std::vector<double>{0.5, 0.91}));
    EXPECT_EQ(columns[3].presence, std::vector<uint64_t>{0b1001});
}

TEST(FormatExample, BlockIsWhatTheBuilderWrites) {
    const auto block = build_example();
    std::vector<std::byte> in_file;
    for (const Bytes section : {axis_section(*block), directory_section(*block),
                                strips_section(*block), summaries_section(*block)}) {
        in_file.insert(in_file.end(), section.begin(), section.end());
    }
    EXPECT_EQ(in_file, read_example("block"));
}

TEST(FormatExample, SummariesAreWhatTheBuilderWrites) {
    const auto block = build_example(3);
    const auto example = read_example("summaries");
    const Bytes section = summaries_section(*block);
    EXPECT_EQ(std::vector<std::byte>(section.begin(), section.end()), example);
    const auto summaries = decode_summaries(example, block->info);
    ASSERT_TRUE(summaries) << summaries.error().to_string();
    ASSERT_EQ(summaries->size(), 2U);
    const Summary& loss = (*summaries)[0].summary;
    EXPECT_EQ(loss.count, 2U);
    EXPECT_EQ(loss.nan, 1U);
    EXPECT_EQ(step_of_key(loss.min.key), 20);
    EXPECT_EQ(loss.mean(), 2.875);
    EXPECT_EQ(loss.variance(), 0.78125 / 2);
}

TEST(FormatExample, FileHeaderIsWhatIsWritten) {
    FileHeader header;
    for (size_t i = 0; i < header.store.bytes.size(); ++i) {
        header.store.bytes[i] = static_cast<std::byte>(0x10 + i);
    }
    header.file_id = 41;
    const auto page = encode_file_header(kSegmentFileKind, header);
    auto example = read_example("file header");
    example.resize(kFileHeaderBytes - 8);
    EXPECT_TRUE(std::equal(example.begin(), example.end(), page.begin()));
    EXPECT_EQ(load_le<uint64_t>(page.data() + kFileHeaderBytes - 8), 0x63A6E7F6BF325A6BU);
}

}  // namespace stepdb::format_example_test
