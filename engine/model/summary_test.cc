#include "engine/model/summary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "engine/base/float_bits.h"
#include "engine/model/value_loops.h"

namespace stepdb::summary_test {

constexpr double kMax = std::numeric_limits<double>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

uint64_t test_seed() {
    const char* text = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe)
    const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : 20261128;
    std::printf("STEPDB_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

struct Series {
    std::vector<Key> keys;
    std::vector<int64_t> times;
    std::vector<double> values;

    explicit Series(std::vector<double> of) : values(std::move(of)) {
        for (size_t i = 0; i < values.size(); ++i) {
            keys.push_back(static_cast<Key>(10 * i));
            times.push_back(static_cast<int64_t>(1000 * i + 7));
        }
    }
    Summary part(size_t begin, size_t end) const {
        return summarize(std::span(keys).subspan(begin, end - begin),
                         std::span(times).subspan(begin, end - begin),
                         std::span(values).subspan(begin, end - begin));
    }
    Summary whole() const { return part(0, values.size()); }
};

// The definition, in wider numbers (x87's exponent has 15 bits, enough for any square).
void expect_definition(const Summary& summary, const Series& series) {
    Summary expected;
    long double sum = 0;
    long double magnitude = 0;
    for (size_t i = 0; i < series.values.size(); ++i) {
        const SummaryPoint point{series.keys[i], series.times[i], series.values[i]};
        if (i == 0) {
            expected.first = point;
        }
        expected.last = point;
        if (std::isnan(point.value)) {
            ++expected.nan;
        } else if (std::isinf(point.value)) {
            ++(point.value > 0 ? expected.positive_infinity : expected.negative_infinity);
        } else {
            const int64_t image = ordered_image(point.value);
            if (expected.count == 0 || image < ordered_image(expected.min.value)) {
                expected.min = point;
            }
            if (expected.count == 0 || image > ordered_image(expected.max.value)) {
                expected.max = point;
            }
            ++expected.count;
            sum += point.value;
            magnitude += std::fabs(static_cast<long double>(point.value));
        }
    }
    EXPECT_EQ(summary.count, expected.count);
    EXPECT_EQ(summary.nan, expected.nan);
    EXPECT_EQ(summary.positive_infinity, expected.positive_infinity);
    EXPECT_EQ(summary.negative_infinity, expected.negative_infinity);
    for (const auto point : {&Summary::first, &Summary::last, &Summary::min, &Summary::max}) {
        const bool is_extreme = point == &Summary::min || point == &Summary::max;
        if (is_extreme && expected.count == 0) {
            continue;
        }
        EXPECT_EQ((summary.*point).key, (expected.*point).key);
        EXPECT_EQ((summary.*point).time, (expected.*point).time);
        EXPECT_TRUE(same_bits((summary.*point).value, (expected.*point).value));
    }
    if (expected.count == 0) {
        return;
    }
    const auto n = static_cast<long double>(expected.count);
    const long double mean = sum / n;
    long double squares = 0;
    for (const double value : series.values) {
        if (std::isfinite(value)) {
            squares += (value - mean) * (value - mean);
        }
    }
    const long double variance = squares / n;
    if (std::fabs(sum) > kMax) {
        EXPECT_TRUE(std::isinf(summary.sum.sum()));
    } else {
        EXPECT_LE(std::fabs(summary.sum.sum() - sum), 1e-12L * magnitude);
    }
    EXPECT_LE(std::fabs(summary.mean() - mean), 1e-12L * magnitude / n);
    if (variance > kMax) {
        EXPECT_EQ(summary.variance(), kInfinity);
        return;
    }
    const long double deviation = std::sqrt(variance);
    EXPECT_LE(std::fabs(summary.variance() - variance),
              1e-9L * variance + 1e-15L * std::fabs(mean) * deviation)
        << "variance " << summary.variance() << ", mean " << summary.mean();
}

TEST(Summary, OfNothingHasNoPoints) {
    EXPECT_EQ(Series({}).whole().points(), 0U);
}

TEST(Summary, CountsWhatIsNotFiniteByClass) {
    const Series series({kNan, 3, kInfinity, -kInfinity, -1, kNan});
    const Summary summary = series.whole();
    EXPECT_EQ(summary.points(), 6U);
    EXPECT_EQ(summary.count, 2U);
    EXPECT_TRUE(std::isnan(summary.first.value));
    EXPECT_EQ(summary.last.key, 50);
    EXPECT_EQ(summary.min.key, 40);
    EXPECT_EQ(summary.mean(), 1);
    EXPECT_EQ(summary.variance(), 4);
    expect_definition(summary, series);
}

TEST(Summary, WithoutAFiniteValueHasZerosAtTheFirst) {
    const Summary summary = Series({kNan, kInfinity}).whole();
    EXPECT_EQ(summary.count, 0U);
    EXPECT_EQ(summary.min.time, summary.first.time);
    EXPECT_EQ(summary.max.value, 0);
}

TEST(Summary, TiesGoToTheEarliestAndMinusZeroIsBelowZero) {
    const Summary summary = Series({0.0, -0.0, 0.0, -0.0}).whole();
    EXPECT_EQ(summary.min.key, 10);
    EXPECT_TRUE(std::signbit(summary.min.value));
    EXPECT_EQ(summary.max.key, 0);
    EXPECT_FALSE(std::signbit(summary.max.value));
}

TEST(Summary, OfValuesFarFromZeroKeepsTheirVariance) {
    std::vector<double> values;
    values.reserve(10000);
    for (int i = 0; i < 10000; ++i) {
        values.push_back(1e9 + (i % 2));
    }
    EXPECT_NEAR(Series(values).whole().variance(), 0.25, 0.25e-9);
}

TEST(Summary, SurvivesTheEndsOfFloat64) {
    for (const auto& values : std::vector<std::vector<double>>{
             {kMax, kMax, kMax, -kMax}, {kMax, -kMax}, {1e200, -1e200, 1, 2}, {1e153, 1e154}}) {
        const Series series(values);
        expect_definition(series.whole(), series);
        for (size_t at = 0; at <= values.size(); ++at) {
            Summary joined = series.part(0, at);
            joined.append(series.part(at, values.size()));
            expect_definition(joined, series);
        }
    }
    // The sum of squares leaves float64, the variance does not.
    std::vector<double> wide(5000, 1e153);
    wide.resize(10000, -1e153);
    EXPECT_NEAR(Series(wide).whole().variance() / 1e306, 1, 1e-9);
}

TEST(Summary, JoinedFromAnyPartsIsThatOfTheWhole) {
    std::mt19937_64 random(test_seed());
    for (int round = 0; round < 300; ++round) {
        const double center = std::ldexp(1.0, static_cast<int>(random() % 200) - 100);
        const double width = std::ldexp(1.0, static_cast<int>(random() % 200) - 100);
        std::normal_distribution<double> noise(center, width);
        std::vector<double> values(1 + random() % 3000);
        const bool has_odd_ones = random() % 2 == 0;
        for (double& value : values) {
            const double odd[] = {kNan, kInfinity, -kInfinity, -0.0, 0.0};
            value = has_odd_ones && random() % 50 == 0 ? odd[random() % 5] : noise(random);
        }
        const Series series(values);
        expect_definition(series.whole(), series);
        Summary joined;
        for (size_t at = 0; at < values.size();) {
            const size_t end = std::min(values.size(), at + random() % 400);
            joined.append(series.part(at, end));
            at = end;
        }
        expect_definition(joined, series);
    }
}

// As value_loops.h says they are added up, whatever the processor: within a part in sixteen sums,
// which then are joined.
template <typename Term>
double sum_in_lanes(std::span<const double> values, const Term& term) {
    double lanes[16] = {};
    for (size_t i = 0; i < values.size(); ++i) {
        lanes[i % 16] += term(values[i]);
    }
    for (size_t lane = 0; lane < 8; ++lane) {
        lanes[lane] += lanes[lane + 8];
    }
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

void expect_same_bits(const Summary& a, const Summary& b) {
    EXPECT_EQ(a.count, b.count);
    EXPECT_EQ(a.nan, b.nan);
    EXPECT_EQ(a.positive_infinity, b.positive_infinity);
    EXPECT_EQ(a.negative_infinity, b.negative_infinity);
    for (const auto point : {&Summary::first, &Summary::last, &Summary::min, &Summary::max}) {
        EXPECT_EQ((a.*point).key, (b.*point).key);
        EXPECT_EQ((a.*point).time, (b.*point).time);
        EXPECT_EQ(bits_of((a.*point).value), bits_of((b.*point).value));
    }
    EXPECT_EQ(bits_of(a.sum.sum()), bits_of(b.sum.sum()));
    EXPECT_EQ(bits_of(a.deviations.plain()), bits_of(b.deviations.plain()));
}

constexpr ValueLoopLevel kLevels[] = {ValueLoopLevel::kPortable, ValueLoopLevel::kAvx2,
                                      ValueLoopLevel::kAvx512};

// Runs with the loops of every level that this processor has.
template <typename Body>
void with_every_level(const Body& body) {
    ValueLoopLevel best = ValueLoopLevel::kPortable;
    for (const ValueLoopLevel level : kLevels) {
        if (has_value_loops(level)) {
            use_value_loops(level);
            body();
            best = level;
        }
    }
    use_value_loops(best);
}

// Float32 values as their words, around the ends of parts and of what is looked at in one go.
TEST(Summary, OfWordsIsThatOfTheirDoublesBitForBit) {
    std::mt19937_64 random(test_seed());
    for (const size_t count : {1U, 2U, 7U, 8U, 9U, 63U, 64U, 65U, 127U, 128U, 129U, 300U, 512U,
                               607U, 8191U, 8192U, 8193U, 20000U}) {
        for (const bool has_odd_ones : {false, true}) {
            std::vector<uint32_t> words;
            std::vector<double> values;
            for (size_t i = 0; i < count; ++i) {
                // Any bits; those of NaN and infinities only where they are wanted.
                auto word = static_cast<uint32_t>(random());
                if (!has_odd_ones && (word & 0x7F800000U) == 0x7F800000U) {
                    word ^= 0x40000000U;
                }
                words.push_back(word);
                values.push_back(widen(word));
            }
            const Series series(values);
            use_value_loops(ValueLoopLevel::kPortable);
            const Summary whole = series.whole();
            expect_definition(whole, series);
            with_every_level([&] {
                expect_same_bits(
                    summarize(series.keys, series.times, std::span<const uint32_t>(words)), whole);
                expect_same_bits(series.whole(), whole);
            });
        }
    }
}

TEST(Summary, AddsUpInTheSameOrderOnEveryProcessor) {
    std::mt19937_64 random(test_seed());
    std::normal_distribution<double> noise(3, 1e5);
    for (size_t count = 1; count <= 5000; count += 1 + count / 9) {
        std::vector<double> values(count);
        std::ranges::generate(values, [&] { return noise(random); });
        CompensatedSum sum;
        for (size_t at = 0; at < count; at += 1024) {
            const auto part = std::span(values).subspan(at, std::min<size_t>(1024, count - at));
            sum.add(sum_in_lanes(part, [](double value) { return value; }));
        }
        with_every_level([&] {
            const Summary summary = Series(values).whole();
            EXPECT_EQ(bits_of(summary.sum.sum()), bits_of(sum.sum())) << count;
            double squares = 0;
            for (size_t at = 0; at < count; at += 1024) {
                const auto part = std::span(values).subspan(at, std::min<size_t>(1024, count - at));
                squares += sum_in_lanes(part, [mean = summary.mean()](double value) {
                    return (value - mean) * (value - mean);
                });
            }
            EXPECT_EQ(bits_of(summary.deviations.plain()), bits_of(squares)) << count;
        });
    }
}

}  // namespace stepdb::summary_test
