// What `stepdb run ACTION` does to a run, and what its options must be before anything is done.
#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "tools/server_choice.h"

namespace stepdb {

struct RunOptions {
    RunOptions() = default;

    std::string run;  // PROJECT/RUN, with #K where an attempt is meant
    std::string from;
    std::string step;
    std::vector<std::string> metrics;
    bool yes = false;
    ServerChoice server;
};

// run_delete.cc
Status check_discard_options(const RunOptions& options);
Status discard_attempt(const RunOptions& options);
Status check_delete_options(const RunOptions& options);
Status delete_run_or_part(const RunOptions& options);

}  // namespace stepdb
