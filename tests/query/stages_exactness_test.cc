// Every stage against the plain evaluator in plain/, over random series with late and replaced
// points, restarts, forks, NaN and infinities, on a map and on an engine.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/base/float_bits.h"
#include "query/literals.h"
#include "tests/query/engine_store.h"
#include "tests/query/map_store.h"
#include "tests/query/plain/evaluator.h"
#include "tests/query/plain/query_maker.h"
#include "tests/support/sim_executor.h"
#include "tools/import/csv_reader.h"

namespace stepdb::stages_exactness_test {

using plain::Cell;
using plain::Table;

std::vector<std::string> split_cells(const std::string& line) {
    std::vector<std::string> cells;
    std::istringstream stream(line + ",");
    for (std::string cell; std::getline(stream, cell, ',');) {
        cells.push_back(cell);
    }
    return cells;
}

std::string show(const Cell& cell) {
    switch (cell.kind) {
        case Cell::Kind::kEmpty:
            return {};
        case Cell::Kind::kText:
            return cell.text;
        case Cell::Kind::kTime:
            return format_moment(static_cast<int64_t>(cell.number.value));
        case Cell::Kind::kNumber:
            return cell.number.error == 0
                       ? format_value(cell.number.value)
                       : fmt::format("{} +- {}", cell.number.value, cell.number.error);
    }
    return {};
}

// Bit for bit where the language says so; all NaN are one.
bool is_same(const Cell& want, const std::string& got) {
    if (want.kind != Cell::Kind::kNumber) {
        return got == show(want);
    }
    const std::optional<double> number = parse_value(got);
    if (!number) {
        return false;
    }
    const plain::Number& exact = want.number;
    if (std::isnan(exact.value)) {
        return std::isnan(*number);
    }
    if (exact.error == 0 || !std::isfinite(exact.value)) {
        return format_value(exact.value) == format_value(*number);
    }
    return std::fabs(*number - exact.value) <= 2 * exact.error + 1e-9 * std::fabs(exact.value);
}

std::string join(const std::vector<std::string>& cells) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) {
        line += (i == 0 ? "" : ",") + cells[i];
    }
    return line;
}

std::string show(const std::vector<Cell>& row) {
    std::vector<std::string> cells;
    cells.reserve(row.size());
    for (const Cell& cell : row) {
        cells.push_back(show(cell));
    }
    return join(cells);
}

bool is_same(const std::vector<Cell>& want, const std::string& line) {
    const std::vector<std::string> got = split_cells(line);
    if (got.size() != want.size()) {
        return false;
    }
    for (size_t i = 0; i < want.size(); ++i) {
        if (!is_same(want[i], got[i])) {
            return false;
        }
    }
    return true;
}

// What is different first, or "".
std::string difference(const Table& want, const Result<AnswerLines>& answer) {
    if (!answer) {
        return "an error: " + answer.error().to_string();
    }
    AnswerLines got;
    std::string notes;
    for (const std::string& line : *answer) {
        if (line.starts_with("note ")) {
            notes += "\n  " + line;
        } else {
            got.push_back(line);
        }
    }
    if (got[0] != join(want.columns)) {
        return fmt::format("columns {}\n  expected {}{}", got[0], join(want.columns), notes);
    }
    for (size_t row = 0; row < want.rows.size() && row + 1 < got.size(); ++row) {
        if (!is_same(want.rows[row], got[row + 1])) {
            return fmt::format("row {}:\n  {}\n  expected\n  {}{}", row, got[row + 1],
                               show(want.rows[row]), notes);
        }
    }
    if (got.size() - 1 == want.rows.size()) {
        return {};
    }
    const size_t common = std::min(got.size() - 1, want.rows.size());
    return fmt::format("{} rows, expected {}; the first that is not common: {}{}", got.size() - 1,
                       want.rows.size(),
                       common < want.rows.size() ? show(want.rows[common]) : got[common + 1],
                       notes);
}

// Rounds of one store; returns how many queries were a test.
uint64_t check_store(uint64_t seed, ScriptStore& store, EngineStore* engine, uint64_t queries,
                     plain::WorldShape shape = {}) {
    SimRandom random(seed);
    const plain::World world(random, store, engine, std::move(shape));
    uint64_t tested = 0;
    for (uint64_t number = 0; tested < queries && number < 10 * queries; ++number) {
        const plain::Query query = plain::make_query(random, world);
        const std::string text = query.print();
        Table want;
        try {
            want = plain::evaluate(world, query);
        } catch (const plain::Undecidable&) {
            continue;
        }
        ++tested;
        const std::string found = difference(want, store.query(text, 0));
        if (!found.empty()) {
            ADD_FAILURE() << fmt::format("STEPDB_SEED={}, query {}: {}\n{}\nthe store:\n{}", seed,
                                         number, text, found, world.script());
            break;
        }
    }
    return tested;
}

// --- Real logs: the columns of numbers of some, as they came ---

constexpr size_t kLogRowsMax = 2500;

