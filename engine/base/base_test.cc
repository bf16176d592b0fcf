#include <gtest/gtest.h>

#include <limits>

#include "engine/base/checksum.h"
#include "engine/base/coding.h"
#include "engine/base/float_bits.h"
#include "engine/base/large_buffer.h"
#include "engine/base/memory_budget.h"
#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/base/text.h"

namespace stepdb::base_test {

TEST(Coding, ReadsBackWhatItWrote) {
    ByteWriter writer;
    writer.put<uint16_t>(0x1234);
    writer.put_text("loss");
    writer.put(-1.5);
    ByteReader reader(writer.bytes());
    EXPECT_EQ(reader.get<uint16_t>(), 0x1234);
    EXPECT_EQ(reader.get_text(10), "loss");
    EXPECT_EQ(reader.get<double>(), -1.5);
    EXPECT_TRUE(reader.finished());
}

TEST(Coding, ReadPastTheEndFailsAndStaysFailed) {
    ByteWriter writer;
    writer.put<uint32_t>(7);
    ByteReader reader(writer.bytes());
    EXPECT_EQ(reader.get<uint64_t>(), 0U);
    EXPECT_TRUE(reader.failed());
    EXPECT_EQ(reader.get<uint8_t>(), 0U);
    EXPECT_FALSE(reader.finished());
}

TEST(Checksum, KnownVectors) {
    EXPECT_EQ(crc32(as_bytes("123456789")), 0xCBF43926U);
    EXPECT_EQ(crc32(as_bytes("6789"), crc32(as_bytes("12345"))), 0xCBF43926U);
    EXPECT_EQ(sha256_128(as_bytes("abc")).to_hex(), "ba7816bf8f01cfea414140de5dae2223");
    EXPECT_EQ(xxh3({}), 0x2D06800538D394C2ULL);
}

TEST(Checksum, SeedDependsOnStoreFileAndOffset) {
    Id128 other;
    other.bytes[15] = std::byte{1};
    const uint64_t seed = place_seed({}, 1, 4096);
    EXPECT_NE(seed, place_seed(other, 1, 4096));
    EXPECT_NE(seed, place_seed({}, 2, 4096));
    EXPECT_NE(seed, place_seed({}, 1, 8192));
}

TEST(FloatBits, NarrowKeepsEveryBitOrDeclines) {
    for (const uint32_t bits : {0x00000000U, 0x80000000U, 0x00000001U, 0x7F800000U, 0xFF800000U,
                                0x7FC00000U, 0x7F800001U, 0xFFA12345U, 0x3F800000U}) {
        const double wide = widen(bits);
        ASSERT_TRUE(narrow(wide).has_value()) << bits;
        EXPECT_EQ(*narrow(wide), bits);
    }
    EXPECT_FALSE(narrow(0.1).has_value());
    EXPECT_FALSE(narrow(1e300).has_value());
    EXPECT_FALSE(narrow(std::bit_cast<double>(0x7FF0000000000001ULL)).has_value());
}

TEST(FloatBits, SignallingNanSurvivesWidening) {
    EXPECT_EQ(bits_of(widen(0x7F800001U)), 0x7FF0000020000000ULL);
}

TEST(FloatBits, OrderedImageKeepsOrder) {
    const double infinity = std::numeric_limits<double>::infinity();
    const double values[] = {-infinity, -1e300, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, infinity};
    for (size_t i = 0; i + 1 < std::size(values); ++i) {
        EXPECT_LT(ordered_image(values[i]), ordered_image(values[i + 1]));
        EXPECT_TRUE(same_bits(from_ordered_image(ordered_image(values[i])), values[i]));
    }
}

TEST(FloatBits, TextRoundTrips) {
    for (const double value : {0.1, -0.0, 1e-320, 12345678.0, 1e300}) {
        EXPECT_TRUE(same_bits(*parse_value(format_value(value)), value)) << format_value(value);
    }
    for (const uint64_t bits :
         {0x7FF8000000000000ULL, 0xFFF8000000000000ULL, 0x7FF0000000000001ULL}) {
        const double value = std::bit_cast<double>(bits);
        EXPECT_EQ(bits_of(*parse_value(format_value(value))), bits);
    }
    EXPECT_EQ(format_value(std::bit_cast<double>(0xFFF8000000000001ULL)), "nan:fff8000000000001");
    for (const char* bad : {"", "+", "1x", "0x10", "nan:", "nan:1", "1e999", "--1", "+-1", "++1"}) {
        EXPECT_FALSE(parse_value(bad).has_value()) << bad;
    }
}

TEST(Text, Utf8) {
    EXPECT_TRUE(is_valid_utf8("loss/\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"));
    for (const char* bad : {"\xC0\xAF", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\x80"}) {
        EXPECT_FALSE(is_valid_utf8(bad)) << printable(bad);
    }
    EXPECT_TRUE(has_control_characters("a\nb"));
    EXPECT_TRUE(has_control_characters("a\xC2\x85"));
    EXPECT_FALSE(has_control_characters("a\xC2\xA0"));
}

TEST(Text, NaturalOrder) {
    EXPECT_TRUE(natural_less("layer/2/norm", "layer/10/norm"));
    EXPECT_FALSE(natural_less("layer/10/norm", "layer/2/norm"));
    EXPECT_TRUE(natural_less("a", "a1"));
    EXPECT_TRUE(natural_less("a01", "a1"));
    EXPECT_FALSE(natural_less("a1", "a1"));
    EXPECT_TRUE(natural_less("a99999999999999999999998", "a99999999999999999999999"));
}

Task<Result<int>> half(int number) {
    if (number % 2 != 0) {
        co_return make_error(ErrorCode::kInvalidArgument, "{} is odd", number);
    }
    co_return number / 2;
}

Task<Result<int>> quarter(int number) {
    Result<int> once = co_await half(number);
    if (!once) {
        co_return once.error();
    }
    co_return co_await half(*once);
}

TEST(Task, ValuesAndErrorsTravelThroughAwaits) {
    int seen = 0;
    start(quarter(12), [&](Result<int> result) { seen = *result; });
    EXPECT_EQ(seen, 3);
    std::string message;
    start(quarter(6), [&](Result<int> result) { message = result.error().to_string(); });
    EXPECT_EQ(message, "invalid argument: 3 is odd");
}

Task<int> sum_of_ready_tasks(int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) {
        Result<int> one = co_await half(2);
        sum += *one;
    }
    co_return sum;
}

// A scan may take millions of batches that are all in memory.
TEST(Task, LoopsOverTasksThatNeverWaitUseNoStack) {
    int sum = 0;
    start(sum_of_ready_tasks(1000000), [&](int result) { sum = result; });
    EXPECT_EQ(sum, 1000000);
}

TEST(MemoryBudget, ChargesAreGivenBackAndTheBoundHolds) {
    const auto budget = std::make_shared<MemoryBudget>(100);
    {
        MemoryCharge charge(budget, 60);
        EXPECT_FALSE(charge.try_set(101));
        EXPECT_EQ(budget->used(), 60U);
        EXPECT_TRUE(charge.try_set(100));
        EXPECT_TRUE(budget->full());
        MemoryCharge other(budget);
        EXPECT_FALSE(other.try_set(1));
        other.set(5);  // what is there already
        EXPECT_EQ(budget->used(), 105U);
        charge = std::move(other);
        EXPECT_EQ(budget->used(), 5U);
    }
    EXPECT_EQ(budget->used(), 0U);
}

TEST(MemoryBudget, APartKeepsWhatItHasTakenOfTheWholeUntilItIsReleased) {
    const auto whole = std::make_shared<MemoryBudget>(100);
    const auto part = std::make_shared<MemoryBudget>(80, whole, MemoryBudget::Sharing());
    {
        MemoryCharge charge(part);
        EXPECT_TRUE(charge.try_set(60));
        EXPECT_EQ(whole->used(), 60U);
        EXPECT_TRUE(charge.try_set(10));
        EXPECT_EQ(whole->used(), 60U) << "it may want it again";
        EXPECT_EQ(part->reserved(), 60U);
        EXPECT_FALSE(whole->try_take(41));
        EXPECT_TRUE(charge.try_set(60));
        EXPECT_FALSE(charge.try_set(81)) << "its own bound";
        EXPECT_TRUE(whole->try_take(40));
        EXPECT_FALSE(charge.try_set(61)) << "the bound of the whole";
        EXPECT_EQ(part->used(), 60U);
        charge.set(65);  // what is there already
        EXPECT_EQ(whole->used(), 105U);
        EXPECT_TRUE(charge.try_set(20));
        part->release();
        EXPECT_EQ(whole->used(), 60U);
        EXPECT_FALSE(part->try_reserve(61));
        EXPECT_TRUE(part->try_reserve(60));
        EXPECT_TRUE(whole->full());
    }
    part->release();
    EXPECT_EQ(whole->used(), 40U);
}

TEST(MemoryBudget, PartsThatStaySmallFindRoomWhenLargeOnesHaveAllTheyCanGet) {
    const auto whole = std::make_shared<MemoryBudget>(100);
    const MemoryBudget::Sharing sharing{10, 25};
    MemoryBudget large(100, whole, sharing);
    EXPECT_FALSE(large.try_take(76));
    EXPECT_TRUE(large.try_take(75));
    MemoryBudget small(100, whole, sharing);
    EXPECT_TRUE(small.try_take(10));
    EXPECT_FALSE(small.try_take(1)) << "now it would be large";
    {
        MemoryBudget another(100, whole, sharing);
        EXPECT_TRUE(another.try_take(10));
        MemoryBudget last(100, whole, sharing);
        EXPECT_FALSE(last.try_take(6));
        EXPECT_TRUE(last.try_take(5));
        EXPECT_TRUE(whole->full());
        last.give_back(5);
        another.give_back(10);
    }
    EXPECT_EQ(whole->used(), 85U) << "parts that go give back what they have";
    small.give_back(10);
    large.give_back(75);
}

TEST(LargeBuffer, MovesWithItsMemory) {
    constexpr size_t kMegabyte = 1U << 20U;
    const LargeBuffer small(100);
    EXPECT_EQ(small.capacity(), 100U);
    LargeBuffer moved(kMegabyte + 1);
    EXPECT_EQ(moved.size(), kMegabyte + 1);
    EXPECT_LE(moved.capacity(), kMegabyte + kPageBytes);
    moved[kMegabyte] = std::byte{7};
    LargeBuffer into;
    into = std::move(moved);
    EXPECT_EQ(into.size(), kMegabyte + 1);
    EXPECT_EQ(into[kMegabyte], std::byte{7});
    into.resize(10);  // it goes back as what it was taken as
    EXPECT_EQ(into.size(), 10U);
}

}  // namespace stepdb::base_test
