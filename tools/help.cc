#include "tools/help.h"

#include <string_view>

namespace stepdb {

namespace {

constexpr size_t kNameColumns = 24;
constexpr size_t kColumns = 96;

// One entry: `text` wrapped at kColumns, to the right of `name` or below it.
std::string entry(const std::string& name, std::string_view text) {
    std::string out = "  " + name;
    const std::string indent(kNameColumns, ' ');
    size_t column = out.size();
    if (column + 1 > kNameColumns) {
        out += "\n" + indent;
    } else {
        out.append(kNameColumns - column, ' ');
    }
    column = kNameColumns;
    while (!text.empty()) {
        const size_t blank = std::min(text.find(' '), text.size());
        if (column > kNameColumns && column + 1 + blank > kColumns) {
            out += "\n" + indent;
            column = kNameColumns;
        } else if (column > kNameColumns) {
            out += ' ';
            ++column;
        }
        out += text.substr(0, blank);
        column += blank;
        text.remove_prefix(std::min(blank + 1, text.size()));
    }
    return out + "\n";
}

}  // namespace

std::string value_name(const CLI::Option& option) {
    // Behind a colon stands what the validators add.
    const std::string type = option.get_type_name();
    size_t end = type.find(':');
    while (end != std::string::npos && type.compare(end, 5, ":PORT") == 0) {
        end = type.find(':', end + 1);
    }
    return type.substr(0, end);
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
    std::string name;
    for (const std::string& flag : option->get_snames()) {
        name += (name.empty() ? "-" : ", -") + flag;
    }
    for (const std::string& flag : option->get_lnames()) {
        name += (name.empty() ? "--" : ", --") + flag;
    }
    if (option->get_items_expected_max() > 0) {
        name += (name.empty() ? "" : " ") + value_name(*option);
    }
    if (is_positional && option->get_items_expected_max() > 1) {
        name += " ...";
    }
    std::string text = option->get_description();
    if (option->get_required() && !is_positional) {
        text += " (required)";
    }
    if (!option->get_default_str().empty()) {
        text += " [" + option->get_default_str() + "]";
    }
    return entry(name, text);
}

std::string HelpFormatter::make_subcommand(const CLI::App* app) const {
    return entry(app->get_name(), app->get_description());
}

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
    std::string usage = "Usage: " + name;
    for (const CLI::Option* option : app->get_options()) {
        if (option->get_required() && !option->nonpositional()) {
            usage += " " + value_name(*option);
            usage += option->get_items_expected_max() > 1 ? "..." : "";
        } else if (option->get_required()) {
            usage += " --" + option->get_lnames().front() + " " + value_name(*option);
        } else if (!option->nonpositional()) {
            usage += " [" + value_name(*option);
            usage += option->get_items_expected_max() > 1 ? "...]" : "]";
        }
    }
    usage += app->get_subcommands({}).empty() ? " [OPTION...]\n" : " COMMAND ...\n";
    return usage;
}

}  // namespace stepdb
