#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include "engine/base/float_bits.h"
#include "engine/codec/bit_packing.h"
#include "engine/codec/integer_codec.h"
#include "engine/codec/integer_vector.h"
#include "engine/codec/kernels.h"
#include "engine/codec/value_codec.h"
#include "engine/codec/varint.h"

namespace stepdb::codec_test {

uint64_t test_seed() {
    const char* text = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe)
    const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : 20261123;
    std::printf("STEPDB_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

// --- Bit packing ---

template <typename U>
void check_packing(unsigned width, size_t count, std::mt19937_64& random) {
    std::vector<U> values(count);
    for (U& value : values) {
        value = width == 0 ? U{0} : static_cast<U>(random() >> (64 - width));
    }
    // Exactly as many bytes as needed, so that a sanitizer sees a read or write beyond.
    const auto bytes = std::make_unique<std::byte[]>(packed_bytes(count, width));
    pack_bits(values.data(), count, width, bytes.get());
    std::vector<U> back(count, U{77});
    unpack_bits(bytes.get(), count, width, back.data());
    ASSERT_EQ(back, values) << "width " << width << " count " << count;
}

TEST(BitPacking, EveryWidthAndCountComesBack) {
    std::mt19937_64 random(test_seed());
    for (unsigned width = 0; width <= 64; ++width) {
        for (size_t count = 0; count <= 40; ++count) {
            check_packing<uint64_t>(width, count, random);
        }
        check_packing<uint64_t>(width, 256, random);
    }
    for (unsigned width = 0; width <= 32; ++width) {
        for (size_t count = 0; count <= 40; ++count) {
            check_packing<uint32_t>(width, count, random);
        }
        check_packing<uint32_t>(width, 256, random);
    }
}

TEST(BitPacking, LaysBitsOutFromTheLowestUp) {
    const std::vector<uint32_t> values = {1, 2, 3, 4, 5};
    std::array<std::byte, 2> bytes{};
    pack_bits(values.data(), values.size(), 3, bytes.data());
    // 101 100 011 010 001
    EXPECT_EQ(bytes[0], std::byte{0b11010001});
    EXPECT_EQ(bytes[1], std::byte{0b01011000});
}

// --- Integers ---

void check_integers(const std::vector<int64_t>& values) {
    std::vector<std::byte> bytes;
    encode_integers(values, bytes);
    std::vector<int64_t> back(values.size(), 99);
    const Status status = decode_integers(bytes, back);
    ASSERT_TRUE(status) << status.error().to_string();
    ASSERT_EQ(back, values);
    for (const size_t first : {size_t{0}, values.size() / 3, values.size() / 2}) {
        std::vector<int64_t> part((values.size() - first + 1) / 2);
        ASSERT_TRUE(decode_integer_range(bytes, values.size(), first, part));
        for (size_t i = 0; i < part.size(); ++i) {
            ASSERT_EQ(part[i], values[first + i]);
        }
    }
}

std::vector<int64_t> make_integers(unsigned kind, size_t count, std::mt19937_64& random) {
    std::vector<int64_t> values(count);
    int64_t running = static_cast<int64_t>(random() % 1000000);
    int64_t slope = 10;
    for (size_t i = 0; i < count; ++i) {
        switch (kind) {
            case 0:
                values[i] = 42;
                break;
            case 1:
                values[i] = static_cast<int64_t>(i) * 7 - 100;
                break;
            case 2:  // jitter on a stride
                running += 1000000 + static_cast<int64_t>(random() % 5000);
                values[i] = running;
                break;
            case 3:
                values[i] = static_cast<int64_t>(random());
                break;
            case 4:  // strides in pieces
                running += random() % 50 == 0 ? 100000 : 10;
                values[i] = running;
                break;
            case 5:
                slope += 3;
                running += slope;
                values[i] = running;
                break;
            default:
                values[i] = random() % 2 == 0 ? std::numeric_limits<int64_t>::min()
                                              : std::numeric_limits<int64_t>::max();
        }
    }
    return values;
}

TEST(IntegerCodec, EverySequenceOfEveryLengthComesBack) {
    std::mt19937_64 random(test_seed());
    for (size_t count = 0; count <= 600; count += count < 40 ? 1 : 17) {
        for (unsigned kind = 0; kind < 7; ++kind) {
            ASSERT_NO_FATAL_FAILURE(check_integers(make_integers(kind, count, random)))
                << "kind " << kind << " count " << count;
        }
    }
    check_integers(make_integers(2, 256, random));
    check_integers(make_integers(3, 257, random));
    check_integers(make_integers(6, 512, random));
}

TEST(IntegerCodec, StridesAndPiecesOfStridesAreSmall) {
    std::mt19937_64 random(test_seed());
    std::vector<std::byte> bytes;
    encode_integers(make_integers(1, 100000, random), bytes);
    EXPECT_LE(bytes.size(), 8U);
    bytes.clear();
    encode_integers(make_integers(4, 512, random), bytes);
    EXPECT_LE(bytes.size(), 512 / 4U);
    bytes.clear();
    encode_integers(make_integers(2, 512, random), bytes);
    EXPECT_LE(bytes.size(), 512 * 14 / 8U);
}

TEST(IntegerCodec, IntegerStepsCostAStrideAndOtherStepsComeBackBitForBit) {
    std::vector<int64_t> images;
    images.reserve(1000);
    for (int i = 0; i < 1000; ++i) {
        images.push_back(ordered_image(static_cast<double>(i) * 50));
    }
    std::vector<std::byte> bytes;
    encode_steps(images, bytes);
    EXPECT_LE(bytes.size(), 8U);
    std::vector<int64_t> back(images.size());
    ASSERT_TRUE(decode_steps(bytes, back));
    EXPECT_EQ(back, images);

    for (const double odd : {0.1, -0.0, 1e300, 9007199254740994.0, -5e-324, 1e18}) {
        images.back() = ordered_image(odd);
        bytes.clear();
        encode_steps(images, bytes);
        ASSERT_TRUE(decode_steps(bytes, back));
        EXPECT_EQ(back, images);
    }
}

// --- Values ---

void check_values(const std::vector<double>& values) {
    std::vector<std::byte> bytes;
    const ValueForm form = encode_values(values, bytes);
    std::vector<double> back(values.size(), 99);
    const Status status = decode_values(form, bytes, back);
    ASSERT_TRUE(status) << status.error().to_string();
    for (size_t i = 0; i < values.size(); ++i) {
        ASSERT_EQ(bits_of(back[i]), bits_of(values[i])) << "value " << i << " of " << values.size();
    }
    const size_t vector = (values.size() - 1) / kPackedValuesMax;
    const size_t from = vector * kPackedValuesMax;
    std::vector<double> last(values.size() - from, 99);
    const auto vectors = ValueVectors::read(form, bytes, values.size());
    ASSERT_TRUE(vectors && vectors->decode(vector, last));
    for (size_t i = 0; i < last.size(); ++i) {
        ASSERT_EQ(bits_of(last[i]), bits_of(values[from + i]));
    }
}

constexpr unsigned kKinds = 16;

double special(std::mt19937_64& random) {
    constexpr std::array<uint64_t, 12> kSpecials = {
        0x7FF0000000000001,  // signalling NaN, payload below float32
        0x7FF0000020000000,  // signalling NaN of float32
        0x7FF8000000000000, 0xFFF8000000000000, 0x7FFC0000E0000000, 0xFFFFFFFFFFFFFFFF,
        0x7FF0000000000000, 0xFFF0000000000000, 0x8000000000000000, 0x0000000000000001,
        0x000FFFFFFFFFFFFF, 0x36A0000000000000};  // the last: the smallest float32 denormal
    return std::bit_cast<double>(kSpecials[random() % kSpecials.size()]);
}

double make_value(unsigned kind, size_t i, std::mt19937_64& random) {
    std::normal_distribution<double> normal;
    switch (kind) {
        case 0:
            return 0.25;
        case 1:
            return static_cast<double>(static_cast<float>(0.7 * std::exp(0.1 * normal(random))));
        case 2:
            return 0.7 * std::exp(0.1 * normal(random));
        case 3:
            return static_cast<double>(static_cast<int64_t>(random() % 2000) - 1000);
        case 4:
            return static_cast<double>(i * 128);
        case 5:
            return std::round(normal(random) * 1e4) / 1e4;
        case 6:
            return static_cast<double>(static_cast<float>(std::round(normal(random) * 1e3) / 1e3));
        case 7:
            return std::bit_cast<double>(static_cast<uint64_t>(random()));
        case 8:
            return widen(static_cast<uint32_t>(random()));
        case 9:
            return special(random);
        case 10:  // decimals with exceptions
            return random() % 20 == 0 ? special(random)
                                      : static_cast<double>(random() % 9999) / 100.0;
        case 11:  // float32 with rare NaN and zeros
            return random() % 40 == 0 ? (random() % 2 == 0 ? -0.0 : std::nan(""))
                                      : make_value(1, i, random);
        case 12:
            return static_cast<double>(static_cast<float>(normal(random)));
        case 13:
            return 3e-4 * (1 + std::cos(static_cast<double>(i) / 1000));
        case 14:  // bfloat16
            return widen(static_cast<uint32_t>(random()) & 0x3FFF0000U);
        default:
            return random() % 2 == 0 ? 1e-5 : -1234567.125;
    }
}

std::vector<double> make_values(unsigned kind, size_t count, std::mt19937_64& random) {
    std::vector<double> values(count);
    for (size_t i = 0; i < count; ++i) {
        values[i] = make_value(kind, i, random);
    }
    return values;
}

TEST(ValueCodec, EveryClassOfEveryLengthComesBackBitForBit) {
    std::mt19937_64 random(test_seed());
    for (size_t count = 1; count <= 600; count += count < 40 ? 1 : 13) {
        for (unsigned kind = 0; kind < kKinds; ++kind) {
            ASSERT_NO_FATAL_FAILURE(check_values(make_values(kind, count, random)))
                << "kind " << kind << " count " << count;
        }
    }
    for (const size_t count : std::vector<size_t>{256, 257, 511, 512, 513, 5000}) {
        for (unsigned kind = 0; kind < kKinds; ++kind) {
            ASSERT_NO_FATAL_FAILURE(check_values(make_values(kind, count, random))) << kind;
        }
    }
}

TEST(ValueCodec, WordsOfFloat32TakeTheBytesOfTheirDoubles) {
    std::mt19937_64 random(test_seed());
    for (size_t count = 1; count <= 1100; count += count < 40 ? 1 : 53) {
        for (unsigned kind = 0; kind < kKinds; ++kind) {
            std::vector<uint32_t> words(count);
            std::vector<double> values(count);
            for (size_t i = 0; i < count; ++i) {
                const double value = make_value(kind, i, random);
                words[i] = narrow(value).value_or(bits_of(static_cast<float>(value)));
                values[i] = widen(words[i]);
            }
            std::vector<std::byte> of_doubles(3);
            const ValueForm form = encode_values(values, of_doubles);
            std::vector<std::byte> of_words(3);
            const ValueForm words_form = encode_values(std::span<const uint32_t>(words), of_words);
            ASSERT_FALSE(form.float64);
            ASSERT_FALSE(words_form.float64);
            ASSERT_EQ(words_form.constant, form.constant);
            ASSERT_EQ(of_words, of_doubles) << "kind " << kind << " count " << count;
        }
    }
}

// What an encoder under these kernels writes, and whether it decodes what others wrote.
struct Written {
    ValueForm form;
    std::vector<std::byte> bytes;
};

void check_variant(KernelLevel level, const std::vector<double>& values, const Written& written) {
    use_kernels(level);
    std::vector<std::byte> bytes;
    const ValueForm form = encode_values(values, bytes);
    ASSERT_EQ(form.float64, written.form.float64);
    ASSERT_EQ(form.constant, written.form.constant);
    ASSERT_EQ(bytes, written.bytes);
    const auto exact = std::make_unique<std::byte[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), exact.get());
    std::vector<double> back(values.size());
    ASSERT_TRUE(decode_values(form, {exact.get(), bytes.size()}, back));
    ASSERT_TRUE(std::equal(back.begin(), back.end(), values.begin(), same_bits));
}

TEST(ValueCodec, EveryProcessorWritesTheSameBytes) {
    std::mt19937_64 random(test_seed());
    for (size_t count = 1; count <= 1100; count += count < 40 ? 1 : 29) {
        for (unsigned kind = 0; kind < kKinds; ++kind) {
            std::vector<double> values = make_values(kind, count, random);
            if (random() % 3 == 0) {  // exceptions at the ends of vectors
                values.front() = special(random);
                values.back() = special(random);
                values[std::min<size_t>(count - 1, 255)] = special(random);
            }
            use_kernels(KernelLevel::kPortable);
            Written written;
            written.form = encode_values(values, written.bytes);
            for (const auto level :
                 {KernelLevel::kPortable, KernelLevel::kAvx2, KernelLevel::kAvx512}) {
                if (kernels_of(level) != nullptr) {
                    ASSERT_NO_FATAL_FAILURE(check_variant(level, values, written))
                        << "kind " << kind << " count " << count << " level "
                        << static_cast<int>(level);
                }
            }
        }
    }
}

double bits_per_value(unsigned kind, std::mt19937_64& random) {
    constexpr size_t kValues = 512;
    constexpr size_t kRounds = 40;
    std::vector<std::byte> bytes;
    for (size_t round = 0; round < kRounds; ++round) {
        encode_values(make_values(kind, kValues, random), bytes);
    }
    return static_cast<double>(bytes.size()) * 8 / (kValues * kRounds);
}

TEST(ValueCodec, EachClassTakesTheBitsItDeserves) {
    std::mt19937_64 random(test_seed());
    const std::array<double, kKinds> bits_max = {0.1,  23.5, 54, 12, 2,  18, 17, 64.5,
                                                 32.5, 64.5, 20, 25, 33, 40, 17, 38};
    for (unsigned kind = 0; kind < kKinds; ++kind) {
        const double bits = bits_per_value(kind, random);
        std::printf("kind %2u: %6.2f bits/value\n", kind, bits);
        EXPECT_LE(bits, bits_max[kind]) << "kind " << kind;
    }
}

TEST(ValueCodec, ConstantsDropTheirZeroBytes) {
    std::vector<std::byte> bytes;
    const auto form = encode_values(std::vector<double>(1000, 1.0), bytes);
    EXPECT_TRUE(form.constant);
    EXPECT_FALSE(form.float64);
    EXPECT_EQ(bytes, (std::vector<std::byte>{std::byte{0x80}, std::byte{0x3F}}));
    bytes.clear();
    encode_values(std::vector<double>(3, 0.0), bytes);
    EXPECT_TRUE(bytes.empty());
}

TEST(ValueCodec, OneNanDoesNotWidenAVector) {
    std::mt19937_64 random(test_seed());
    auto values = make_values(1, 256, random);
    std::vector<std::byte> without;
    encode_values(values, without);
    values[100] = std::bit_cast<double>(0x7FF0000020000000ULL);
    std::vector<std::byte> with;
    encode_values(values, with);
    EXPECT_LE(with.size(), without.size() + 16);
    check_values(values);
}

// --- Untrusted bytes ---

TEST(Codecs, TruncatedAndGarbledBytesNeverCrash) {
    std::mt19937_64 random(test_seed());
    const auto any_kernels = [&] {
        const auto level = static_cast<KernelLevel>(random() % 3);
        use_kernels(kernels_of(level) != nullptr ? level : KernelLevel::kPortable);
    };
    for (unsigned round = 0; round < 4000; ++round) {
        any_kernels();
        const size_t count = 1 + random() % 600;
        const auto values = make_values(round % kKinds, count, random);
        std::vector<std::byte> bytes;
        ValueForm form = encode_values(values, bytes);
        if (!bytes.empty()) {
            for (auto flips = 1 + random() % 3; flips > 0; --flips) {
                bytes[random() % std::min<size_t>(bytes.size(), random() % 2 == 0 ? 16 : 4096)] =
                    static_cast<std::byte>(random());
            }
            bytes.resize(random() % 3 == 0 ? random() % bytes.size() : bytes.size());
        }
        // A copy of exactly that size, so that a sanitizer sees a read beyond it.
        const auto exact = std::make_unique<std::byte[]>(bytes.size());
        std::copy(bytes.begin(), bytes.end(), exact.get());
        form.float64 ^= random() % 10 == 0;
        std::vector<double> back(count);
        const Status status = decode_values(form, {exact.get(), bytes.size()}, back);
        if (!status) {
            ASSERT_EQ(status.error().code(), ErrorCode::kCorruption);
        }
    }
    for (unsigned round = 0; round < 4000; ++round) {
        any_kernels();
        const size_t count = 1 + random() % 600;
        std::vector<std::byte> bytes;
        encode_integers(make_integers(round % 7, count, random), bytes);
        bytes[random() % std::min<size_t>(bytes.size(), 16)] = static_cast<std::byte>(random());
        bytes.resize(random() % 3 == 0 ? random() % bytes.size() : bytes.size());
        const auto exact = std::make_unique<std::byte[]>(bytes.size());
        std::copy(bytes.begin(), bytes.end(), exact.get());
        std::vector<int64_t> back(count);
        const Status status = decode_integers({exact.get(), bytes.size()}, back);
        const Status steps = decode_steps({exact.get(), bytes.size()}, back);
        if (!status) {
            ASSERT_EQ(status.error().code(), ErrorCode::kCorruption);
        }
        if (!steps) {
            ASSERT_EQ(steps.error().code(), ErrorCode::kCorruption);
        }
    }
}

TEST(Varint, OverlongAndEndlessOnesAreRefused) {
    uint64_t value = 0;
    std::vector<std::byte> bytes;
    append_varint(bytes, ~uint64_t{0});
    ByteReader whole(bytes);
    EXPECT_TRUE(read_varint(whole, value));
    EXPECT_EQ(value, ~uint64_t{0});
    bytes.back() = std::byte{2};
    ByteReader too_large(bytes);
    EXPECT_FALSE(read_varint(too_large, value));
    bytes.pop_back();
    ByteReader cut(bytes);
    EXPECT_FALSE(read_varint(cut, value));
}

}  // namespace stepdb::codec_test
