// What a wrong command line gets to read.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace stepdb {

// What is wrong with the command line, in a sentence; `at` is the deepest command it got to.
std::string describe_usage_error(const CLI::App& at, const CLI::ParseError& error);

}  // namespace stepdb
