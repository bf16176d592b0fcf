#include "tools/bench/known_answer.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace stepdb::known_answer_test {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Steps 0 to 5; the second bucket of three has a NaN.
KnownSeries series_of_six() {
    KnownSeries series;
    series.run = "bench/a";
    series.metric = "loss";
    series.steps = 6;
    series.value = [](uint64_t step) {
        constexpr std::array<double, 6> kValues = {4, 0.1, kNan, 0.2, 0.3, 0.25};
        return kValues[step];
    };
    return series;
}

// An answer of one row after the other, as a server might send it.
class Answer {
  public:
    explicit Answer(std::vector<ResultColumn> columns)
        : columns_(std::move(columns)), block_(columns_) {}

    // Texts first, then the others; a NaN is nothing.
    Answer& row(std::vector<std::string_view> texts, std::vector<double> numbers) {
        for (size_t at = 0; at < columns_.size(); ++at) {
            ColumnCells& cells = block_.column(at);
            if (at < texts.size()) {
                cells.append_text(texts[at]);
                continue;
            }
            const double number = numbers[at - texts.size()];
            if (std::isnan(number)) {
                cells.append_null();
            } else if (cells.type() == ColumnType::kUint64) {
                cells.append_uint64(static_cast<uint64_t>(number));
            } else {
                cells.append_double(number);
            }
        }
        return *this;
    }

    // "" if it is as it must be.
    std::string wrong(AnswerCheck& check) const {
        check.begin(columns_);
        check.take(block_);
        const Status same = check.finish();
        return same ? "" : same.error().message();
    }

  private:
    std::vector<ResultColumn> columns_;
    ResultBlock block_;
};

std::vector<ResultColumn> bucket_columns() {
    return {{"run", ColumnType::kText},     {"metric", ColumnType::kText},
            {"lo", ColumnType::kStep},      {"hi", ColumnType::kStep},
            {"count", ColumnType::kUint64}, {"max", ColumnType::kFloat64},
            {"max_x", ColumnType::kStep},   {"mean", ColumnType::kFloat64}};
}

std::string wrong_of_buckets(double count, double max, double max_x, double mean) {
    Answer answer(bucket_columns());
    answer.row({"bench/a", "loss"}, {0, 2.5, 2, 4, 0, 2.05})
        .row({"bench/a", "loss"}, {2.5, 5, count, max, max_x, mean});
    const auto check =
        check_buckets({series_of_six()}, {0, 5, 2}, {"count", "max", "max_x", "mean"});
    return answer.wrong(*check);
}

TEST(KnownAnswer, TakesBucketsThatAreRight) {
    EXPECT_EQ(wrong_of_buckets(3, 0.3, 4, 0.25), "");
    // A mean may be off in its last digits, as the promise has it, and no further.
    EXPECT_EQ(wrong_of_buckets(3, 0.3, 4, 0.25 + 1e-13), "");
    EXPECT_EQ(wrong_of_buckets(3, 0.3, 4, 0.25 + 1e-12).substr(0, 20), "row 2, mean: 0.25000");
}

TEST(KnownAnswer, NamesTheFirstCellThatIsWrong) {
    EXPECT_EQ(wrong_of_buckets(2, 0.3, 4, 0.25), "row 2, count: 2 instead of 3");
    EXPECT_EQ(wrong_of_buckets(3, std::nextafter(0.3, 1), 4, 0.25),
              "row 2, max: 0.30000000000000004 instead of 0.3");
    EXPECT_EQ(wrong_of_buckets(3, 0.3, 5, 0.25), "row 2, max_x: 5 instead of 4");
    EXPECT_EQ(wrong_of_buckets(3, kNan, 4, 0.25), "row 2, max: nothing instead of 0.3");
}

TEST(KnownAnswer, CountsNanApartAndExpectsNothingOfNothing) {
    const std::vector<KnownBucket> buckets = known_buckets(series_of_six(), {0, 20, 4});
    EXPECT_EQ(buckets[0].nan, 1U);
    EXPECT_EQ(buckets[0].count, 4U);
    EXPECT_EQ(buckets[1].points(), 1U);
    EXPECT_EQ(buckets[3].points(), 0U);
    Answer answer({{"run", ColumnType::kText},
                   {"metric", ColumnType::kText},
                   {"lo", ColumnType::kStep},
                   {"hi", ColumnType::kStep},
                   {"nan", ColumnType::kUint64},
                   {"first", ColumnType::kFloat64}});
    answer.row({"bench/a", "loss"}, {0, 10, 1, 4}).row({"bench/a", "loss"}, {10, 20, 0, kNan});
    EXPECT_EQ(answer.wrong(*check_buckets({series_of_six()}, {0, 20, 2}, {"nan", "first"})), "");
}

TEST(KnownAnswer, MissesRowsAndColumns) {
    Answer points({{"run", ColumnType::kText},
                   {"metric", ColumnType::kText},
                   {"step", ColumnType::kStep},
                   {"value", ColumnType::kFloat64}});
    points.row({"bench/a", "loss"}, {0, 4}).row({"bench/a", "loss"}, {1, 0.1});
    EXPECT_EQ(points.wrong(*check_points(series_of_six(), 0, 1)), "");
    EXPECT_EQ(points.wrong(*check_points(series_of_six(), 0, 2)), "there are 2 rows instead of 3");
    EXPECT_EQ(points.wrong(*check_points(series_of_six(), 0, 0)), "there are more than 1 rows");
    EXPECT_EQ(points.wrong(*check_points(series_of_six(), 1, 2)), "row 1, step: 0 instead of 1");
    EXPECT_EQ(points.wrong(*check_buckets({series_of_six()}, {0, 5, 2}, {})),
              "column 3 is step instead of lo");
}

TEST(KnownAnswer, CombinesTheMeansOfSeries) {
    KnownSeries other = series_of_six();
    other.value = [](uint64_t step) { return step < 3 ? 1.0 : kNan; };
    Answer answer({{"lo", ColumnType::kStep},
                   {"hi", ColumnType::kStep},
                   {"count", ColumnType::kUint64},
                   {"mean", ColumnType::kFloat64},
                   {"max", ColumnType::kFloat64}});
    answer.row({}, {0, 2.5, 2, 1.525, 2.05}).row({}, {2.5, 5, 1, 0.25, 0.25});
    EXPECT_EQ(answer.wrong(*check_across({series_of_six(), other}, {0, 5, 2})), "");
    other.value = [](uint64_t step) { return step < 3 ? 1.0 : 0.0; };
    EXPECT_EQ(answer.wrong(*check_across({series_of_six(), other}, {0, 5, 2})),
              "row 2, count: 1 instead of 2");
}

}  // namespace stepdb::known_answer_test
