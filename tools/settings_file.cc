#include "tools/settings_file.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <fstream>

#include "engine/base/text.h"

namespace stepdb {

namespace {

Error at_line(size_t line, std::string what) {
    return make_error(ErrorCode::kInvalidArgument, "line {}: {}", line, std::move(what));
}

Result<std::string> text_of(const toml::node& value) {
    if (const toml::value<std::string>* text = value.as_string()) {
        return **text;
    }
    if (const toml::value<int64_t>* number = value.as_integer();
        number != nullptr && **number >= 0) {
        return std::to_string(**number);
    }
    return invalid_argument("neither a text in quotes nor a whole number");
}

}  // namespace

Result<std::vector<Setting>> parse_settings(std::string_view text) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        const toml::parse_error& error = parsed.error();
        return at_line(error.source().begin.line, std::string(error.description()));
    }
    std::vector<Setting> settings;
    for (const auto& [key, value] : parsed.table()) {
        Setting setting;
        setting.name = key.str();
        setting.line = key.source().begin.line;
        const Result<std::string> its = text_of(value);
        if (!its) {
            return at_line(setting.line,
                           fmt::format("{}: {}", printable(setting.name), its.error().message()));
        }
        setting.value = *its;
        settings.push_back(std::move(setting));
    }
    std::ranges::sort(settings, {}, &Setting::line);
    return settings;
}

Result<std::vector<Setting>> read_settings_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    std::string text(kSettingsFileBytesMax + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!stream.is_open() || stream.bad()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "cannot read the configuration file {}; does it exist, and may this user "
                          "read it?",
                          printable(path));
    }
    text.resize(static_cast<size_t>(stream.gcount()));
    if (text.size() > kSettingsFileBytesMax) {
        return make_error(ErrorCode::kInvalidArgument,
                          "the configuration file {} has more than {}; is it the right one?",
                          printable(path), format_size(kSettingsFileBytesMax));
    }
    Result<std::vector<Setting>> settings = parse_settings(text);
    return settings ? std::move(settings) : settings.error().within(printable(path));
}

}  // namespace stepdb