std::vector<std::vector<double>> read_log(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (file.peek() == '#') {
        std::string comment;
        std::getline(file, comment);
    }
    ByteSource source = [&](MutableBytes into) -> Result<size_t> {
        file.read(reinterpret_cast<char*>(into.data()), static_cast<std::streamsize>(into.size()));
        return static_cast<size_t>(file.gcount());
    };
    CsvReader reader(std::move(source), CsvOptions());
    std::vector<std::string_view> fields;
    std::vector<std::vector<std::optional<double>>> columns;
    EXPECT_TRUE(*reader.next(fields)) << path;
    columns.resize(fields.size());
    for (size_t rows = 0; rows < kLogRowsMax && *reader.next(fields); ++rows) {
        for (size_t column = 0; column < columns.size(); ++column) {
            columns[column].push_back(parse_value(fields[column]));
        }
    }
    std::vector<std::vector<double>> numbers;
    for (const auto& column : columns) {
        if (std::ranges::all_of(column, [](const auto& cell) { return cell.has_value(); })) {
            auto& values = numbers.emplace_back();
            for (const auto& cell : column) {
                values.push_back(*cell);
            }
        }
    }
    EXPECT_GE(numbers.size(), 3U) << path;
    return numbers;
}

std::vector<std::vector<std::vector<double>>> read_logs() {
    const char* data = std::getenv("STEPDB_DATA");  // NOLINT(concurrency-mt-unsafe): one thread
    const std::string folder = data != nullptr ? data : STEPDB_SHARED_DATA;
    std::vector<std::vector<std::vector<double>>> logs;
    if (std::filesystem::exists(folder)) {
        for (const char* name : {"/olmo_ladder/1B-10xC.csv", "/sb3_monitor/0.monitor.csv",
                                 "/nanogpt_gradient_rank/gradient_rank_summary.csv"}) {
            logs.push_back(read_log(folder + name));
        }
    }
    return logs;
}

class StagesExactness : public testing::TestWithParam<uint64_t> {};

TEST_P(StagesExactness, AgreesWithPlainEvaluationOfAMap) {
    const uint64_t first = test_seed(GetParam());
    uint64_t tested = 0;
    for (uint64_t seed = first; seed < first + 9 && !HasFailure(); ++seed) {
        MapStore store(1 + seed % 7);
        tested += check_store(seed, store, nullptr, scaled(1000));
    }
    EXPECT_TRUE(HasFailure() || tested == 9 * scaled(1000)) << tested;
}

TEST_P(StagesExactness, AgreesWithPlainEvaluationOfAnEngine) {
    const uint64_t first = test_seed(GetParam() + 50);
    uint64_t tested = 0;
    for (uint64_t seed = first; seed < first + 4 && !HasFailure(); ++seed) {
        EngineStore store(seed % 2 == 0 ? Reopening::kMerge : Reopening::kClose);
        tested += check_store(seed, store, &store, scaled(250));
    }
    EXPECT_TRUE(HasFailure() || tested == 4 * scaled(250)) << tested;
}

// 4 x (9 x 1000 + 4 x 250) = 40,000 queries.
INSTANTIATE_TEST_SUITE_P(Shards, StagesExactness, testing::Values(1000, 2000, 3000, 4000));

// Series that have index nodes: in memory, in segments, and in merged ones.
class LongSeriesExactness : public testing::TestWithParam<uint64_t> {
  protected:
    // Blocks of as many rows as a production tail may have.
    static EngineOptions options() {
        EngineOptions options = SimStore::small_options();
        options.tail_rows_max = 700;
        options.tail_bytes_max = 1U << 20U;
        options.memory_blocks_bytes_max = 8U << 20U;
        options.log_live_bytes_max = 8U << 20U;
        options.merge_bytes_max = 1U << 20U;
        return options;
    }

    // Two stores of the shape that `shape_of` makes of a seed.
    template <typename ShapeOf>
    void check_stores(uint64_t first, const ShapeOf& shape_of) {
        uint64_t tested = 0;
        for (uint64_t seed = first; seed < first + 2 && !HasFailure(); ++seed) {
            EngineStore store(seed % 2 == 0 ? Reopening::kMerge : Reopening::kClose, options());
            tested += check_store(seed, store, &store, scaled(kQueries), shape_of(seed));
        }
        EXPECT_TRUE(HasFailure() || tested == 2 * scaled(kQueries)) << tested;
    }

    static constexpr uint64_t kQueries = 100;
};

TEST_P(LongSeriesExactness, AgreesWithPlainEvaluation) {
    check_stores(test_seed(GetParam()), [](uint64_t seed) {
        plain::WorldShape shape;
        shape.history_rows = 2000;
        // Whole steps one apart, whole ones further apart, or steps that are not whole.
        shape.step_unit = seed % 3 == 0 ? 40 : seed % 3 == 1 ? 400 : 1;
        return shape;
    });
}

TEST_P(LongSeriesExactness, AgreesWithPlainEvaluationOfRealLogs) {
    const std::vector<std::vector<std::vector<double>>> logs = read_logs();
    if (logs.empty()) {
        GTEST_SKIP() << "no folder of real logs beside the checkout and no $STEPDB_DATA";
    }
    check_stores(test_seed(GetParam() + 50), [&](uint64_t seed) {
        plain::WorldShape shape;
        shape.columns = logs[seed % logs.size()];
        shape.history_rows = static_cast<uint32_t>(shape.columns.front().size());
        // Whole: of windows as wide as a fraction, rounding would decide which one a step is in.
        shape.step_unit = std::floor(shape.history_rows / 50.0);
        return shape;
    });
}

INSTANTIATE_TEST_SUITE_P(Shards, LongSeriesExactness, testing::Values(7000, 8000));

}  // namespace stepdb::stages_exactness_test
