#include "engine/model/value_loops.h"

#include <array>
#include <limits>

#include "engine/base/float_bits.h"

namespace stepdb {

namespace {

// Plain loops over eight lanes, which the compiler turns into what the caller's target has.
constexpr size_t kLanes = 8;
using Lanes = std::array<double, kLanes>;

constexpr uint64_t kExponent = 0x7FF0000000000000;

// Into each of the targets below.
#define STEPDB_INLINE [[gnu::always_inline]] inline

STEPDB_INLINE double joined(const Lanes& lanes) {
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

STEPDB_INLINE ValueScan scan_loop(std::span<const double> values) {
    int64_t min = std::numeric_limits<int64_t>::max();
    int64_t max = std::numeric_limits<int64_t>::min();
    uint64_t odd = 0;
    for (const double value : values) {
        const int64_t image = ordered_image(value);
        min = image < min ? image : min;
        max = image > max ? image : max;
        odd |= (bits_of(value) & kExponent) == kExponent ? 1U : 0U;
    }
    ValueScan scan;
    scan.min = from_ordered_image(min);
    scan.max = from_ordered_image(max);
    scan.finite = odd == 0;
    return scan;
}

STEPDB_INLINE double sum_loop(std::span<const double> values) {
    const double* in = values.data();
    Lanes sums{};
    const size_t whole = values.size() / kLanes * kLanes;
    for (size_t i = 0; i < whole; i += kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) {
            sums[lane] += in[i + lane];
        }
    }
    for (size_t i = whole; i < values.size(); ++i) {
        sums[i - whole] += in[i];
    }
    return joined(sums);
}

STEPDB_INLINE double squares_loop(std::span<const double> values, double mean) {
    const double* in = values.data();
    Lanes sums{};
    const size_t whole = values.size() / kLanes * kLanes;
    for (size_t i = 0; i < whole; i += kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) {
            const double deviation = in[i + lane] - mean;
            sums[lane] += deviation * deviation;
        }
    }
    for (size_t i = whole; i < values.size(); ++i) {
        const double deviation = in[i] - mean;
        sums[i - whole] += deviation * deviation;
    }
    return joined(sums);
}

STEPDB_INLINE size_t find_loop(std::span<const double> values, double value) {
    const double* in = values.data();
    const uint64_t wanted = bits_of(value);
    constexpr size_t kStep = 64;
    size_t at = 0;
    for (; at + kStep <= values.size(); at += kStep) {
        uint64_t found = 0;
        for (size_t i = 0; i < kStep; ++i) {
            found |= bits_of(in[at + i]) == wanted ? 1U : 0U;
        }
        if (found != 0) {
            break;
        }
    }
    while (at < values.size() && bits_of(in[at]) != wanted) {
        ++at;
    }
    return at;
}

struct Loops {
    ValueScan (*scan)(std::span<const double>);
    double (*sum)(std::span<const double>);
    double (*squares)(std::span<const double>, double);
    size_t (*find)(std::span<const double>, double);
};

// NOLINTBEGIN(bugprone-macro-parentheses): a name and an attribute
#define STEPDB_LOOPS(NAME, TARGET)                                       \
    namespace NAME {                                                     \
    TARGET ValueScan scan(std::span<const double> values) {              \
        return scan_loop(values);                                        \
    }                                                                    \
    TARGET double sum(std::span<const double> values) {                  \
        return sum_loop(values);                                         \
    }                                                                    \
    TARGET double squares(std::span<const double> values, double mean) { \
        return squares_loop(values, mean);                               \
    }                                                                    \
    TARGET size_t find(std::span<const double> values, double value) {   \
        return find_loop(values, value);                                 \
    }                                                                    \
    constexpr Loops kLoops{scan, sum, squares, find};                    \
    }
// NOLINTEND(bugprone-macro-parentheses)

// clang 14 does not know the preference.
#ifdef __clang__
#define STEPDB_AVX512 "avx512f,avx512vl,avx512dq"
#else
#define STEPDB_AVX512 "avx512f,avx512vl,avx512dq,prefer-vector-width=512"
#endif

STEPDB_LOOPS(portable, )
#ifdef __x86_64__
STEPDB_LOOPS(avx2, [[gnu::target("avx2")]])
STEPDB_LOOPS(avx512, [[gnu::target(STEPDB_AVX512)]])
#endif

const Loops& loops() {
#ifdef __x86_64__
    static const Loops& best = __builtin_cpu_supports("avx512dq") != 0 ? avx512::kLoops
                               : __builtin_cpu_supports("avx2") != 0   ? avx2::kLoops
                                                                       : portable::kLoops;
    return best;
#else
    return portable::kLoops;
#endif
}

}  // namespace

ValueScan scan_values(std::span<const double> values) {
    return loops().scan(values);
}

double plain_sum(std::span<const double> values) {
    return loops().sum(values);
}

double plain_squares(std::span<const double> values, double mean) {
    return loops().squares(values, mean);
}

size_t find_value(std::span<const double> values, double value) {
    return loops().find(values, value);
}

}  // namespace stepdb
