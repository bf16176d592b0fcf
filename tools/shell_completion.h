// What a word of a query that is being typed can be. Knows the shape of the language, not its
// grammar: what is typed need not be a query yet.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stepdb {

// What stands at the cursor.
struct CompletionPoint {
    CompletionPoint() = default;

    enum class Kind : uint8_t {
        kNothing,        // free: a number, a range, a literal
        kCommand,        // of the shell, behind a backslash
        kSetting,        // what such a command takes
        kStart,          // the beginning of a query: a keyword or a metric
        kMetric,         // metrics, before the @ or within a function
        kBehindMetrics,  // the @
        kRun,            // runs, and what makes others of them
        kRunAlone,       // a run within own(...) or parent(...)
        kBehindRuns,     // `where` or a pipe
        kExpression,     // attributes, what is known of runs, statistics
        kOfSeries,       // the same where an expression is about series
        kState,          // of a run
        kPoint,          // what is known of a point
        kStage,          // the name of a stage
        kTableStage,     // the name of a stage of a table
        kBucketField,    // what `buckets` can tell
        kSummaryField,   // what `summary` can tell
    };

    Kind kind = Kind::kNothing;
    std::string word;     // what is there of it, from its beginning to the cursor
    std::string command;  // of kSetting
};

// `text` is the query up to the cursor.
CompletionPoint find_completion_point(std::string_view text);

// The words that do not have to be asked for: those for `point` that begin as its word does.
std::vector<std::string> known_words(const CompletionPoint& point);

// Commands of the shell, with their backslash.
const std::vector<std::string>& shell_commands();

// The longest text that all of these begin with.
std::string common_prefix(const std::vector<std::string>& words);

// Names cut behind the slash that follows `word`, each once, in natural order: as a file manager
// shows folders. Names that go on behind the slash end with it.
std::vector<std::string> next_segments(const std::vector<std::string>& names,
                                       std::string_view word);

}  // namespace stepdb
