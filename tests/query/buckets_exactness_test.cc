// `buckets N` against a full scan written as plainly as the promise is, over random data of every
// float class, with duplicates, replaced points, extremes and grids that do not divide evenly.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/float_bits.h"
#include "query/executor.h"
#include "query/parser.h"
#include "tests/query/map_store.h"
#include "tests/support/sim_executor.h"

namespace stepdb::buckets_exactness_test {

constexpr int kQueries = 2400;

struct PlainPoint {
    Key key = 0;
    double x = 0;
    double value = 0;
};

// One data set: a few series over one kind of axis.
struct DataSet {
    Axis axis = Axis::kStepped;
    MapStore store{1};
    std::vector<std::string> names;
    std::vector<std::vector<PlainPoint>> series;
};

double random_value(SimRandom& random) {
    constexpr double kSpecial[] = {0.0,
                                   -0.0,
                                   1.0,
                                   -1.0,
                                   std::numeric_limits<double>::max(),
                                   std::numeric_limits<double>::lowest(),
                                   std::numeric_limits<double>::min(),
                                   std::numeric_limits<double>::denorm_min(),
                                   std::numeric_limits<double>::infinity(),
                                   -std::numeric_limits<double>::infinity(),
                                   std::numeric_limits<double>::quiet_NaN()};
    switch (random.below(6)) {
        case 0:
            return kSpecial[random.below(std::size(kSpecial))];
        case 1:
            return std::bit_cast<double>(random.next());
        case 2:  // a NaN with a payload, signalling or not
            return std::bit_cast<double>((random.next() & 0x800FFFFFFFFFFFFFULL) |
                                         0x7FF0000000000001ULL);
        case 3:
            return static_cast<double>(random.below(7)) - 3;
        default:
            return static_cast<double>(static_cast<int64_t>(random.next())) / 0x1p60;
    }
}

Key random_key(SimRandom& random, Axis axis, uint64_t spread, int64_t base) {
    if (axis == Axis::kTimed) {
        return base + static_cast<Key>(random.below(spread));
    }
    const double whole = static_cast<double>(base) + static_cast<double>(random.below(spread));
    switch (spread % 3) {
        case 0:
            return key_of_step(whole);
        case 1:
            return key_of_step(whole * 0.1);
        default:
            return key_of_step(whole / 3e5 - 1e-7);
    }
}

std::unique_ptr<DataSet> random_data(SimRandom& random) {
    auto data = std::make_unique<DataSet>();
    data->axis = random.below(3) == 0 ? Axis::kTimed : Axis::kStepped;
    const uint64_t spread = 1 + random.below(uint64_t{1} << (1 + random.below(40)));
    const int64_t base = static_cast<int64_t>(random.below(uint64_t{1} << (random.below(50)))) -
                         static_cast<int64_t>(random.below(1000));
    const uint64_t count = 1 + random.below(3);
    for (uint64_t s = 0; s < count; ++s) {
        data->names.push_back(fmt::format("m/{}", s));
        std::map<Key, double> points;
        for (uint64_t left = 1 + random.below(200); left > 0; --left) {
            points[random_key(random, data->axis, spread, base)] = random_value(random);
        }
        auto& plain = data->series.emplace_back();
        for (const auto& [key, value] : points) {
            data->store.add_point("p", "r", data->names.back(), data->axis, key, {key, value});
            const double x =
                data->axis == Axis::kStepped ? step_of_key(key) : static_cast<double>(key);
            plain.push_back({key, x, value});
        }
    }
    return data;
}

// A range of the query and what it means.
struct PlainRange {
    std::string text;  // empty: no range stage
    std::optional<Key> lo;
    std::optional<Key> hi;
};

PlainRange random_range(SimRandom& random, const DataSet& data) {
    PlainRange range;
    std::vector<Key> keys;
    for (const auto& series : data.series) {
        for (const PlainPoint& point : series) {
            keys.push_back(point.key);
        }
    }
    const uint64_t kind = random.below(4);
    if (kind == 0) {
        return range;
    }
    Key a = keys[random.below(keys.size())];
    Key b = keys[random.below(keys.size())];
    if (a > b) {
        std::swap(a, b);
    }
    const bool stepped = data.axis == Axis::kStepped;
    const auto print = [&](Key key) {
        return stepped ? format_value(step_of_key(key)) : fmt::format("{}us", key);
    };
    range.lo = kind == 2 ? std::nullopt : std::optional(a);
    range.hi = kind == 3 ? std::nullopt : std::optional(b);
    range.text = fmt::format("| {} {}..{} ", stepped ? "steps" : "time", range.lo ? print(a) : "",
                             range.hi ? print(b) : "");
    return range;
}

struct PlainAnswer {
    uint64_t rows = 0;
    // Everything that must match bit for bit, a line a row; sums are checked by bounds.
    std::vector<std::string> lines;
    std::vector<long double> sums;
    std::vector<long double> magnitudes;
    std::vector<uint64_t> counts;
};

// One bucket of one series, from all its points.
void scan_bucket(PlainAnswer& answer, const std::string& name, Axis axis,
                 const std::vector<PlainPoint>& inside, double lo, double hi) {
    const auto x_text = [&](double x) {
        return axis == Axis::kStepped ? format_value(x == 0 ? 0.0 : x)
                                      : fmt::format("{}", static_cast<int64_t>(std::ceil(x)));
    };
    uint64_t counts[4] = {};
    const PlainPoint* min = nullptr;
    const PlainPoint* max = nullptr;
    long double sum = 0;
    long double magnitude = 0;
    const auto below = [](double a, double b) {
        return a < b || (a == b && std::signbit(a) && !std::signbit(b));
    };
    for (const PlainPoint& point : inside) {
        if (std::isnan(point.value)) {
            ++counts[1];
        } else if (std::isinf(point.value)) {
            ++counts[point.value > 0 ? 2 : 3];
        } else {
            ++counts[0];
            min = min == nullptr || below(point.value, min->value) ? &point : min;
            max = max == nullptr || below(max->value, point.value) ? &point : max;
            sum += static_cast<long double>(point.value);
            magnitude += std::fabs(static_cast<long double>(point.value));
        }
    }
    const auto pair = [&](const PlainPoint* point) {
        return point == nullptr ? "," : format_value(point->value) + "," + x_text(point->x);
    };
    answer.lines.push_back(fmt::format("{},{},{},{},{},{},{},{},{},{},{}", name, x_text(lo),
                                       x_text(hi), counts[0], counts[1], counts[2], counts[3],
                                       pair(min), pair(max),
                                       pair(inside.empty() ? nullptr : &inside.front()),
                                       pair(inside.empty() ? nullptr : &inside.back())));
    answer.sums.push_back(sum);
    answer.magnitudes.push_back(magnitude);
    answer.counts.push_back(counts[0]);
}

PlainAnswer scan(const DataSet& data, const PlainRange& range, uint32_t buckets) {
    PlainAnswer answer;
    std::optional<Key> lo = range.lo;
    std::optional<Key> hi = range.hi;
    if (!lo || !hi) {
        std::optional<KeyRange> seen;
        for (const auto& series : data.series) {
            for (const PlainPoint& point : series) {
                if ((!lo || point.key >= *lo) && (!hi || point.key <= *hi)) {
                    seen = KeyRange{seen ? std::min(seen->first, point.key) : point.key,
                                    seen ? std::max(seen->last, point.key) : point.key};
                }
            }
        }
        if (!seen) {
            return answer;
        }
        lo = lo ? lo : seen->first;
        hi = hi ? hi : seen->last;
    }
    const bool stepped = data.axis == Axis::kStepped;
    const double from = stepped ? step_of_key(*lo) : static_cast<double>(*lo);
    const double to = stepped ? step_of_key(*hi) : static_cast<double>(*hi);
    const auto edge = [&](uint32_t i) {
        return i == buckets ? to : from + (to - from) * (static_cast<double>(i) / buckets);
    };
    for (size_t s = 0; s < data.series.size(); ++s) {
        for (uint32_t i = 0; i < buckets; ++i) {
            std::vector<PlainPoint> inside;
            for (const PlainPoint& point : data.series[s]) {
                const bool last = i + 1 == buckets;
                if (edge(i) <= point.x && (last ? point.x <= to : point.x < edge(i + 1))) {
                    inside.push_back(point);
                }
            }
            scan_bucket(answer, data.names[s], data.axis, inside, edge(i), edge(i + 1));
        }
    }
    return answer;
}

// Cells of an answer by column name, in the form of PlainAnswer.
class AnswerReader {
  public:
    AnswerReader(const ResultBlock& block, const std::vector<ResultColumn>& columns)
        : block_(block), columns_(columns) {}

