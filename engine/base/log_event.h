// Something that happens in the program and that whoever runs it may want to know: what the log of
// a server is made of. Names of events and fields are for programs (`store_opened`, `runs`), the
// message is a sentence for people, and may be empty where name and fields say it all.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace stepdb {

enum class LogLevel : uint8_t {
    kDebug,    // for who looks for a mistake
    kInfo,     // what happens as it should
    kWarning,  // goes on, but somebody should look at it some day
    kError,    // something does not work any more
};

struct LogField {
    using Value = std::variant<std::string, uint64_t, double, bool>;

    LogField(std::string its_name, Value its_value)
        : name(std::move(its_name)), value(std::move(its_value)) {}

    std::string name;
    Value value;
};

struct LogEvent {
    LogEvent(LogLevel its_level, std::string its_name, std::string its_message = "")
        : level(its_level), name(std::move(its_name)), message(std::move(its_message)) {}

    LogEvent& text(std::string field, std::string value) {
        fields.emplace_back(std::move(field), std::move(value));
        return *this;
    }
    LogEvent& count(std::string field, uint64_t value) {
        fields.emplace_back(std::move(field), value);
        return *this;
    }
    LogEvent& number(std::string field, double value) {
        fields.emplace_back(std::move(field), value);
        return *this;
    }
    LogEvent& flag(std::string field, bool value) {
        fields.emplace_back(std::move(field), value);
        return *this;
    }

    LogLevel level;
    std::string name;
    std::string message;
    std::vector<LogField> fields;
};

// Takes events where they happen; which threads that may be stands where one is handed over.
using TellEvent = std::function<void(const LogEvent&)>;

}  // namespace stepdb
