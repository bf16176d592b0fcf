#include "query/answer_difference.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "query/watched_rows.h"

namespace stepdb::answer_difference_test {

struct TestRow {
    std::string name;
    double x = 0;
    std::optional<double> value;
};
using TestRows = std::vector<TestRow>;

const std::vector<ResultColumn>& columns() {
    static const std::vector<ResultColumn> columns = {ResultColumn("name", ColumnType::kText),
                                                      ResultColumn("step", ColumnType::kStep),
                                                      ResultColumn("value", ColumnType::kFloat64)};
    return columns;
}

ResultBlock block_of(const TestRows& rows) {
    ResultBlock block(columns());
    for (const TestRow& row : rows) {
        block.column(0).append_text(row.name);
        block.column(1).append_double(row.x);
        if (row.value) {
            block.column(2).append_double(*row.value);
        } else {
            block.column(2).append_null();
        }
    }
    return block;
}

std::unique_ptr<WholeAnswer> answer_of(const TestRows& rows, double width = 0) {
    auto answer = std::make_unique<WholeAnswer>(columns(), 2, nullptr);
    EXPECT_TRUE(answer->add(block_of(rows)).has_value());
    answer->grid_width = width;
    return answer;
}

std::string to_text(const ResultBlock& block) {
    std::string text;
    const auto names = block.column(0).texts();
    for (uint32_t row = 0; row < block.rows(); ++row) {
        text += fmt::format(
            "{} {} {}\n", names[row], block.column(1).doubles()[row],
            block.column(2).is_null(row) ? "-" : fmt::format("{}", block.column(2).doubles()[row]));
    }
    return text;
}

// Its rows as "CHANGE PLACE NAME X".
std::vector<std::string> told(const TestRows& before, const TestRows& after) {
    const auto from = answer_of(before);
    const auto to = answer_of(after);
    const AnswerDifference difference(from.get(), *to);
    EXPECT_FALSE(difference.is_reset());
    const ResultBlock block = difference.block(from.get(), *to, 0, difference.row_count());
    std::vector<std::string> lines;
    for (uint32_t row = 0; row < block.rows(); ++row) {
        lines.push_back(fmt::format("{} {} {} {}", block.column(0).texts()[row],
                                    block.column(1).uint64s()[row], block.column(2).texts()[row],
                                    block.column(3).doubles()[row]));
    }
    return lines;
}

using Lines = std::vector<std::string>;

TEST(AnswerDifference, SaysNothingOfWhatStays) {
    const TestRows rows = {{"a", 1, 1.0}, {"a", 2, std::nullopt}, {"b", 1, 0.5}};
    EXPECT_EQ(told(rows, rows), Lines());
    const auto from = answer_of(rows);
    const auto to = answer_of(rows);
    EXPECT_TRUE(AnswerDifference(from.get(), *to).empty());
    to->notes.emplace_back("a note");
    EXPECT_FALSE(AnswerDifference(from.get(), *to).empty());
}

TEST(AnswerDifference, TellsChangedNewAndGoneRowsWithTheirPlaces) {
    EXPECT_EQ(told({{"a", 1, 1.0}, {"a", 2, 2.0}, {"b", 1, 3.0}},
                   {{"a", 1, 1.5}, {"a", 3, 4.0}, {"b", 1, 3.0}, {"b", 2, 5.0}}),
              Lines({"gone 1 a 2", "changed 0 a 1", "new 1 a 3", "new 3 b 2"}));
}

TEST(AnswerDifference, ARowThatPassesOthersIsTheOnlyOneTold) {
    EXPECT_EQ(told({{"a", 0, 4.0}, {"b", 0, 3.0}, {"c", 0, 2.0}, {"d", 0, 1.0}},
                   {{"d", 0, 5.0}, {"a", 0, 4.0}, {"b", 0, 3.0}, {"c", 0, 2.0}}),
              Lines({"gone 3 d 0", "new 0 d 0"}));
}

TEST(AnswerDifference, TellsApartWhatDiffersInTheBitsOfANumberOnly) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(told({{"a", 0, nan}, {"b", 0, 0.0}}, {{"a", 0, nan}, {"b", 0, -0.0}}),
              Lines({"changed 1 b 0"}));
    EXPECT_EQ(told({{"a", 0, 0.0}}, {{"a", 0, std::nullopt}}), Lines({"changed 0 a 0"}));
}

TEST(AnswerDifference, AnotherGridOrNoAnswerBeforeIsAReset) {
    const auto from = answer_of({{"a", 1, 1.0}}, 8);
    const auto to = answer_of({{"a", 1, 1.0}}, 16);
    EXPECT_TRUE(AnswerDifference(from.get(), *to).is_reset());
    EXPECT_EQ(AnswerDifference(from.get(), *to).row_count(), 1U);
    EXPECT_TRUE(AnswerDifference(nullptr, *to).is_reset());
}

TEST(AnswerDifference, AnAnswerOfTooManyCellsIsRefused) {
    WholeAnswer answer(columns(), 2, nullptr);
    ResultBlock block(columns());
    block.column(0).append_text("a", 65'536);
    block.column(1).append_doubles(std::vector<double>(65'536));
    block.column(2).append_doubles(std::vector<double>(65'536));
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(answer.add(block).has_value());
    }
    const Status refused = answer.add(block);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
}

TEST(WatchedRows, RefusesAnUpdateThatCannotBe) {
    WatchedRows watched;
    watched.set_columns(columns());
    const auto answer = answer_of({{"a", 1, 1.0}, {"a", 2, 2.0}});
    const AnswerDifference all(nullptr, *answer);
    const std::vector<ResultBlock> update = {all.block(nullptr, *answer, 0, 2)};
    EXPECT_FALSE(watched.apply(update, true, 3).has_value());
    EXPECT_FALSE(watched.apply(update, true, 1).has_value());
    ASSERT_TRUE(watched.apply(update, true, 2).has_value());
    EXPECT_FALSE(watched.apply({}, false, 1).has_value());
    EXPECT_EQ(watched.rows().rows(), 2U);
}

TestRows random_rows(std::mt19937_64& dice) {
    TestRows rows(dice() % 12);
    for (TestRow& row : rows) {
        row.name = std::string(1, static_cast<char>('a' + dice() % 3));
        row.x = static_cast<double>(dice() % 4);  // the same key comes several times
        if (dice() % 4 != 0) {
            row.value = static_cast<double>(dice() % 3);
        }
    }
    return rows;
}

TEST(AnswerDifference, UpdatesMakeTheAnswerAnew) {
    const char* given = std::getenv("STEPDB_SEED");  // NOLINT(concurrency-mt-unsafe): one thread
    const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
    SCOPED_TRACE(fmt::format("STEPDB_SEED={}", seed));
    std::mt19937_64 dice(seed);
    WatchedRows watched;
    watched.set_columns(columns());
    std::unique_ptr<WholeAnswer> before;
    for (int round = 0; round < 3'000; ++round) {
        const TestRows rows = random_rows(dice);
        auto after = answer_of(rows, static_cast<double>(dice() % 20 == 0));
        const AnswerDifference difference(before.get(), *after);
        std::vector<ResultBlock> update;
        for (uint32_t first = 0; first < difference.row_count(); first += 5) {
            update.push_back(difference.block(before.get(), *after, first, 5));
        }
        ASSERT_TRUE(watched.apply(update, difference.is_reset(), rows.size()).has_value());
        ASSERT_EQ(to_text(watched.rows()), to_text(block_of(rows))) << "round " << round;
        before = std::move(after);
    }
}

}  // namespace stepdb::answer_difference_test