    const ColumnCells& cells(std::string_view name) const {
        const auto at = std::find_if(columns_.begin(), columns_.end(),
                                     [&](const ResultColumn& each) { return each.name == name; });
        CHECK(at != columns_.end(), "no column {}", name);
        return block_.column(static_cast<size_t>(at - columns_.begin()));
    }
    std::string text(std::string_view name, uint32_t row) const {
        const ColumnCells& column = cells(name);
        if (column.is_null(row)) {
            return {};
        }
        switch (column.type()) {
            case ColumnType::kText:
                return std::string(column.texts()[row]);
            case ColumnType::kUint64:
                return fmt::format("{}", column.uint64s()[row]);
            case ColumnType::kTime:
                return fmt::format("{}", column.times()[row]);
            default:
                return format_value(column.doubles()[row]);
        }
    }
    std::string line(uint32_t row) const {
        std::string all;
        for (const char* name : {"metric", "lo", "hi", "count", "nan", "pinf", "ninf", "min",
                                 "min_x", "max", "max_x", "first", "first_x", "last", "last_x"}) {
            all += (all.empty() ? "" : ",") + text(name, row);
        }
        return all;
    }

  private:
    const ResultBlock& block_;
    const std::vector<ResultColumn>& columns_;
};

void check_sums(const AnswerReader& reader, uint32_t row, const PlainAnswer& want, size_t at) {
    const ColumnCells& sums = reader.cells("sum");
    const ColumnCells& means = reader.cells("mean");
    ASSERT_EQ(sums.is_null(row), want.counts[at] == 0);
    ASSERT_EQ(means.is_null(row), want.counts[at] == 0);
    if (want.counts[at] == 0) {
        return;
    }
    const long double slack = want.magnitudes[at] * 1e-12L + 1e-320L;
    // At the very end of float64 rounding decides whether the sum is infinite.
    const auto max = static_cast<long double>(std::numeric_limits<double>::max());
    if (std::fabs(want.sums[at]) < max * (1 - 1e-12L)) {
        EXPECT_LE(std::fabs(static_cast<long double>(sums.doubles()[row]) - want.sums[at]), slack);
    } else if (std::fabs(want.sums[at]) > max * (1 + 1e-12L)) {
        EXPECT_TRUE(std::isinf(sums.doubles()[row]));
    }
    const auto count = static_cast<long double>(want.counts[at]);
    EXPECT_LE(std::fabs(static_cast<long double>(means.doubles()[row]) - want.sums[at] / count),
              slack / count + 1e-320L);
}

void check_query(const DataSet& data, const PlainRange& range, uint32_t buckets, MapStore& store) {
    const std::string text = fmt::format("** @ p/r {}| buckets {}", range.text, buckets);
    SCOPED_TRACE(text);
    const PlainAnswer want = scan(data, range, buckets);
    Result<Query> query = parse_query(text);
    ASSERT_TRUE(query.has_value()) << query.error().to_string();
    Result<BoundQuery> bound = bind_query(*std::move(query), store.runs());
    auto execution = QueryExecution::create(*std::move(bound), store, 0);
    SimExecutor executor;
    const Status prepared = run_task(executor, execution->prepare());
    ASSERT_TRUE(prepared.has_value()) << prepared.error().to_string();
    ResultBlock block;
    size_t at = 0;
    while (true) {
        const Result<bool> more = run_task(executor, execution->next(block));
        ASSERT_TRUE(more.has_value()) << more.error().to_string();
        if (!*more) {
            break;
        }
        const AnswerReader reader(block, execution->columns());
        for (uint32_t row = 0; row < block.rows(); ++row, ++at) {
            ASSERT_LT(at, want.lines.size());
            ASSERT_EQ(reader.line(row), want.lines[at]);
            ASSERT_NO_FATAL_FAILURE(check_sums(reader, row, want, at));
        }
    }
    EXPECT_EQ(at, want.lines.size());
}

TEST(BucketsExactness, EqualAPlainScanBitForBit) {
    const uint64_t seed = test_seed(20260301);
    SimRandom random(seed);
    std::unique_ptr<DataSet> data;
    for (int i = 0; i < kQueries && !testing::Test::HasFailure(); ++i) {
        SCOPED_TRACE(fmt::format("STEPDB_SEED={} query {}", seed, i));
        if (i % 10 == 0) {
            data = random_data(random);
        }
        const PlainRange range = random_range(random, *data);
        const auto buckets = static_cast<uint32_t>(1 + random.below(random.coin() ? 5 : 60));
        check_query(*data, range, buckets, data->store);
    }
}

}  // namespace stepdb::buckets_exactness_test
