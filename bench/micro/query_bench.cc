// What finding the metrics and runs that a query names costs: patterns matched to names, and names
// put into order.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "engine/base/check.h"
#include "engine/base/natural_order.h"
#include "engine/base/text.h"
#include "query/name_matcher.h"

namespace stepdb {
namespace {

std::vector<std::string> layer_names(size_t count) {
    constexpr std::array<std::string_view, 4> kModules = {"attn/q", "attn/v", "mlp/up", "mlp/down"};
    constexpr std::array<std::string_view, 5> kStatistics = {"act_max", "grad_norm", "rms",
                                                             "update_norm", "weight_norm"};
    std::vector<std::string> names;
    for (size_t at = 0; at < count; ++at) {
        names.push_back(
            fmt::format("layers/{}/{}/{}", at / 20, kModules[at / 5 % 4], kStatistics[at % 5]));
    }
    return names;
}

Pattern pattern_of(PatternKind kind, const std::string& text) {
    Pattern pattern;
    pattern.kind = kind;
    pattern.text = text;
    return pattern;
}

void match(benchmark::State& state, PatternKind kind, const std::string& text, size_t wanted) {
    const std::vector<std::string> names = layer_names(10'000);
    const NameMatcher matcher = *NameMatcher::compile(pattern_of(kind, text), text);
    size_t found = 0;
    for ([[maybe_unused]] auto turn : state) {
        found = 0;
        for (const std::string& name : names) {
            found += matcher.matches(name) ? 1U : 0U;
        }
    }
    CHECK(found == wanted, "{} names match {}", found, text);
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(names.size()));
}

void BM_Regex(benchmark::State& state) {
    match(state, PatternKind::kRegex, R"(layers/\d*7/attn/[qv]/grad_norm$)", 100);
}
BENCHMARK(BM_Regex)->Name("names/regex");

// One that says nothing of what names hold.
void BM_Alternatives(benchmark::State& state) {
    match(state, PatternKind::kRegex, "(act_max|rms)$", 4000);
}
BENCHMARK(BM_Alternatives)->Name("names/alternatives");

void BM_Glob(benchmark::State& state) {
    match(state, PatternKind::kGlob, "layers/*/attn/q/grad_norm", 500);
}
BENCHMARK(BM_Glob)->Name("names/glob");

// Runs of a sweep in byte order, as a catalog has them.
std::vector<std::string> run_names() {
    constexpr int kRuns = 10'000;
    std::vector<std::string> names;
    names.reserve(kRuns);
    for (int at = 0; at < kRuns; ++at) {
        names.push_back(fmt::format("sweeps/lr-2026-{}", at));
    }
    std::ranges::sort(names);
    return names;
}

void BM_Order(benchmark::State& state) {
    const std::vector<std::string> names = run_names();
    const std::vector<std::string_view> views(names.begin(), names.end());
    for ([[maybe_unused]] auto turn : state) {
        const std::vector<uint32_t> order = natural_order(views);
        CHECK(names[order.back()].ends_with("-9999"), "{}", names[order.back()]);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(names.size()));
}
BENCHMARK(BM_Order)->Name("names/order");

void BM_OrderByPairs(benchmark::State& state) {
    const std::vector<std::string> names = run_names();
    for ([[maybe_unused]] auto turn : state) {
        std::vector<uint32_t> order(names.size());
        std::iota(order.begin(), order.end(), 0U);
        std::ranges::stable_sort(
            order, [&](uint32_t a, uint32_t b) { return natural_less(names[a], names[b]); });
        CHECK(names[order.back()].ends_with("-9999"), "{}", names[order.back()]);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(names.size()));
}
BENCHMARK(BM_OrderByPairs)->Name("names/order by pairs");

}  // namespace
}  // namespace stepdb
