#include "engine/model/value_loops.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <limits>
#include <type_traits>

#include "engine/base/check.h"
#include "engine/model/value_loop_variants.h"

namespace stepdb {

namespace {

// Plain loops over lanes, which the compiler turns into what the caller's target has.
constexpr size_t kLanes = 16;
using Lanes = std::array<double, kLanes>;

// Into each of the targets below.
#define STEPDB_INLINE [[gnu::always_inline]] inline

template <typename U>
using Signed = std::make_signed_t<U>;

template <typename U>
constexpr U kMagnitude = static_cast<U>(~U{0}) >> 1U;
template <typename U>
constexpr U kExponent = 0;
template <>
constexpr uint64_t kExponent<uint64_t> = 0x7FF0000000000000;
template <>
constexpr uint32_t kExponent<uint32_t> = 0x7F800000;

// Values are taken as their bits; U is their word.
STEPDB_INLINE double number_of(uint64_t word) {
    return std::bit_cast<double>(word);
}
STEPDB_INLINE double number_of(uint32_t word) {
    return static_cast<double>(std::bit_cast<float>(word));
}

// As in float_bits.h, without a branch.
template <typename U>
STEPDB_INLINE Signed<U> image_of(U word) {
    const auto negative = static_cast<U>(static_cast<Signed<U>>(word) >> (sizeof(U) * 8 - 1));
    return static_cast<Signed<U>>(word ^ (negative & kMagnitude<U>));
}

STEPDB_INLINE double joined(Lanes lanes) {
    for (size_t lane = 0; lane < kLanes / 2; ++lane) {
        lanes[lane] += lanes[lane + kLanes / 2];
    }
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// Of a part, the sum of the numbers, or of the squares of their deviations from `mean`.
template <Addend Of, typename U>
STEPDB_INLINE double sum_part(const U* words, size_t count, double mean) {
    Lanes sums{};
    const size_t whole = count / kLanes * kLanes;
    for (size_t i = 0; i < whole; i += kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) {
            const double value = number_of(words[i + lane]);
            const double deviation = value - mean;
            sums[lane] += Of == Addend::kValue ? value : deviation * deviation;
        }
    }
    for (size_t i = whole; i < count; ++i) {
        const double value = number_of(words[i]);
        const double deviation = value - mean;
        sums[i - whole] += Of == Addend::kValue ? value : deviation * deviation;
    }
    return joined(sums);
}

template <typename U>
STEPDB_INLINE ImageRange<U> scan_loop(const U* words, size_t count, double* sums) {
    ImageRange<U> range{std::numeric_limits<Signed<U>>::max(),
                        std::numeric_limits<Signed<U>>::min()};
    for (size_t at = 0; at < count; at += kPlainValues) {
        const size_t here = count - at < kPlainValues ? count - at : kPlainValues;
        const U* const part = words + at;
        for (size_t i = 0; i < here; ++i) {
            const Signed<U> image = image_of(part[i]);
            range.min = image < range.min ? image : range.min;
            range.max = image > range.max ? image : range.max;
        }
        *sums++ = sum_part<Addend::kValue>(part, here, 0);
    }
    return range;
}

template <typename U>
STEPDB_INLINE void squares_loop(const U* words, size_t count, double mean, double* sums) {
    for (size_t at = 0; at < count; at += kPlainValues) {
        const size_t here = count - at < kPlainValues ? count - at : kPlainValues;
        *sums++ = sum_part<Addend::kSquare>(words + at, here, mean);
    }
}

template <typename U>
STEPDB_INLINE size_t find_loop(const U* words, size_t count, U wanted) {
    constexpr size_t kStep = 64;
    size_t at = 0;
    for (; at + kStep <= count; at += kStep) {
        U found = 0;
        for (size_t i = 0; i < kStep; ++i) {
            found |= words[at + i] == wanted ? U{1} : U{0};
        }
        if (found != 0) {
            break;
        }
    }
    while (at < count && words[at] != wanted) {
        ++at;
    }
    return at;
}

// NOLINTBEGIN(bugprone-macro-parentheses): a name and an attribute
#define STEPDB_LOOPS(NAME, TARGET)                                                 \
    namespace NAME {                                                               \
    template <typename U>                                                          \
    TARGET ImageRange<U> scan(const U* words, size_t count, double* sums) {        \
        return scan_loop(words, count, sums);                                      \
    }                                                                              \
    template <typename U>                                                          \
    TARGET void squares(const U* words, size_t count, double mean, double* sums) { \
        squares_loop(words, count, mean, sums);                                    \
    }                                                                              \
    template <typename U>                                                          \
    TARGET size_t find(const U* words, size_t count, U wanted) {                   \
        return find_loop(words, count, wanted);                                    \
    }                                                                              \
    template <typename U>                                                          \
    constexpr ValueLoops<U> kLoops{scan<U>, squares<U>, find<U>};                  \
    }
// NOLINTEND(bugprone-macro-parentheses)

STEPDB_LOOPS(portable, )
#ifdef __x86_64__
STEPDB_LOOPS(avx2, [[gnu::target("avx2")]])
#endif

template <typename U>
const ValueLoops<U>* loops_of(ValueLoopLevel level) {
#ifdef __x86_64__
    if (level == ValueLoopLevel::kAvx512) {
        const bool is_there = __builtin_cpu_supports("avx512f") != 0 &&
                              __builtin_cpu_supports("avx512dq") != 0 &&
                              __builtin_cpu_supports("avx512vl") != 0;
        if constexpr (sizeof(U) == sizeof(uint32_t)) {
            return is_there ? &avx512::kLoops32 : nullptr;
        } else {
            return is_there ? &avx512::kLoops64 : nullptr;
        }
    }
    if (level == ValueLoopLevel::kAvx2) {
        return __builtin_cpu_supports("avx2") != 0 ? &avx2::kLoops<U> : nullptr;
    }
#endif
    return level == ValueLoopLevel::kPortable ? &portable::kLoops<U> : nullptr;
}

ValueLoopLevel best_level() {
    return has_value_loops(ValueLoopLevel::kAvx512) ? ValueLoopLevel::kAvx512
           : has_value_loops(ValueLoopLevel::kAvx2) ? ValueLoopLevel::kAvx2
                                                    : ValueLoopLevel::kPortable;
}

template <typename U>
std::atomic<const ValueLoops<U>*>& loops_in_use() {
    static std::atomic<const ValueLoops<U>*> in_use = loops_of<U>(best_level());
    return in_use;
}

template <typename U>
const ValueLoops<U>& loops() {
    return *loops_in_use<U>().load(std::memory_order_relaxed);
}

const uint64_t* words_of(std::span<const double> values) {
    return reinterpret_cast<const uint64_t*>(values.data());
}
const uint32_t* words_of(std::span<const uint32_t> words) {
    return words.data();
}

template <typename T>
ValueScan scan_any(std::span<const T> values, std::span<double> sums) {
    CHECK(!values.empty() && plain_parts(values.size()) <= std::min(sums.size(), kPlainPartsMax),
          "{} values, room for {} sums", values.size(), sums.size());
    const auto* const words = words_of(values);
    using U = std::remove_cvref_t<decltype(*words)>;
    const ImageRange<U> range = loops<U>().scan(words, values.size(), sums.data());
    ValueScan scan;
    // Images of what is not finite lie beyond all others, at either end; an image is its own
    // inverse.
    scan.finite = range.max < static_cast<Signed<U>>(kExponent<U>) &&
                  range.min > static_cast<Signed<U>>(~kExponent<U>);
    scan.min = number_of(static_cast<U>(image_of(static_cast<U>(range.min))));
    scan.max = number_of(static_cast<U>(image_of(static_cast<U>(range.max))));
    return scan;
}

template <typename T>
void sum_squares_any(std::span<const T> values, double mean, std::span<double> sums) {
    CHECK(plain_parts(values.size()) <= sums.size(), "{} values, room for {} sums", values.size(),
          sums.size());
    const auto* const words = words_of(values);
    loops<std::remove_cvref_t<decltype(*words)>>().squares(words, values.size(), mean, sums.data());
}

}  // namespace

bool has_value_loops(ValueLoopLevel level) {
    return loops_of<uint32_t>(level) != nullptr;
}

void use_value_loops(ValueLoopLevel level) {
    CHECK(has_value_loops(level), "this processor has no loops of level {}",
          static_cast<int>(level));
    loops_in_use<uint32_t>().store(loops_of<uint32_t>(level), std::memory_order_relaxed);
    loops_in_use<uint64_t>().store(loops_of<uint64_t>(level), std::memory_order_relaxed);
}

ValueScan scan_values(std::span<const double> values, std::span<double> sums) {
    return scan_any(values, sums);
}
ValueScan scan_values(std::span<const uint32_t> words, std::span<double> sums) {
    return scan_any(words, sums);
}

void sum_squares(std::span<const double> values, double mean, std::span<double> sums) {
    sum_squares_any(values, mean, sums);
}
void sum_squares(std::span<const uint32_t> words, double mean, std::span<double> sums) {
    sum_squares_any(words, mean, sums);
}

size_t find_value(std::span<const double> values, double value) {
    return loops<uint64_t>().find(words_of(values), values.size(), std::bit_cast<uint64_t>(value));
}
size_t find_value(std::span<const uint32_t> words, double value) {
    return loops<uint32_t>().find(words.data(), words.size(),
                                  std::bit_cast<uint32_t>(static_cast<float>(value)));
}

}  // namespace stepdb
