#include "tools/settings_file.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include "engine/base/text.h"

namespace stepdb {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_';
}

// Takes one line apart from its beginning.
class LineReader {
  public:
    explicit LineReader(std::string_view line) : rest_(line) { skip_blanks(); }

    bool at_end() const { return rest_.empty() || rest_.front() == '#'; }
    std::string_view rest() const { return rest_; }

    bool take(char c) {
        if (!rest_.starts_with(c)) {
            return false;
        }
        rest_.remove_prefix(1);
        skip_blanks();
        return true;
    }

    // "" if none stands here.
    std::string take_name() {
        const auto end = std::ranges::find_if_not(rest_, is_name_character);
        std::string name(rest_.begin(), end);
        rest_.remove_prefix(name.size());
        skip_blanks();
        return name;
    }

    Result<std::string> take_value() {
        Result<std::string> value = rest_.starts_with('"')    ? take_escaped()
                                    : rest_.starts_with('\'') ? take_literal()
                                                              : take_number();
        skip_blanks();
        return value;
    }

  private:
    static Error not_a_value(std::string_view text) {
        return make_error(ErrorCode::kInvalidArgument,
                          "'{}' is neither a text in quotes nor a whole number; write it as \"{}\"",
                          printable(text), printable(text));
    }

    static Error not_closed(std::string_view text) {
        return make_error(ErrorCode::kInvalidArgument,
                          "the text that begins with {} does not end in this line",
                          printable(text.substr(0, 20)));
    }

    void skip_blanks() {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r"), rest_.size()));
    }

    Result<std::string> take_literal() {
        const size_t end = rest_.find('\'', 1);
        if (end == std::string_view::npos) {
            return not_closed(rest_);
        }
        std::string value(rest_.substr(1, end - 1));
        rest_.remove_prefix(end + 1);
        return value;
    }

    Result<std::string> take_escaped() {
        std::string value;
        for (size_t at = 1; at < rest_.size(); ++at) {
            if (rest_[at] == '"') {
                rest_.remove_prefix(at + 1);
                return value;
            }
            if (rest_[at] != '\\') {
                value += rest_[at];
                continue;
            }
            ++at;
            constexpr std::string_view kEscaped = "\"\\tn";
            const size_t which = at < rest_.size() ? kEscaped.find(rest_[at]) : kEscaped.size();
            if (which >= kEscaped.size()) {
                return make_error(ErrorCode::kInvalidArgument,
                                  "'{}' is none of \\\" \\\\ \\t \\n; a text in '...' takes every "
                                  "character as it is",
                                  printable(rest_.substr(at - 1, 2)));
            }
            value += std::string_view("\"\\\t\n")[which];
        }
        return not_closed(rest_);
    }

    Result<std::string> take_number() {
        const std::string_view text =
            trim(rest_.substr(0, std::min(rest_.find('#'), rest_.size())), kLineBlanks);
        if (text.empty()) {
            return invalid_argument("a value is missing behind '='");
        }
        if (!std::ranges::all_of(text, is_digit)) {
            return not_a_value(text);
        }
        rest_.remove_prefix(text.size());
        return std::string(text);
    }

    std::string_view rest_;
};

// Nothing of a line that sets nothing.
Result<std::optional<Setting>> parse_line(std::string_view line) {
    LineReader reader(line);
    if (reader.at_end()) {
        return std::optional<Setting>();
    }
    if (reader.rest().starts_with('[')) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: there are no tables in this file, only lines such as data = \"DIR\"",
                          printable(trim(line, kLineBlanks)));
    }
    Setting setting;
    setting.name = reader.take_name();
    if (setting.name.empty() || !reader.take('=')) {
        return make_error(ErrorCode::kInvalidArgument,
                          "'{}' is no setting; write a line such as data = \"DIR\"",
                          printable(trim(line, kLineBlanks)));
    }
    Result<std::string> value = reader.take_value();
    if (!value) {
        return value.error().within(setting.name);
    }
    setting.value = std::move(*value);
    if (!reader.at_end()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{}: '{}' behind the value; only a comment "
                          "may stand there",
                          setting.name, printable(reader.rest()));
    }
    return std::optional(std::move(setting));
}

Error within_line(const Error& error, size_t line) {
    return error.within(fmt::format("line {}", line));
}

}  // namespace

Result<std::vector<Setting>> parse_settings(std::string_view text) {
    if (!is_valid_utf8(text)) {
        return invalid_argument("it is no UTF-8 text");
    }
    std::vector<Setting> settings;
    for (size_t line = 1; !text.empty(); ++line) {
        const size_t end = std::min(text.find('\n'), text.size());
        Result<std::optional<Setting>> parsed = parse_line(text.substr(0, end));
        if (!parsed) {
            return within_line(parsed.error(), line);
        }
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!*parsed) {
            continue;
        }
        Setting& setting = **parsed;
        const auto before = std::ranges::find(settings, setting.name, &Setting::name);
        if (before != settings.end()) {
            return within_line(make_error(ErrorCode::kInvalidArgument,
                                          "{} is set in line {} already; keep one of the two",
                                          setting.name, before->line),
                               line);
        }
        setting.line = line;
        settings.push_back(std::move(setting));
    }
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
