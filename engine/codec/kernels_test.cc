// Every variant of the kernels does what the portable one does, on whatever bits.
#include "engine/codec/kernels.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "engine/base/float_bits.h"
#include "engine/codec/bit_packing.h"
#include "engine/codec/decimal.h"

namespace stepdb::kernels_test {

constexpr size_t kCountMax = 256;

uint64_t test_seed() {
    const char* text = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe)
    const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : 20261128;
    std::printf("STEPDB_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

std::vector<const Kernels*> variants() {
    std::vector<const Kernels*> found;
    for (const auto level : {KernelLevel::kPortable, KernelLevel::kAvx2, KernelLevel::kAvx512}) {
        if (const Kernels* const kernels = kernels_of(level); kernels != nullptr) {
            found.push_back(kernels);
        }
    }
    return found;
}

template <typename U>
const WordKernels<U>& of(const Kernels& kernels) {
    if constexpr (sizeof(U) == 4) {
        return kernels.of32;
    } else {
        return kernels.of64;
    }
}

// Random words that share some bits, with odd ones strewn in.
template <typename U>
std::vector<U> make_words(size_t count, std::mt19937_64& random) {
    const U common = static_cast<U>(random());
    const U varying = static_cast<U>(random() >> random() % 64) << random() % (sizeof(U) * 4);
    std::vector<U> words(count);
    for (U& word : words) {
        word = common ^ (static_cast<U>(random()) & varying);
        if (random() % 32 == 0) {
            const std::array<U, 5> odd = {U{0}, static_cast<U>(~U{0}),
                                          static_cast<U>(U{1} << (sizeof(U) * 8 - 1)), U{1},
                                          static_cast<U>(random())};
            word = odd[random() % odd.size()];
        }
    }
    return words;
}

std::vector<double> make_doubles(size_t count, std::mt19937_64& random) {
    std::vector<double> values(count);
    const auto kind = random() % 5;
    for (double& value : values) {
        const auto integer = static_cast<double>(static_cast<int64_t>(random() % 20000) - 10000);
        value = kind == 0   ? integer
                : kind == 1 ? integer / kPowersOfTen[random() % 6]
                : kind == 2 ? integer * kPowersOfTen[random() % 19]
                            : std::bit_cast<double>(uint64_t{random()});
        if (kind != 4) {
            value = static_cast<double>(static_cast<float>(value));
        }
        if (random() % 50 == 0) {
            value = widen(static_cast<uint32_t>(random()) | 0x7F800000U);
        }
    }
    return values;
}

template <typename U>
void expect_extremes(Extremes<U> a, Extremes<U> b) {
    EXPECT_EQ(a.low, b.low);
    EXPECT_EQ(a.high, b.high);
}

// --- Packing ---

// Unpacks from a copy of exactly so many bytes, so that a sanitizer sees a read beyond them.
template <typename U>
std::vector<U> unpack_exactly(const WordKernels<U>& kernels, const std::byte* bytes, size_t count,
                              unsigned width) {
    const size_t size = packed_bytes(count, width);
    const auto exact = std::make_unique<std::byte[]>(size);
    std::copy_n(bytes, size, exact.get());
    std::vector<U> back(kKernelRoom);
    kernels.unpack(exact.get(), count, width, back.data());
    back.resize(count);
    return back;
}

template <typename U>
void check_packing(unsigned width, size_t count, std::mt19937_64& random) {
    std::vector<U> values(count);
    for (U& value : values) {
        value = width == 0 ? U{0} : static_cast<U>(random() >> (64 - width));
    }
    std::vector<std::byte> expected(packed_bytes(count, width));
    pack_bits(values.data(), count, width, expected.data());
    for (const Kernels* kernels : variants()) {
        std::vector<std::byte> packed(expected.size() + kPackOverrun);
        of<U>(*kernels).pack(values.data(), count, width, packed.data());
        packed.resize(expected.size());
        ASSERT_EQ(packed, expected) << "width " << width << " count " << count;
        ASSERT_EQ(unpack_exactly(of<U>(*kernels), packed.data(), count, width), values)
            << "width " << width << " count " << count;
    }
}

TEST(Kernels, EveryWidthIsPackedAlike) {
    std::mt19937_64 random(test_seed());
    for (size_t count = 1; count <= kCountMax; count += count < 36 ? 1 : 17 + random() % 5) {
        for (unsigned width = 0; width <= 64; ++width) {
            ASSERT_NO_FATAL_FAILURE(check_packing<uint64_t>(width, count, random));
            if (width <= 32) {
                ASSERT_NO_FATAL_FAILURE(check_packing<uint32_t>(width, count, random));
            }
        }
    }
    for (unsigned width = 0; width <= 64; ++width) {
        ASSERT_NO_FATAL_FAILURE(check_packing<uint64_t>(width, kCountMax, random));
        ASSERT_NO_FATAL_FAILURE(check_packing<uint32_t>(width / 2, kCountMax, random));
    }
}

// --- Scans and differences ---

template <typename U>
void check_scans(const WordKernels<U>& variant, const std::vector<U>& words) {
    const WordKernels<U>& plain = of<U>(*kernels_of(KernelLevel::kPortable));
    const size_t count = words.size();
    const U all = plain.or_all(words.data(), count);
    ASSERT_EQ(variant.or_all(words.data(), count), all);
    expect_extremes<U>(variant.extremes(words.data(), count), plain.extremes(words.data(), count));

    const unsigned shift = all == 0 ? 0 : static_cast<unsigned>(std::countr_zero(all));
    std::vector<U> expected(kKernelRoom);
    std::vector<U> images(kKernelRoom);
    expect_extremes<U>(variant.images(words.data(), count, shift, images.data()),
                       plain.images(words.data(), count, shift, expected.data()));
    images.resize(count);
    expected.resize(count);
    ASSERT_EQ(images, expected);
    variant.words_of_images(images.data(), count, shift);
    ASSERT_EQ(images, words);
}

template <typename U>
void check_differences(const WordKernels<U>& variant, const std::vector<U>& words, U base) {
    const WordKernels<U>& plain = of<U>(*kernels_of(KernelLevel::kPortable));
    const size_t count = words.size();
    if (count < 2) {
        return;
    }
    std::vector<U> expected(kKernelRoom);
    std::vector<U> differences(kKernelRoom);
    expect_extremes<U>(variant.differences(words.data(), count, differences.data()),
                       plain.differences(words.data(), count, expected.data()));
    for (size_t i = 0; i + 1 < count; ++i) {
        ASSERT_EQ(differences[i], expected[i]);
        differences[i] = static_cast<U>(differences[i] - base);
    }
    std::vector<U> back(kKernelRoom);
    variant.sum_up(differences.data(), count - 1, words[0], base, back.data());
    back.resize(count);
    ASSERT_EQ(back, words);
}

template <typename U>
void check_counts(const WordKernels<U>& variant, const std::vector<U>& words, U low, U range) {
    const WordKernels<U>& plain = of<U>(*kernels_of(KernelLevel::kPortable));
    const size_t count = words.size();
    ASSERT_EQ(variant.count_within(words.data(), count, low, range),
              plain.count_within(words.data(), count, low, range));
    if (count >= kNeighboursCountMin) {
        ASSERT_EQ(variant.count_near_neighbours(words.data(), count, range),
                  plain.count_near_neighbours(words.data(), count, range));
    }
    const auto width = static_cast<unsigned>(std::bit_width(range));
    const unsigned shift = width > kBucketBits ? width - kBucketBits : 0;
    const Extremes<U> within = {static_cast<std::make_signed_t<U>>(low),
                                static_cast<std::make_signed_t<U>>(static_cast<U>(low + range))};
    std::array<int16_t, kBucketSums> expected{};
    std::array<int16_t, kBucketSums> sums{};
    plain.count_buckets(words.data(), count, within, shift, expected.data());
    variant.count_buckets(words.data(), count, within, shift, sums.data());
    ASSERT_EQ(sums, expected) << "low " << low << " range " << range;

    std::array<uint8_t, kCountMax> expected_above{};
    std::array<uint8_t, kCountMax> above{};
    ASSERT_EQ(variant.find_above(words.data(), count, range, above.data()),
              plain.find_above(words.data(), count, range, expected_above.data()));
    ASSERT_EQ(above, expected_above);
}

template <typename U>
void check_words(std::mt19937_64& random) {
    const std::vector<U> words = make_words<U>(1 + random() % kCountMax, random);
    const U low = random() % 2 == 0 ? words[0] : static_cast<U>(random());
    const U range = static_cast<U>(random()) >> random() % (sizeof(U) * 8);
    for (const Kernels* kernels : variants()) {
        ASSERT_NO_FATAL_FAILURE(check_scans(of<U>(*kernels), words));
        ASSERT_NO_FATAL_FAILURE(check_differences(of<U>(*kernels), words, low));
        ASSERT_NO_FATAL_FAILURE(check_counts(of<U>(*kernels), words, low, range));
        ASSERT_NO_FATAL_FAILURE(check_counts(of<U>(*kernels), words, low, static_cast<U>(~U{0})));
    }
}

TEST(Kernels, ScansAndDifferencesAgree) {
    std::mt19937_64 random(test_seed());
    for (unsigned round = 0; round < 3000; ++round) {
        ASSERT_NO_FATAL_FAILURE(check_words<uint32_t>(random));
        ASSERT_NO_FATAL_FAILURE(check_words<uint64_t>(random));
    }
}

// --- Floats and decimals ---

template <typename U>
void check_decimals(const WordKernels<U>& variant, const std::vector<U>& words, unsigned exponent) {
    const WordKernels<U>& plain = of<U>(*kernels_of(KernelLevel::kPortable));
    const size_t count = words.size();
    std::vector<uint64_t> expected(count);
    std::vector<U> expected_wrong(count);
    std::vector<uint64_t> integers(count);
    std::vector<U> wrong(count);
    const U any = plain.decimal_integers(words.data(), count, exponent, expected.data(),
                                         expected_wrong.data());
    ASSERT_EQ(
        variant.decimal_integers(words.data(), count, exponent, integers.data(), wrong.data()),
        any);
    ASSERT_EQ(wrong, expected_wrong) << "exponent " << exponent;
    std::vector<U> back(count);
    for (size_t i = 0; i < count; ++i) {
        if (wrong[i] == 0) {
            ASSERT_EQ(integers[i], expected[i]);
        }
    }
    variant.decimal_words(integers.data(), count, exponent, back.data());
    for (size_t i = 0; i < count; ++i) {
        if (wrong[i] == 0) {
            ASSERT_EQ(back[i], words[i]);
        }
    }
    // Integers of any size, as damaged bytes bring them.
    std::vector<U> expected_back(count);
    const std::vector<uint64_t> any_integers(words.begin(), words.end());
    plain.decimal_words(any_integers.data(), count, exponent, expected_back.data());
    variant.decimal_words(any_integers.data(), count, exponent, back.data());
    ASSERT_EQ(back, expected_back);
}

void check_doubles(const Kernels& variant, const std::vector<double>& values) {
    const size_t count = values.size();
    std::vector<uint32_t> expected(count);
    bool narrows = true;
    for (size_t i = 0; i < count; ++i) {
        const auto word = narrow(values[i]);
        narrows = narrows && word.has_value();
        expected[i] = word.value_or(0);
    }
    std::vector<uint32_t> words(count);
    ASSERT_EQ(variant.narrow(values.data(), count, words.data()), narrows);
    if (narrows) {
        ASSERT_EQ(words, expected);
        std::vector<double> back(count);
        variant.widen(words.data(), count, back.data());
        ASSERT_TRUE(std::equal(back.begin(), back.end(), values.begin(), same_bits));
    }
    for (const double value : values) {
        ASSERT_EQ(variant.near_decimals(value, 0x1p20, 0x1p-23),
                  kernels_of(KernelLevel::kPortable)->near_decimals(value, 0x1p20, 0x1p-23))
            << value;
    }
}

template <typename U>
U quotient_word(int64_t integer, unsigned exponent) {
    const double quotient = static_cast<double>(integer) / kPowersOfTen[exponent];
    if constexpr (sizeof(U) == 4) {
        return bits_of(static_cast<float>(quotient));
    } else {
        return bits_of(quotient);
    }
}

template <typename U>
void check_quotients(const std::vector<uint64_t>& integers, unsigned exponent) {
    for (const Kernels* kernels : variants()) {
        std::vector<U> words(integers.size());
        of<U>(*kernels).decimal_words(integers.data(), integers.size(), exponent, words.data());
        for (size_t i = 0; i < integers.size(); ++i) {
            const auto integer = static_cast<int64_t>(integers[i]);
            ASSERT_EQ(words[i], quotient_word<U>(integer, exponent))
                << integer << " / 10^" << exponent;
        }
    }
}

// Quotients that lie as near to the middle of two float32 as integers of 51 bits can bring them, a
// few in each vector, so that multiplying by an inverse may round them wrongly.
TEST(Kernels, DecimalsAreRoundedAsTheirQuotients) {
    std::mt19937_64 random(test_seed());
    for (unsigned round = 0; round < 20000; ++round) {
        const auto exponent = static_cast<unsigned>(random() % (kDecimalExponentMax + 1));
        std::vector<uint64_t> integers(1 + random() % 20);
        for (uint64_t& integer : integers) {
            integer = random() % 100000;
            if (random() % 8 == 0) {
                const double middle =
                    std::ldexp(static_cast<double>((random() & 0xFFFFFFU) | 0x800000U) + 0.5,
                               static_cast<int>(random() % 30) - 40);
                const double nearest = middle * kPowersOfTen[exponent];
                integer = std::fabs(nearest) < 0x1p50 ? static_cast<uint64_t>(std::llround(nearest))
                                                      : random() % 1000000;
            }
            integer = random() % 2 == 0 ? integer : uint64_t{0} - integer;
        }
        ASSERT_NO_FATAL_FAILURE(check_quotients<uint32_t>(integers, exponent));
        ASSERT_NO_FATAL_FAILURE(check_quotients<uint64_t>(integers, exponent));
    }
}

TEST(Kernels, WholeNumbersAreFloat32WithoutDigits) {
    std::mt19937_64 random(test_seed());
    constexpr std::array<float, 12> kOdd = {-0.0F,    0.5F,      4194304.0F,  -4194304.0F,
                                            1e30F,    -1e30F,    4194303.5F,  0x1p-149F,
                                            INFINITY, -INFINITY, 2097151.25F, NAN};
    for (unsigned round = 0; round < 3000; ++round) {
        std::vector<uint32_t> words(1 + random() % kCountMax);
        std::vector<uint32_t> expected;
        const auto shift = static_cast<unsigned>(random() % 23);
        for (uint32_t& word : words) {
            const auto integer = static_cast<int32_t>(random() % 8388607) - 4194303;
            expected.push_back(static_cast<uint32_t>(integer >> shift));
            word = bits_of(static_cast<float>(integer >> shift));
        }
        const bool whole = random() % 2 == 0;
        if (!whole) {
            words[random() % words.size()] = bits_of(kOdd[random() % kOdd.size()]);
        }
        for (const Kernels* kernels : variants()) {
            std::vector<uint32_t> integers(words.size());
            ASSERT_EQ(kernels->whole_numbers(words.data(), words.size(), integers.data()), whole);
            if (whole) {
                ASSERT_EQ(integers, expected);
            }
        }
    }
}

TEST(Kernels, FloatsAndDecimalsAgree) {
    std::mt19937_64 random(test_seed());
    for (unsigned round = 0; round < 3000; ++round) {
        const std::vector<double> values = make_doubles(1 + random() % kCountMax, random);
        std::vector<uint32_t> words32;
        std::vector<uint64_t> words64;
        for (const double value : values) {
            words32.push_back(narrow(value).value_or(static_cast<uint32_t>(random())));
            words64.push_back(bits_of(value));
        }
        const auto exponent =
            static_cast<unsigned>(random() % 2 == 0 ? 0 : random() % (kDecimalExponentMax + 1));
        for (const Kernels* kernels : variants()) {
            ASSERT_NO_FATAL_FAILURE(check_doubles(*kernels, values));
            ASSERT_NO_FATAL_FAILURE(check_decimals(kernels->of32, words32, exponent));
            ASSERT_NO_FATAL_FAILURE(check_decimals(kernels->of64, words64, exponent));
        }
    }
}

}  // namespace stepdb::kernels_test
