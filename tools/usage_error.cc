#include "tools/usage_error.h"

#include <fmt/format.h>

#include <vector>

#include "engine/base/text.h"
#include "query/diagnostic.h"
#include "tools/help.h"

namespace stepdb {

namespace {

std::vector<std::string> command_names(const CLI::App& at) {
    std::vector<std::string> names;
    for (const CLI::App* command : at.get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(command->get_name());
    }
    return names;
}

std::vector<std::string> option_names(const CLI::App& at) {
    std::vector<std::string> names;
    for (const CLI::Option* option : at.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            names.push_back("--" + name);
        }
    }
    return names;
}

// An argument that no option and no command takes.
std::string describe_extra(const CLI::App& at, const std::string& argument) {
    if (argument.starts_with('-') && argument.size() > 1) {
        const std::string name = argument.substr(0, argument.find('='));
        return fmt::format("there is no option '{}'{}", printable(name),
                           did_you_mean(name, option_names(at)));
    }
    const std::vector<std::string> commands = command_names(at);
    if (!commands.empty()) {
        return fmt::format("there is no command '{}'{}", printable(argument),
                           did_you_mean(argument, commands));
    }
    return fmt::format("'{}' is one argument too many; a text with blanks needs quotes around it",
                       printable(argument));
}

std::string describe_missing(const CLI::App& at, const std::string& what) {
    for (const CLI::Option* option : at.get_options()) {
        if (option->get_required() && option->count() == 0) {
            return option->nonpositional()
                       ? fmt::format("--{} {} is missing", option->get_lnames().front(),
                                     value_name(*option))
                       : fmt::format("{} is missing", value_name(*option));
        }
    }
    const std::vector<std::string> commands = command_names(at);
    return commands.empty() ? what
                            : fmt::format("a command is wanted: {}", fmt::join(commands, ", "));
}

// "NAME: what is wrong" of a value.
std::string describe_value(const std::string& what) {
    const size_t colon = what.find(": ");
    const size_t set = what.find(" not in {");
    if (colon != std::string::npos && set != std::string::npos && what.ends_with('}')) {
        std::string names = what.substr(set + 9, what.size() - set - 10);
        for (size_t comma = names.find(','); comma != std::string::npos;
             comma = names.find(',', comma + 2)) {
            names.insert(comma + 1, " ");
        }
        return fmt::format("{}: '{}' is none of {}", what.substr(0, colon),
                           printable(what.substr(colon + 2, set - colon - 2)), names);
    }
    return what;
}

}  // namespace

std::string describe_usage_error(const CLI::App& at, const CLI::ParseError& error) {
    const std::string what = error.what();
    const std::vector<std::string> extra = at.remaining();
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !extra.empty()) {
        return describe_extra(at, extra.front());
    }
    if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
        return extra.empty() ? describe_missing(at, what) : describe_extra(at, extra.front());
    }
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
        return fmt::format("{} wants a value behind it", what.substr(0, what.find(':')));
    }
    if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
        constexpr std::string_view kPrefix = "Could not convert: ";
        const size_t equals = what.find(" = ");
        if (what.starts_with(kPrefix) && equals != std::string::npos) {
            return fmt::format("{}: '{}' is no number",
                               what.substr(kPrefix.size(), equals - kPrefix.size()),
                               printable(what.substr(equals + 3)));
        }
    }
    if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
        const size_t word = what.find(" excludes ");
        if (word != std::string::npos) {
            return fmt::format("{} and {} exclude each other", what.substr(0, word),
                               what.substr(word + 10));
        }
    }
    return describe_value(what);
}

}  // namespace stepdb
