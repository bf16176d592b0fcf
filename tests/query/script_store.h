// What a query script (query_script.h) runs against: a map, or an engine on a simulated disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/attribute.h"
#include "engine/model/frame.h"
#include "query/parameters.h"
#include "tests/query/answer_table.h"

namespace stepdb {

struct ScriptRow {
    std::string project;
    std::string run;
    uint32_t attempt = 0;
    std::optional<double> step;  // unset: a row of timed metrics
    int64_t time_us = 0;
    std::vector<std::pair<std::string, double>> values;
};

class ScriptStore {
  public:
    virtual ~ScriptStore() = default;

    // Creates the run if it is not there.
    virtual Status add_row(const ScriptRow& row) = 0;
    virtual Status set_attributes(const std::string& project, const std::string& run,
                                  const std::vector<AttributeChange>& changes) = 0;
    virtual Status finish(const std::string& project, const std::string& run, RunState state) = 0;
    // Data go to their next, or their last, place. Queries must not notice.
    virtual Status flush() = 0;
    virtual Status reopen() = 0;

    Result<AnswerLines> query(const std::string& text, int64_t now_us) {
        return ask(QueryText(text), now_us);
    }
    virtual Result<AnswerLines> ask(const QueryText& query, int64_t now_us) = 0;
};

}  // namespace stepdb
