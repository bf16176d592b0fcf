// What the command line leaves open, from the environment and a configuration file: the option
// --query-time is STEPDB_SERVE_QUERY_TIME in the one and `query-time` in the other. The command
// line counts before the environment, and that before the file.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/log_event.h"
#include "engine/base/result.h"

namespace stepdb {

class Settings {
  public:
    // Gives a value to each option of `app` that has none. The environment's names begin with
    // `prefix`; the option `config`, of the same app, names the file. kInvalidArgument naming where
    // the value that is wrong stands.
    static Result<Settings> read(CLI::App& app, CLI::Option& config, const std::string& prefix);

    Settings() = default;

    // `error` with where the values that its message names by their options came from, unless that
    // was the command line.
    Error with_sources(const Error& error) const;

    // Which settings came from where, and names in the environment that set nothing.
    void tell(const TellEvent& tell) const;

  private:
    struct Source {
        std::string option;  // "--memory"
        std::string place;   // "STEPDB_SERVE_MEMORY" or "FILE: line 3"
        bool is_variable = false;
    };

    Status take_environment(CLI::App& app, const std::string& prefix);
    Status take_file(CLI::App& app, const CLI::Option& config);
    static Status take(const CLI::App& app, CLI::Option& option, const std::string& value,
                       const std::string& place);

    std::string file_;
    std::vector<Source> sources_;
    std::vector<std::string> unknown_;  // in the environment
};

}  // namespace stepdb
