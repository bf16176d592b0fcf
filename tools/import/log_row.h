// What a reader of somebody's log hands on: rows, as a log call would have made them.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace stepdb {

struct LogRow {
    std::optional<double> step;  // finite, never -0; unset in a timed log
    int64_t time_us = 0;
    // (metric, value): metrics as indices into the log's list, in ascending order and each once. At
    // least one.
    std::vector<std::pair<uint32_t, double>> values;
    uint64_t place = 0;  // line or record of the file, for messages
};

}  // namespace stepdb
