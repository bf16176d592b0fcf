#include "tools/server_log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/json_text.h"
#include "engine/base/text.h"
#include "tools/token_file.h"

namespace stepdb {

namespace {

// Names are mostly shorter, so messages stand below each other.
constexpr size_t kEventWidth = 15;
// Of a value; a query's text is cut before.
constexpr size_t kLogValueBytesMax = 4096;

bool is_hex(char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
           (byte >= 'A' && byte <= 'F');
}

spdlog::level::level_enum level_of(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug:
            return spdlog::level::debug;
        case LogLevel::kInfo:
            return spdlog::level::info;
        case LogLevel::kWarning:
            return spdlog::level::warn;
        case LogLevel::kError:
            break;
    }
    return spdlog::level::err;
}

// Without quotes where one word can be told from the next.
std::string quote(std::string_view raw) {
    std::string text = printable(raw, kLogValueBytesMax);
    const bool is_word = !text.empty() && text.find_first_of(" \"=") == std::string::npos;
    if (is_word) {
        return text;
    }
    std::string quoted = "\"";
    for (const char byte : text) {
        if (byte == '"') {
            quoted += '\\';
        }
        quoted += byte;
    }
    return quoted + '"';
}

// Sizes read better as such: `memory_bytes=512MiB`.
std::string short_size(uint64_t bytes) {
    constexpr std::string_view kPlain = " bytes";
    std::string size = format_size(bytes);
    if (size.ends_with(kPlain)) {
        size.resize(size.size() - kPlain.size());
    }
    std::erase(size, ' ');
    return size;
}

std::string text_of(const LogField& field) {
    if (const auto* text = std::get_if<std::string>(&field.value)) {
        return quote(*text);
    }
    if (const auto* count = std::get_if<uint64_t>(&field.value)) {
        return field.name.ends_with("_bytes") ? short_size(*count) : fmt::format("{}", *count);
    }
    if (const auto* number = std::get_if<double>(&field.value)) {
        return fmt::format("{:.3f}", *number);
    }
    return std::get<bool>(field.value) ? "true" : "false";
}

void append_json_value(std::string& out, const LogField& field) {
    if (const auto* text = std::get_if<std::string>(&field.value)) {
        append_json_text(out, *text);
    } else if (const auto* count = std::get_if<uint64_t>(&field.value)) {
        out += fmt::format("{}", *count);
    } else if (const auto* number = std::get_if<double>(&field.value)) {
        out += std::isfinite(*number) ? fmt::format("{}", *number) : "null";
    } else {
        out += std::get<bool>(field.value) ? "true" : "false";
    }
}

}  // namespace

struct ServerLog::Logger {
    explicit Logger(std::shared_ptr<spdlog::sinks::sink> sink)
        : logger("stepdb", std::move(sink)) {}

    spdlog::logger logger;
};

Result<LogStyle> read_log_format(const std::string& text) {
    if (text == "text" || text == "json") {
        return text == "json" ? LogStyle::kJson : LogStyle::kText;
    }
    return make_error(ErrorCode::kInvalidArgument, "--log-format {}: write text or json",
                      printable(text));
}

Result<LogLevel> read_log_level(const std::string& text) {
    constexpr std::array<std::pair<std::string_view, LogLevel>, 4> kNames = {
        {{"debug", LogLevel::kDebug},
         {"info", LogLevel::kInfo},
         {"warning", LogLevel::kWarning},
         {"error", LogLevel::kError}}};
    for (const auto& [name, level] : kNames) {
        if (text == name) {
            return level;
        }
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "--log-level {}: write debug, info, warning or error", printable(text));
}

std::string hide_secrets(std::string_view text) {
    // As many as nobody writes by chance; of a secret that was cut, too.
    constexpr size_t kDigitsMin = 8;
    std::string shown;
    while (!text.empty()) {
        const size_t at = std::min(text.find(kTokenPrefix), text.size());
        const size_t end = std::min(at + kTokenPrefix.size(), text.size());
        shown += text.substr(0, end);
        text.remove_prefix(end);
        const auto digits =
            static_cast<size_t>(std::ranges::find_if_not(text, is_hex) - text.begin());
        if (end != at && digits >= kDigitsMin) {
            shown += "(secret)";
            text.remove_prefix(digits);
        }
    }
    return shown;
}

std::string format_text_event(const LogEvent& event) {
    std::string line = fmt::format("{:<{}}", event.name, kEventWidth);
    if (!event.message.empty()) {
        line += " " + printable(event.message, kLogValueBytesMax);
    }
    std::string_view gap = event.message.empty() ? " " : "  ";
    for (const LogField& field : event.fields) {
        line += fmt::format("{}{}={}", gap, field.name, text_of(field));
        gap = " ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return hide_secrets(line);
}

std::string format_json_event(const LogEvent& event) {
    std::string line = "\"event\":";
    append_json_text(line, event.name);
    if (!event.message.empty()) {
        line += ",\"message\":";
        append_json_text(line, event.message);
    }
    for (const LogField& field : event.fields) {
        line += ',';
        append_json_text(line, field.name);
        line += ':';
        append_json_value(line, field);
    }
    return hide_secrets(line);
}

ServerLog::ServerLog(LogStyle format, LogLevel least)
    : format_(format),
      logger_(std::make_unique<Logger>(std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>(
          format == LogStyle::kText ? spdlog::color_mode::automatic : spdlog::color_mode::never))) {
    const std::string pattern = format == LogStyle::kText
                                    ? "%Y-%m-%dT%H:%M:%S.%eZ %^%-7l%$ %v"
                                    : R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";
    logger_->logger.set_formatter(
        std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
    logger_->logger.set_level(level_of(least));
    logger_->logger.flush_on(spdlog::level::trace);
}

ServerLog::~ServerLog() = default;

void ServerLog::tell(const LogEvent& event) {
    const spdlog::level::level_enum level = level_of(event.level);
    if (!logger_->logger.should_log(level)) {
        return;
    }
    const std::string line =
        format_ == LogStyle::kText ? format_text_event(event) : format_json_event(event);
    logger_->logger.log(level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace stepdb
