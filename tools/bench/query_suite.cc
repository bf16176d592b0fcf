#include "tools/bench/query_suite.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "tools/bench/reports.h"

namespace stepdb {

namespace {

using Data = std::shared_ptr<const KnownData>;
using Page = std::function<std::vector<SuiteQuestion>(std::mt19937_64&)>;

constexpr std::array<std::string_view, 16> kNames = {
    "chart_1m",       "chart_10m",       "zoom_1pct",         "page_20x1m",
    "page_20x1m_one", "runs_100x100",    "leaderboard_1k",    "leaderboard_100k",
    "across_10k",     "grid_1000x1000",  "raw_1000",          "fork_chain_10",
    "regex_10k",      "regex_1m_shared", "regex_1m_distinct", "cold_first"};

constexpr uint32_t kChartBuckets = 1000;
constexpr uint32_t kPageSeries = 20;
constexpr uint64_t kRawPoints = 1000;
constexpr size_t kLeaders = 100;
constexpr uint32_t kForks = 10;

std::string counted(uint64_t count, std::string_view one, std::string_view several) {
    return fmt::format("{} {}", grouped(static_cast<double>(count)), count == 1 ? one : several);
}

KnownSeries series_of(const Data& data, uint32_t run, uint32_t metric) {
    KnownSeries series;
    series.run = data->run(run);
    series.metric = data->metric(run, metric);
    series.steps = data->shape().rows;
    series.value = [data, run, metric](uint64_t step) { return data->value(run, metric, step); };
    return series;
}

std::vector<KnownSeries> series_of_run(const Data& data, uint32_t run, uint32_t metrics) {
    std::vector<KnownSeries> all;
    for (uint32_t metric = 0; metric < metrics; ++metric) {
        all.push_back(series_of(data, run, metric));
    }
    return all;
}

KnownGrid whole_grid(const Data& data, uint32_t buckets) {
    return {0, data->shape().rows - 1, buckets};
}

// `steps` of them that follow each other.
std::pair<uint64_t, uint64_t> draw_range(const Data& data, uint64_t steps,
                                         std::mt19937_64& random) {
    const uint64_t last = data->shape().rows - steps;
    const uint64_t from = std::uniform_int_distribution<uint64_t>(0, last)(random);
    return {from, from + steps - 1};
}

SuiteQuestion chart_of(const Data& data, uint32_t run, uint32_t metric) {
    return {fmt::format("{} @ {} | buckets {}", data->metric(run, metric), data->run(run),
                        kChartBuckets),
            [data, run, metric] {
                return check_buckets({series_of(data, run, metric)},
                                     whole_grid(data, kChartBuckets));
            }};
}

// The same every time.
Page always(SuiteQuestion question) {
    return [question](std::mt19937_64&) { return std::vector<SuiteQuestion>{question}; };
}

// --- One run ---

void ask_chart(const Data& data, uint32_t run, SuiteQuery& query) {
    query.size = {1, 1, data->shape().rows, kChartBuckets};
    query.page = always(chart_of(data, run, 0));
}

void ask_zoom(const Data& data, SuiteQuery& query) {
    const uint64_t steps = data->shape().rows / 100;
    query.size = {1, 1, steps, kChartBuckets};
    query.page = [data, steps](std::mt19937_64& random) {
        const auto [lo, hi] = draw_range(data, steps, random);
        const KnownGrid grid{lo, hi, kChartBuckets};
        return std::vector<SuiteQuestion>{
            {fmt::format("{} @ {} | steps {}..{} | buckets {}", data->metric(0, 1), data->run(0),
                         lo, hi, kChartBuckets),
             [data, grid] { return check_buckets({series_of(data, 0, 1)}, grid); }}};
    };
}

void ask_raw(const Data& data, SuiteQuery& query) {
    query.size = {1, 1, kRawPoints, 0};
    query.page = [data](std::mt19937_64& random) {
        const auto [lo, hi] = draw_range(data, kRawPoints, random);
        return std::vector<SuiteQuestion>{
            {fmt::format("{} @ {} | steps {}..{}", data->metric(0, 1), data->run(0), lo, hi),
             [data, lo = lo, hi = hi] { return check_points(series_of(data, 0, 1), lo, hi); }}};
    };
}

void ask_page(const Data& data, SuiteQuery& query) {
    query.size = {1, kPageSeries, kPageSeries * data->shape().rows, kChartBuckets};
    query.page = [data](std::mt19937_64&) {
        std::vector<SuiteQuestion> page;
        for (uint32_t metric = 0; metric < kPageSeries; ++metric) {
            page.push_back(chart_of(data, 0, metric));
        }
        return page;
    };
}

void ask_page_at_once(const Data& data, SuiteQuery& query) {
    query.size = {1, kPageSeries, kPageSeries * data->shape().rows, kChartBuckets};
    query.page =
        always({fmt::format("bench/* @ {} | buckets {}", data->run(0), kChartBuckets), [data] {
                    return check_buckets(series_of_run(data, 0, kPageSeries),
                                         whole_grid(data, kChartBuckets));
                }});
}

void ask_across(const Data& data, SuiteQuery& query) {
    constexpr uint32_t kBuckets = 100;
    const KnownShape& shape = data->shape();
    query.size = {1, shape.metrics, shape.points(), kBuckets};
    query.page = always(
        {fmt::format("layers/** @ {} | buckets {} | across mean, max", data->run(0), kBuckets),
         [data] {
             return check_across(series_of_run(data, 0, data->shape().metrics),
                                 whole_grid(data, kBuckets));
         }});
}

void ask_grid(const Data& data, SuiteQuery& query) {
    const KnownShape& shape = data->shape();
    query.size = {1, shape.metrics, shape.points(), kChartBuckets};
    query.page = always({fmt::format("bench/* @ {} | buckets {} count, min, max, mean",
                                     data->run(0), kChartBuckets),
                         [data] {
                             return check_buckets(series_of_run(data, 0, data->shape().metrics),
                                                  whole_grid(data, kChartBuckets),
                                                  {"count", "min", "max", "mean"});
                         }});
}

// --- Many runs ---

void ask_runs(const Data& data, SuiteQuery& query) {
    constexpr uint32_t kBuckets = 100;
    const uint64_t runs = data->tenth();
    query.size = {runs, runs, runs * data->shape().rows, kBuckets};
    query.page = always(
        {fmt::format("{} @ {} | buckets {}", data->metric(0, 0), data->first_tenth(), kBuckets),
         [data] {
             std::vector<KnownSeries> all;
             for (uint32_t run = 0; run < data->tenth(); ++run) {
                 all.push_back(series_of(data, run, 0));
             }
             return check_buckets(std::move(all), whole_grid(data, kBuckets));
         }});
}

double last_of(const Data& data, uint32_t run, uint32_t metric) {
    return data->value(run, metric, data->shape().rows - 1);
}

// A line that half of the runs are below.
double median_of_lasts(const Data& data, uint32_t metric) {
    std::vector<double> lasts;
    for (uint32_t run = 0; run < data->shape().runs; ++run) {
        const double last = last_of(data, run, metric);
        if (!std::isnan(last)) {
            lasts.push_back(last);
        }
    }
    const auto middle = lasts.begin() + static_cast<ptrdiff_t>(lasts.size() / 2);
    std::nth_element(lasts.begin(), middle, lasts.end());
    return *middle;
}

struct Leader {
    uint32_t run = 0;
    std::optional<KnownBucket> best;  // unless it has no finite value
};

// Of the runs for which the filter holds, in the order of the answer.
std::vector<Leader> leaders_of(const Data& data, double below) {
    std::vector<Leader> leaders;
    const KnownGrid all{0, data->shape().rows - 1, 1};
    for (uint32_t run = 0; run < data->shape().runs; ++run) {
        if (data->optimizer(run) == "sgd" || !(last_of(data, run, 1) < below)) {
            continue;
        }
        Leader& leader = leaders.emplace_back();
        leader.run = run;
        const KnownBucket whole = known_buckets(series_of(data, run, 0), all).front();
        if (whole.count > 0) {
            leader.best = whole;
        }
    }
    std::stable_sort(leaders.begin(), leaders.end(), [](const Leader& a, const Leader& b) {
        return a.best && (!b.best || a.best->min < b.best->min);
    });
    leaders.resize(std::min(leaders.size(), kLeaders));
    return leaders;
}

std::unique_ptr<AnswerCheck> check_leaders(const Data& data, double below) {
    std::vector<std::vector<Expected>> rows;
    for (const Leader& leader : leaders_of(data, below)) {
        std::vector<Expected>& row = rows.emplace_back(5);
        row[0].set_text(data->run(leader.run));
        row[1].set_number(data->learning_rate(leader.run));
        if (leader.best) {
            row[2].set_number(leader.best->min);
            row[3].set_number(leader.best->min_x);
        }
        row[4].set_number(last_of(data, leader.run, 1));
    }
    return std::make_unique<RowsCheck>(
        std::vector<std::string>{"run", "config/lr", "best", "at", "end"}, std::move(rows));
}

void ask_leaders(const Data& data, SuiteQuery& query) {
    const KnownShape& shape = data->shape();
    query.size = {shape.runs, uint64_t{shape.runs} * 2, uint64_t{shape.runs} * 2 * shape.rows, 0};
    const double below = median_of_lasts(data, 1);
    const std::string best = data->metric(0, 0);
    const std::string other = data->metric(0, 1);
    query.page = always(
        {fmt::format("runs {} where config/opt != sgd and last({}) < {} | show config/lr, "
                     "min({}) as best, min({}).step as at, last({}) as end | sort best | limit {}",
                     data->all_runs(), other, below, best, best, other, kLeaders),
         [data, below] { return check_leaders(data, below); }});
}

// --- Names ---

std::unique_ptr<AnswerCheck> check_names(const Data& data) {
    std::vector<std::vector<Expected>> rows;
    for (uint32_t run = 0; run < data->shape().runs; ++run) {
        for (uint32_t metric = 0; metric < data->shape().metrics; ++metric) {
            if (KnownData::is_found(metric)) {
                std::vector<Expected>& row = rows.emplace_back(3);
                row[0].set_text(data->run(run));
                row[1].set_text(data->metric(run, metric));
                row[2].set_text("stepped");
            }
        }
    }
    return std::make_unique<RowsCheck>(std::vector<std::string>{"run", "metric", "axis"},
                                       std::move(rows));
}

void ask_names(const Data& data, SuiteQuery& query) {
    const KnownShape& shape = data->shape();
    query.size = {shape.runs, uint64_t{shape.runs} * shape.metrics, shape.points(), 0};
    query.page = always({fmt::format("metrics ~\"{}\" @ {}", kKnownRegex, data->all_runs()),
                         [data] { return check_names(data); }});
}

std::string words_of(const SuiteQuery& query) {
    const SuiteSize& size = query.size;
    const std::string runs = counted(size.runs, "run", "runs");
    if (query.name.starts_with("leaderboard")) {
        return fmt::format("the best of {}, filtered and sorted", runs);
    }
    if (query.name.starts_with("regex")) {
        return fmt::format("a regex over {} of {}", counted(size.series, "name", "names"), runs);
    }
    std::string words = fmt::format(
        "{} of {}", query.size.runs > 1 ? runs : counted(size.series, "series", "series"),
        counted(size.points / size.series, "point", "points"));
    if (size.buckets > 0) {
        words += fmt::format(", {}", counted(size.buckets, "bucket", "buckets"));
    }
    if (query.name == "page_20x1m") {
        words += ", a query each";
    } else if (query.name == "across_10k") {
        words += ", as one line";
    } else if (query.name == "fork_chain_10") {
        words += fmt::format(", a fork of {}", kForks);
    } else if (query.name == "cold_first") {
        words += ", after a restart";
    }
    return words;
}

}  // namespace

std::span<const std::string_view> suite_names() {
    return kNames;
}

Result<std::vector<std::string>> choose_queries(std::string_view names) {
    std::vector<std::string_view> asked;
    for (size_t begin = 0; begin < names.size();) {
        const size_t end = std::min(names.find(',', begin), names.size());
        asked.push_back(names.substr(begin, end - begin));
        if (std::find(kNames.begin(), kNames.end(), asked.back()) == kNames.end()) {
            return make_error(ErrorCode::kInvalidArgument, "there is no query '{}'; there are {}",
                              asked.back(), fmt::join(kNames, ", "));
        }
        begin = end + 1;
    }
    std::vector<std::string> chosen;
    for (const std::string_view name : kNames) {
        if (asked.empty() || std::find(asked.begin(), asked.end(), name) != asked.end()) {
            chosen.emplace_back(name);
        }
    }
    return chosen;
}

QuerySuite::QuerySuite(std::span<const std::string> names, double scale, const std::string& project,
                       const std::string& prefix, uint64_t seed)
    : scale_(scale), project_(project), prefix_(prefix), seed_(seed) {
    for (const std::string& name : names) {
        queries_.push_back(make(name));
    }
}

uint64_t QuerySuite::scaled(uint64_t full, uint64_t least) const {
    const double size = std::round(static_cast<double>(full) * scale_);
    return std::clamp(static_cast<uint64_t>(size), least, full);
}

KnownShape QuerySuite::shape_of(std::string_view set) const {
    const auto scaled32 = [this](uint32_t full, uint32_t least) {
        return static_cast<uint32_t>(scaled(full, least));
    };
    KnownShape shape;
    shape.name = set;
    if (set == "long") {
        shape.metrics = kPageSeries;
        shape.rows = scaled(1'000'000, 2 * kRawPoints);
    } else if (set == "longest") {
        shape.rows = scaled(10'000'000, 20'000);
    } else if (set == "fleet") {
        shape.runs = scaled32(1000, 20);
        shape.metrics = 50;
        shape.rows = 200;
        shape.has_attributes = true;
    } else if (set == "sweep") {
        shape.runs = scaled32(100'000, 40);
        shape.metrics = 4;
        shape.rows = 100;
        shape.has_attributes = true;
    } else if (set == "wide") {
        shape.metrics = scaled32(10'000, 1000);
        shape.rows = 1000;
        shape.names = KnownNames::kLayers;
    } else if (set == "grid") {
        shape.metrics = scaled32(1000, 10);
        shape.rows = 10'000;
    } else if (set == "chain") {
        shape.runs = kForks + 1;
        shape.metrics = 10;
        shape.rows = scaled(100'000, 1100);
        shape.forks = true;
    } else {  // names alone: `shared` or `distinct`
        shape.runs = scaled32(1000, 10);
        shape.metrics = 1000;
        shape.names = set == "shared" ? KnownNames::kLayers : KnownNames::kLayersOfRun;
    }
    return shape;
}

std::shared_ptr<const KnownData> QuerySuite::need(std::string_view set) {
    for (const Data& data : data_) {
        if (data->shape().name == set) {
            return data;
        }
    }
    data_.push_back(std::make_shared<const KnownData>(shape_of(set), project_, prefix_, seed_));
    return data_.back();
}

SuiteQuery QuerySuite::make(std::string_view name) {
    SuiteQuery query;
    query.name = name;
    if (name == "chart_1m") {
        ask_chart(need("long"), 0, query);
    } else if (name == "chart_10m") {
        ask_chart(need("longest"), 0, query);
    } else if (name == "zoom_1pct") {
        ask_zoom(need("long"), query);
    } else if (name == "page_20x1m") {
        ask_page(need("long"), query);
    } else if (name == "page_20x1m_one") {
        ask_page_at_once(need("long"), query);
    } else if (name == "runs_100x100") {
        ask_runs(need("fleet"), query);
    } else if (name == "leaderboard_1k") {
        ask_leaders(need("fleet"), query);
    } else if (name == "leaderboard_100k") {
        ask_leaders(need("sweep"), query);
    } else if (name == "across_10k") {
        ask_across(need("wide"), query);
    } else if (name == "grid_1000x1000") {
        ask_grid(need("grid"), query);
    } else if (name == "raw_1000") {
        ask_raw(need("long"), query);
    } else if (name == "fork_chain_10") {
        ask_chart(need("chain"), kForks, query);
    } else if (name == "regex_10k") {
        ask_names(need("wide"), query);
    } else if (name == "regex_1m_shared") {
        ask_names(need("shared"), query);
    } else if (name == "regex_1m_distinct") {
        ask_names(need("distinct"), query);
    } else {
        ask_chart(need("long"), 0, query);
        query.is_cold = true;
    }
    query.what = words_of(query);
    return query;
}

}  // namespace stepdb
