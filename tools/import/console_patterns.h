// What lines of a console log hold, as a pattern file says it:
//
//   # step:125/6000 train_loss:6.5432 step_avg:249.11ms
//   line ^step:(?P<step>\d+)/\d+ (?P<rest>.*)
//   pairs (?P<name>\w+):(?P<value>.*?)(?:ms)?(?:\s|$)
//
// `line` begins a kind of line: those in which the expression is found, if no kind before took
// them. Its groups `step` and `time` are the key, `rest` is where pairs are looked for (else in the
// whole line), and any other named group is the value of the metric of that name. `pairs`, any
// number of them, are looked for again and again; their groups `name` and `value` make a point
// each.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "query/regex.h"

namespace stepdb {

struct PairPattern {
    PairPattern(Regex its_regex, size_t its_name, size_t its_value)
        : regex(std::move(its_regex)), name(its_name), value(its_value) {}

    Regex regex;
    size_t name;  // numbers of groups
    size_t value;
};

struct LineKind {
    explicit LineKind(Regex its_line) : line(std::move(its_line)) {}

    Regex line;
    // Numbers of its groups.
    std::optional<size_t> step;
    std::optional<size_t> time;
    std::optional<size_t> rest;
    std::vector<std::pair<std::string, size_t>> metrics;
    std::vector<PairPattern> pairs;
};

// kInvalidArgument with the number of the line in it.
Result<std::vector<LineKind>> parse_console_patterns(std::string_view text);

// The kinds of a built-in set by its name, of all of them for "all", else of the file. kNotFound
// naming the file and the sets there are; kInvalidArgument naming file and line.
Result<std::vector<LineKind>> load_console_patterns(const std::string& name_or_path);

// (name, text) of examples/patterns.
const std::vector<std::pair<std::string_view, std::string_view>>& built_in_console_patterns();

}  // namespace stepdb
