// What --help looks like: names to the left, descriptions wrapped to the right.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace stepdb {

class HelpFormatter : public CLI::Formatter {
  public:
    std::string make_option(const CLI::Option* option, bool is_positional) const override;
    std::string make_subcommand(const CLI::App* app) const override;
    std::string make_usage(const CLI::App* app, std::string name) const override;
};

// What the user is to write for the option's value: "DIR".
std::string value_name(const CLI::Option& option);

}  // namespace stepdb
