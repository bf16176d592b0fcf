// From the runs of a bound query and its metric patterns to the series it reads. What is calculated
// with them is in operators/terms.h.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/memory_budget.h"
#include "engine/base/result.h"
#include "query/bind.h"
#include "query/plan.h"
#include "query/series_source.h"

namespace stepdb {

struct Calculation;

// A series as a query has it: one that is stored, or one that is calculated.
struct Series {
    size_t run = 0;      // index in the bound query's runs: whose attributes are meant
    std::string metric;  // that is stored; of a calculated one as the answer calls it
    Axis axis = Axis::kStepped;
    std::vector<Capture> captures;  // of the patterns of metric and run, in byte order of names
    std::string run_label;          // as the answer calls the run, if not by its own label
    std::string name;               // as the answer calls the metric, if not by its own name
    std::shared_ptr<const Calculation> calculation;  // null: it is stored

    const std::string& shown_metric() const { return name.empty() ? metric : name; }
    const std::string* find_capture(std::string_view its_name) const;
};

// How the points of a series come about that is not stored.
struct Calculation {
    enum class Kind : uint8_t {
        kNumber,    // at each key of the other operand
        kHold,      // the operand's points; between them the last one stands
        kOperator,  // of two operands
        kStages,    // the operand's points after the stages of a query in parentheses
    };

    Kind kind = Kind::kNumber;
    double number = 0;
    Operator op = Operator::kAdd;
    std::vector<Series> operands;
    Pipeline pipeline;  // of kStages
};

struct Selection {
    std::vector<Series> series;      // by run as bound, then by metric in natural order; each once
    std::vector<std::string> notes;  // patterns that matched nothing
    MemoryCharge charge;             // for the names

    const Series* first_of(Axis axis) const;
};

// The natural order of series: by run as bound, then by metric.
bool stands_before(const Series& a, const Series& b);

// As the answer calls the run of a series.
const std::string& run_label(const BoundQuery& bound, const Series& series);

// For messages: "run gpt/a", "gpt/a or gpt/b", "any of the runs selected".
std::string name_runs(const std::vector<const SelectedRun*>& runs);

// kNotFound for a metric that is named and in none of the runs; kResourceExhausted if the names
// take more than is left of `memory`.
Result<Selection> select_series(const BoundQuery& bound, RunScope scope,
                                const std::vector<Pattern>& metrics, const SeriesSource& source,
                                std::shared_ptr<MemoryBudget> memory = nullptr);

}  // namespace stepdb
