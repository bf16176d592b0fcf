// A part of a file that holds the logs of several runs.
#pragma once

#include <cstdint>
#include <string>

namespace stepdb {

struct LogPart {
    LogPart() = default;

    std::string run;     // as the file names it: "gpt/run-1"
    uint64_t begin = 0;  // bytes before it
    uint64_t line = 1;   // that it begins with
    uint64_t end = 0;    // bytes up to its end; lines of other runs may lie among them
};

}  // namespace stepdb
