#include "tools/import/summary_value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/base/float_bits.h"
#include "tools/import/testing/proto_bytes.h"

namespace stepdb::summary_value_test {

using testing::bytes_field;
using testing::double_field;
using testing::float_field;
using testing::little_endian;
using testing::number_field;
using testing::simple_value;
using testing::tensor_value;
using testing::varint;

SummaryValue read(const std::string& message) {
    const Result<SummaryValue> value = read_summary_value(as_bytes(message));
    EXPECT_TRUE(value) << value.error().message();
    return *value;
}

std::string content(uint64_t type, const std::string& bytes) {
    return tensor_value("t", number_field(1, type) + bytes_field(2, "") + bytes_field(4, bytes));
}
std::string listed(uint64_t type, const std::string& list) {
    return tensor_value("t", number_field(1, type) + list);
}
std::string shape_of(const std::vector<int64_t>& sizes) {
    std::string shape;
    for (const int64_t size : sizes) {
        shape += bytes_field(2, number_field(1, static_cast<uint64_t>(size)));
    }
    return bytes_field(2, shape);
}

void expect_scalar(const std::string& message, double want) {
    const SummaryValue value = read(message);
    ASSERT_TRUE(value.scalar) << value.kind;
    EXPECT_TRUE(same_bits(*value.scalar, want)) << *value.scalar << ", not " << want;
}

TEST(SummaryValue, TakesSimpleValues) {
    const std::string message = simple_value("train/loss", 0.1F);
    EXPECT_EQ(read(message).tag, "train/loss");
    expect_scalar(message, static_cast<double>(0.1F));
    const auto signalling = std::bit_cast<float>(0x7F800001U);
    expect_scalar(simple_value("x", signalling), widen(0x7F800001U));
}

TEST(SummaryValue, TakesContentOfEveryType) {
    expect_scalar(content(1, little_endian(-1.5F)), -1.5);
    expect_scalar(content(2, little_endian(0.1)), 0.1);
    expect_scalar(content(3, little_endian(int32_t{-7})), -7);
    expect_scalar(content(4, little_endian(uint8_t{200})), 200);
    expect_scalar(content(5, little_endian(int16_t{-300})), -300);
    expect_scalar(content(6, little_endian(int8_t{-5})), -5);
    expect_scalar(content(9, little_endian(int64_t{-1} << 40U)), -std::ldexp(1, 40));
    expect_scalar(content(10, little_endian(uint8_t{1})), 1);
    expect_scalar(content(14, little_endian(uint16_t{0xC0A0})), -5);
    expect_scalar(content(17, little_endian(uint16_t{60000})), 60000);
    expect_scalar(content(19, little_endian(uint16_t{0x3555})), 0.333251953125);
    expect_scalar(content(22, little_endian(uint32_t{4'000'000'000})), 4e9);
    expect_scalar(content(23, little_endian(UINT64_MAX)), std::ldexp(1, 64));
    expect_scalar(content(24, little_endian(uint8_t{0xC5})), -5);
    expect_scalar(content(25, little_endian(uint8_t{0x7E})), 448);
}

TEST(SummaryValue, TakesListsOfEveryType) {
    const auto minus = [](int64_t value) { return varint(static_cast<uint64_t>(value)); };
    expect_scalar(listed(1, float_field(5, 2.5F)), 2.5);
    expect_scalar(listed(1, bytes_field(5, little_endian(2.5F))), 2.5);
    expect_scalar(listed(2, double_field(6, 0.1)), 0.1);
    expect_scalar(listed(2, bytes_field(6, little_endian(0.1))), 0.1);
    for (const uint64_t type : {3U, 5U, 6U}) {
        expect_scalar(listed(type, bytes_field(7, minus(-9))), -9);
    }
    expect_scalar(listed(4, number_field(7, 255)), 255);
    expect_scalar(listed(17, number_field(7, 65535)), 65535);
    expect_scalar(listed(9, bytes_field(10, minus(-(int64_t{1} << 62U)))), -std::ldexp(1, 62));
    expect_scalar(listed(9, number_field(10, (uint64_t{1} << 53U) + 1)), std::ldexp(1, 53));
    expect_scalar(listed(10, number_field(11, 1)), 1);
    expect_scalar(listed(14, number_field(13, 0x3F80)), 1);
    expect_scalar(listed(19, bytes_field(13, varint(0x3C00))), 1);
    expect_scalar(listed(22, number_field(16, 4'000'000'000)), 4e9);
    expect_scalar(listed(23, number_field(17, UINT64_MAX)), std::ldexp(1, 64));
    expect_scalar(listed(24, bytes_field(18, "\x3C")), 1);
    expect_scalar(listed(2, ""), 0);  // 0 is left out
}

TEST(SummaryValue, KeepsWhatIsSpecialInSmallFloats) {
    const double infinity = std::numeric_limits<double>::infinity();
    expect_scalar(content(19, little_endian(uint16_t{0xFC00})), -infinity);
    expect_scalar(content(19, little_endian(uint16_t{0x8000})), -0.0);
    expect_scalar(content(19, little_endian(uint16_t{0x0001})), std::ldexp(1, -24));
    expect_scalar(content(14, little_endian(uint16_t{0x7F80})), infinity);
    EXPECT_TRUE(std::isnan(*read(content(19, little_endian(uint16_t{0x7E01}))).scalar));
    EXPECT_TRUE(std::isnan(*read(content(14, little_endian(uint16_t{0x7FC1}))).scalar));
    EXPECT_TRUE(std::isnan(*read(content(25, little_endian(uint8_t{0xFF}))).scalar));
    expect_scalar(content(25, little_endian(uint8_t{0x81})), -std::ldexp(1, -9));
}

TEST(SummaryValue, TakesOneElementOfAnyRank) {
    expect_scalar(tensor_value("t", number_field(1, 1) + shape_of({1, 1}) + float_field(5, 3)), 3);
}

TEST(SummaryValue, NamesTheKindOfWhatIsNoScalar) {
    const auto kind = [](const std::string& message) {
        const SummaryValue value = read(message);
        EXPECT_FALSE(value.scalar);
        return std::string(value.kind);
    };
    const std::string tag = bytes_field(1, "t");
    EXPECT_EQ(kind(tag), "without a value");
    EXPECT_EQ(kind(tag + bytes_field(4, "png")), "images");
    EXPECT_EQ(kind(tag + bytes_field(5, "")), "histograms");
    EXPECT_EQ(kind(tag + bytes_field(6, "")), "audio");
    EXPECT_EQ(kind(listed(7, bytes_field(8, "words"))), "text");
    EXPECT_EQ(kind(listed(8, float_field(9, 1))), "tensors of no numeric type");
    const std::string many = tensor_value("t", number_field(1, 2) + shape_of({10, 3}));
    EXPECT_EQ(kind(many), "tensors of many elements");
    EXPECT_EQ(kind(tensor_value("t", number_field(1, 2) + shape_of({-1}))),
              "tensors of many elements");
    EXPECT_EQ(kind(tensor_value("t", number_field(1, 2) + shape_of({1U << 31U, 0}))),
              "empty tensors");
    EXPECT_EQ(kind(many + bytes_field(9, bytes_field(1, bytes_field(1, "histograms")))),
              "histograms");
    EXPECT_EQ(kind(content(2, little_endian(1.0F))), "tensors of another size than they say");
    EXPECT_EQ(kind(listed(1, float_field(5, 1) + float_field(5, 2))),
              "tensors of another size than they say");
}

TEST(SummaryValue, RefusesWhatIsNoMessage) {
    for (const std::string& message :
         {std::string("\x0A\x05"
                      "abc"),
          std::string("\x0B"), std::string("\x00\x01", 2), std::string("\x15\x01", 2),
          std::string(12, '\xff'), bytes_field(8, "\xff"),
          bytes_field(8, bytes_field(2, "\x12"))}) {
        EXPECT_FALSE(read_summary_value(as_bytes(message)));
    }
}

TEST(SummaryValue, SurvivesAnyBytes) {
    std::random_device device;
    const unsigned seed = device();
    SCOPED_TRACE(seed);
    std::mt19937 dice(seed);
    const std::string good =
        tensor_value("tag", number_field(1, 3) + shape_of({1, 1}) + bytes_field(7, varint(7)));
    for (int round = 0; round < 20'000; ++round) {
        std::string bad = good;
        for (unsigned change = 0; change <= dice() % 3; ++change) {
            bad[dice() % bad.size()] = static_cast<char>(dice());
        }
        bad.resize(dice() % (bad.size() + 1));
        const Result<SummaryValue> value = read_summary_value(as_bytes(bad));
        EXPECT_TRUE(!value || value->scalar || !value->kind.empty());
    }
}

}  // namespace stepdb::summary_value_test
