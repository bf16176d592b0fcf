// Query scripts: data, queries and what they answer, so that a test case needs no C++.
//
//   # a comment
//   row gpt/run-1 step=3 loss=0.5 acc=nan          a row; a name with blanks is not possible
//   row gpt/run-1 time=2026-03-01 gpu/temp=70      a row of timed metrics
//   row gpt/run-1 step=3 time=5s loss=1            a stepped row with its time (0 if none is given)
//   fill gpt/run-1 loss 1 1000                     rows at steps 1 to 1000, value = step
//   set gpt/run-1 config/lr=3e-4 seed="1"          attributes: null, true, integers, numbers,
//   times,
//                                                  else texts
//   tag gpt/run-1 sweep good                       tags
//   note gpt/run-1 step=3 lr halved                a note, or at time=2026-03-01
//   finish gpt/run-1      fail gpt/run-1
//   flush                 reopen
//   now 2026-03-01T12:00:00Z                       what `now` means in later queries
//   param n 10                                     what `$n` stands for in the next query: the rest
//   of
//                                                  the line
//   query train/loss @ gpt/run-1                   the query, which may go on over lines
//   ----                                           up to this one
//   run,metric,step,value                          the answer (answer_table.h) up to a blank line
//
//   query nonsense
//   ----
//   error expected ',' or '@'                      or pieces of the error it must give, one a line,
//   error did you mean                             each behind the word `error`
#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "query/parameters.h"
#include "tests/query/script_store.h"

namespace stepdb {

struct ScriptStatement {
    size_t line = 0;  // in the file, from 1
    std::string text;
    bool is_query = false;
    std::vector<std::string> expected;  // of a query
};

// Cuts a script into statements; kInvalidArgument with the line.
Result<std::vector<ScriptStatement>> parse_script(std::string_view script);

// Runs statements that are not queries, one at a time, and keeps what `now` is.
class ScriptRunner {
  public:
    explicit ScriptRunner(ScriptStore& store) : store_(store) {}

    // Fails the current test, naming `file` and the line, if a statement fails or an answer is
    // another.
    void run(const std::string& file, const std::vector<ScriptStatement>& statements);

  private:
    Status execute(const std::string& statement);
    Status add_parameter(const std::string& statement);
    void check_query(const std::string& place, const ScriptStatement& statement);

    ScriptStore& store_;
    int64_t now_us_ = 0;
    QueryParameters parameters_;  // of the next query
};

}  // namespace stepdb
