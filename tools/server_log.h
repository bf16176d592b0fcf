// The log of `stepdb serve`, on stderr: a line an event, for people or as JSON. The home of spdlog.
//
//   text  2026-11-30T08:00:00.125Z info    store_opened    a new store  data=./store runs=0
//   json  {"time":"2026-11-30T08:00:00.125Z","level":"info","event":"store_opened",
//          "message":"a new store","data":"./store","runs":0}          (in one line)
//
// Whatever looks like the secret of a token is left out of every line, wherever it came from, such
// as the text of a query that somebody put one into.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/base/log_event.h"
#include "engine/base/result.h"

namespace stepdb {

enum class LogStyle : uint8_t {
    kText,
    kJson,
};

// "text" or "json"; "debug", "info", "warning" or "error". kInvalidArgument naming the option.
Result<LogStyle> read_log_format(const std::string& text);
Result<LogLevel> read_log_level(const std::string& text);

// What comes behind time and level: in text, and in JSON without the braces.
std::string format_text_event(const LogEvent& event);
std::string format_json_event(const LogEvent& event);

// `text` with the secrets of tokens in it taken out.
std::string hide_secrets(std::string_view text);

class ServerLog {
  public:
    // Tells what is of this level or a higher one.
    ServerLog(LogStyle format, LogLevel least);
    ~ServerLog();
    ServerLog(const ServerLog&) = delete;
    ServerLog& operator=(const ServerLog&) = delete;

    // Any thread. The line is with the kernel when it returns.
    void tell(const LogEvent& event);
    // The same as a function, which the log outlives.
    TellEvent teller() {
        return [this](const LogEvent& event) { tell(event); };
    }

  private:
    struct Logger;

    const LogStyle format_;
    std::unique_ptr<Logger> logger_;
};

}  // namespace stepdb
