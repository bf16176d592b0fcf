// Lines of a JSON log that tell of the run instead of a step:
//
//   {"run": {"id": "r7", "config": {"lr": 1e-3}, "tags": ["sweep"], "state": "finished"}}
#pragma once

#include <string_view>

#include "tools/import/log_facts.h"

namespace stepdb {

// Whether a line is one: an object whose only member is `run`, an object of no other members than
// id, name, owner, config, tags, state and fork, and one at least. What it says is added to the
// facts; what is wrong in it is left out and counted there. Not so with other lines, and such as
// are no proper JSON.
bool take_run_line(std::string_view line, LogFacts& facts);

}  // namespace stepdb
