// "gpt/run-1#2" as people type it, taken apart.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/result.h"

namespace stepdb {

struct RunName {
    RunName() = default;

    std::string project;
    std::string run;
    std::optional<uint32_t> attempt;

    std::string path() const { return project + "/" + run; }
};

// PROJECT/RUN or PROJECT/RUN#K. kInvalidArgument saying what is wrong.
Result<RunName> parse_run_name(const std::string& text);

// PROJECT/RUN alone: what is done to a run as a whole.
Result<RunName> parse_whole_run(const std::string& text);

// PROJECT/RUN#K.
Result<RunName> parse_attempt_name(const std::string& text);

}  // namespace stepdb
