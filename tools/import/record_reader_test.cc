#include "tools/import/record_reader.h"

#include <gtest/gtest.h>

#include "tools/import/testing/proto_bytes.h"

namespace stepdb::record_reader_test {

using testing::little_endian;
using testing::record_of;
using testing::source_of;

// The records before the end, and the error there, if there is one.
std::pair<std::vector<std::string>, std::string> read_all(const std::string& file) {
    RecordReader reader(source_of(file), "a.tfevents");
    std::vector<std::string> records;
    RecordReader::Record record;
    for (;;) {
        const Result<bool> more = reader.next(record);
        if (!more) {
            const std::string message = more.error().message();
            EXPECT_FALSE(*reader.next(record));
            return {records, message};
        }
        if (!*more) {
            return {records, ""};
        }
        records.emplace_back(as_text(record.data));
    }
}

TEST(Crc32c, HasTheKnownValues) {
    // RFC 3720, B.4.
    EXPECT_EQ(crc32c(as_bytes(std::string(32, '\0'))), 0x8A9136AAU);
    EXPECT_EQ(crc32c(as_bytes(std::string(32, '\xff'))), 0x62A8AB43U);
    EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283U);
    EXPECT_EQ(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))), 0xE3069283U);
    EXPECT_EQ(mask_crc(0), 0xA282EAD8U);
}

TEST(RecordReader, ReadsRecordsOfAnySize) {
    const std::string large(1'000'000, 'x');
    const auto [records, error] = read_all(record_of("one") + record_of("") + record_of(large));
    EXPECT_EQ(records, (std::vector<std::string>{"one", "", large}));
    EXPECT_EQ(error, "");
    EXPECT_EQ(read_all("").second, "");
}

TEST(RecordReader, StopsWhereTheFileIsCut) {
    const std::string whole = record_of("one") + record_of("two");
    for (size_t bytes = 1; bytes < whole.size(); ++bytes) {
        const auto [records, error] = read_all(whole.substr(0, bytes));
        if (bytes == whole.size() / 2) {
            EXPECT_EQ(records.size(), 1U);
            EXPECT_EQ(error, "");
            continue;
        }
        EXPECT_EQ(records.size(), bytes < whole.size() / 2 ? 0U : 1U) << bytes;
        EXPECT_NE(
            error.find(bytes < whole.size() / 2 ? "a.tfevents: byte 0, record 1: the file ends"
                                                : "a.tfevents: byte 19, record 2: the file "
                                                  "ends"),
            std::string::npos)
            << bytes << ": " << error;
    }
}

TEST(RecordReader, NoticesEveryFlippedBit) {
    const std::string whole = record_of("one") + record_of("two");
    for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
        std::string flipped = whole;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
        const auto [records, error] = read_all(flipped);
        EXPECT_LT(records.size(), 2U) << bit;
        EXPECT_NE(error.find("checksum"), std::string::npos) << bit << ": " << error;
    }
}

TEST(RecordReader, AllocatesNothingForALengthThatIsALie) {
    for (const uint64_t length : {uint64_t{60} << 20U, uint64_t{1} << 40U, UINT64_MAX}) {
        const std::string head = little_endian(length);
        const auto [records, error] =
            read_all(head + little_endian(mask_crc(crc32c(as_bytes(head)))) + "abc");
        EXPECT_NE(error.find("the file ends within this record"), std::string::npos) << error;
    }
}

TEST(RecordReader, PassesOverWhatIsTooLong) {
    const std::string large(RecordReader::kRecordBytesMax + 1, 'x');
    RecordReader reader(source_of(record_of(large) + record_of("two"), 1U << 20U), "a");
    RecordReader::Record record;
    ASSERT_TRUE(*reader.next(record));
    EXPECT_TRUE(record.too_long);
    ASSERT_TRUE(*reader.next(record));
    EXPECT_EQ(as_text(record.data), "two");
    EXPECT_EQ(reader.offset(), large.size() + 16);
}

}  // namespace stepdb::record_reader_test
