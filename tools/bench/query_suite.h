// The questions of `stepdb bench query`: each with its name, the data that it is asked of, and what
// its answers must be.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "tools/bench/known_answer.h"
#include "tools/bench/known_data.h"

namespace stepdb {

struct SuiteQuestion {
    SuiteQuestion() = default;
    SuiteQuestion(std::string its_text, std::function<std::unique_ptr<AnswerCheck>()> its_check)
        : text(std::move(its_text)), check(std::move(its_check)) {}

    std::string text;
    // Computes what the answer must be, which may take long.
    std::function<std::unique_ptr<AnswerCheck>()> check;
};

// What a question is about, at the scale that was asked for.
struct SuiteSize {
    uint64_t runs = 1;
    uint64_t series = 1;
    uint64_t points = 0;   // of all these series, in the range asked for
    uint64_t buckets = 0;  // of each; 0 where there are none
};

struct SuiteQuery {
    SuiteQuery() = default;

    std::string name;
    std::string what;  // in words, with sizes
    SuiteSize size;
    // Asked of a server that has just been started, whose files are in no cache.
    bool is_cold = false;
    // What is sent at once; places that vary are drawn.
    std::function<std::vector<SuiteQuestion>(std::mt19937_64&)> page;
};

// Every name, in the order in which they are asked.
std::span<const std::string_view> suite_names();
// Of a list with commas, each once and in the order of suite_names(); all if it is empty.
// kInvalidArgument naming what there is.
Result<std::vector<std::string>> choose_queries(std::string_view names);

// The data sets that `names` need, each once, and what is asked of them.
class QuerySuite {
  public:
    // Sizes are multiplied by `scale` (above 0, at most 1), as far as a question still means
    // something then.
    QuerySuite(std::span<const std::string> names, double scale, const std::string& project,
               const std::string& prefix, uint64_t seed);

    const std::vector<std::shared_ptr<const KnownData>>& data() const { return data_; }
    const std::vector<SuiteQuery>& queries() const { return queries_; }

  private:
    std::shared_ptr<const KnownData> need(std::string_view set);
    uint64_t scaled(uint64_t full, uint64_t least) const;
    KnownShape shape_of(std::string_view set) const;
    SuiteQuery make(std::string_view name);

    double scale_;
    std::string project_;
    std::string prefix_;
    uint64_t seed_;
    std::vector<std::shared_ptr<const KnownData>> data_;
    std::vector<SuiteQuery> queries_;
};

}  // namespace stepdb
