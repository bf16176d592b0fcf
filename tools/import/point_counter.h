// How many points a run has, by asking the server: what an import has stored is the difference
// between before and after.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "net/client.h"

namespace stepdb {

// `text` as a literal of the query language.
std::string query_literal(std::string_view text);

struct PointCount {
    PointCount() = default;

    uint64_t points = 0;     // of the metrics that can be counted
    uint64_t uncounted = 0;  // metrics whose points are damaged
    std::string why;         // the first of them cannot be counted, with its name
};

// What of a run is counted.
struct CountedPart {
    CountedPart() = default;

    std::optional<uint32_t> attempt;   // that reads the points; unset: the newest
    std::optional<double> first_step;  // set: of stepped series alone, and from this step on
};

// Points, those with NaN and infinities included, of those of `metrics` that the run has; each
// (series, key) counts once. Adds to `count`: nothing if there is no such run.
Status count_points(Client& client, std::string_view project, std::string_view run,
                    const CountedPart& part, const std::set<std::string>& metrics,
                    PointCount& count);

}  // namespace stepdb
