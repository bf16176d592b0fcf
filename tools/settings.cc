#include "tools/settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "engine/base/text.h"
#include "query/diagnostic.h"
#include "tools/settings_file.h"
#include "tools/usage_error.h"

namespace stepdb {

namespace {

std::string name_in_environment(const CLI::Option& option, const std::string& prefix) {
    std::string name = prefix;
    for (const char c : option.get_lnames().front()) {
        name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    return name;
}

std::string long_name(const CLI::Option& option) {
    return "--" + option.get_lnames().front();
}

// Whether the text names the option, and not only one whose name goes on behind it.
bool names(std::string_view text, std::string_view option) {
    for (size_t at = text.find(option); at != std::string_view::npos;
         at = text.find(option, at + 1)) {
        const std::string_view behind = text.substr(at + option.size());
        if (behind.empty() || (behind.front() != '-' && std::isalnum(behind.front()) == 0)) {
            return true;
        }
    }
    return false;
}

// All that can be set; --help asks for something instead.
std::vector<CLI::Option*> options_of(CLI::App& app) {
    return app.get_options([&app](const CLI::Option* option) {
        return option->nonpositional() && option != app.get_help_ptr();
    });
}

}  // namespace

Result<Settings> Settings::read(CLI::App& app, CLI::Option& config, const std::string& prefix) {
    Settings settings;
    TRY(settings.take_environment(app, prefix));
    TRY(settings.take_file(app, config));
    return settings;
}

Status Settings::take(const CLI::App& app, CLI::Option& option, const std::string& value,
                      const std::string& place) {
    try {
        option.add_result(value);
        option.run_callback();
    } catch (const CLI::ParseError& error) {
        return Error(ErrorCode::kInvalidArgument, describe_usage_error(app, error)).within(place);
    }
    return {};
}

// A variable that is empty sets nothing, as is the custom.
Status Settings::take_environment(CLI::App& app, const std::string& prefix) {
    std::vector<std::string> known;
    for (CLI::Option* option : options_of(app)) {
        known.push_back(name_in_environment(*option, prefix));
        // NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread is started
        const char* const value = std::getenv(known.back().c_str());
        if (value != nullptr && *value != '\0' && option->count() == 0) {
            TRY(take(app, *option, value, known.back()));
            sources_.push_back({long_name(*option), known.back(), true});
        }
    }
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text(*variable);
        const std::string name(text.substr(0, text.find('=')));
        if (name.starts_with(prefix) && std::ranges::find(known, name) == known.end()) {
            unknown_.push_back(name);
        }
    }
    return {};
}

Status Settings::take_file(CLI::App& app, const CLI::Option& config) {
    if (config.count() == 0) {
        return {};
    }
    file_ = config.as<std::string>();
    TRY_ASSIGN(const std::vector<Setting> settings, read_settings_file(file_));
    std::vector<std::string> known;
    for (const CLI::Option* option : options_of(app)) {
        if (option != &config) {
            known.push_back(option->get_lnames().front());
        }
    }
    for (const Setting& setting : settings) {
        const std::string place = fmt::format("{}: line {}", printable(file_), setting.line);
        if (std::ranges::find(known, setting.name) == known.end()) {
            return make_error(ErrorCode::kInvalidArgument, "{}: there is no setting '{}'{}", place,
                              setting.name, did_you_mean(setting.name, known));
        }
        CLI::Option& option = *app.get_option("--" + setting.name);
        if (option.count() == 0) {
            TRY(take(app, option, setting.value, place));
            sources_.push_back({long_name(option), place, false});
        }
    }
    return {};
}

Error Settings::with_sources(const Error& error) const {
    std::string message = error.message();
    for (const Source& source : sources_) {
        if (names(error.message(), source.option)) {
            message += fmt::format("; {} is from {}", source.option, source.place);
        }
    }
    return {error.code(), std::move(message)};
}

void Settings::tell(const TellEvent& tell) const {
    if (!sources_.empty()) {
        std::vector<std::string> variables;
        for (const Source& source : sources_) {
            if (source.is_variable) {
                variables.push_back(source.place);
            }
        }
        LogEvent event(LogLevel::kInfo, "settings");
        event.text("file", file_).text("environment", fmt::format("{}", fmt::join(variables, " ")));
        tell(event.count("count", sources_.size()));
    }
    for (const std::string& name : unknown_) {
        LogEvent event(LogLevel::kWarning, "setting_unknown",
                       "it looks like a setting, and is none; `stepdb serve --help` lists them");
        tell(event.text("variable", printable(name)));
    }
}

}  // namespace stepdb
