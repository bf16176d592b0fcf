// From the runs of a bound query and its metric patterns to the series it reads.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/base/memory_budget.h"
#include "engine/base/result.h"
#include "query/bind.h"
#include "query/series_source.h"

namespace stepdb {

struct Series {
    size_t run = 0;  // index in the bound query's runs
    std::string metric;
    Axis axis = Axis::kStepped;
};

struct Selection {
    std::vector<Series> series;      // by run as bound, then by metric in natural order; each once
    std::vector<std::string> notes;  // patterns that matched nothing
    MemoryCharge charge;             // for the names

    const Series* first_of(Axis axis) const;
};

// For messages: "run gpt/a", "gpt/a or gpt/b", "any of the runs selected".
std::string name_runs(const std::vector<const SelectedRun*>& runs);

// kNotFound for a metric that is named and in none of the runs; kResourceExhausted if the names
// take more than is left of `memory`.
Result<Selection> select_series(const BoundQuery& bound, const std::vector<Pattern>& metrics,
                                const SeriesSource& source,
                                std::shared_ptr<MemoryBudget> memory = nullptr);

}  // namespace stepdb
