// Names of runs and metrics for completion, asked for as they are needed.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "tools/ask.h"

namespace stepdb {

// Single-threaded. What cannot be asked for has no names: whoever types is not told of it.
class ShellNames {
  public:
    // `asker` outlives it.
    explicit ShellNames(Asker& asker) : asker_(asker) {}

    // Paths of runs that begin with `word`, as they are written in a query.
    std::vector<std::string> runs(std::string_view word);
    // Metrics and attributes that begin with `word`, of the last kRunsAsked runs in natural order.
    std::vector<std::string> metrics(std::string_view word);
    std::vector<std::string> attributes(std::string_view word);

  private:
    std::vector<std::string> ask(const std::string& query, size_t column);
    // The same, sorted, each once, as it is written in a query.
    std::vector<std::string> ask_for_words(const std::string& query, size_t column);
    const std::vector<std::string>& all_runs();
    std::string last_runs();

    static constexpr size_t kRunsAsked = 16;
    static constexpr size_t kNamesMax = 20'000;
    static constexpr std::chrono::seconds kFresh{5};

    Asker& asker_;
    std::vector<std::string> runs_;
    std::chrono::steady_clock::time_point asked_at_;
};

}  // namespace stepdb
