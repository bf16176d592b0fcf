// Result<T>: a value or an Error. Everything that can fail because of bytes, files, sockets or
// users returns one; nothing of ours throws. (std::expected is C++23 and unknown to clang 14.)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "engine/base/check.h"

namespace stepdb {

// The closed list of error codes. The numbers are part of the protocol (docs/protocol.md).
enum class ErrorCode : uint8_t {
    kInvalidArgument = 1,     // the request itself is wrong; sending it again cannot help
    kNotFound = 2,            // names a project, run, metric or file that does not exist
    kAlreadyExists = 3,       // creates what exists
    kFailedPrecondition = 4,  // right in form, wrong in this state (fenced writer, gap, axis)
    kResourceExhausted = 5,   // a limit, the memory budget or the disk is full; may be tried again
    kUnavailable = 6,         // shutting down or read-only after an I/O error
    kCorruption = 7,          // bytes on disk are not what was written
    kIoError = 8,             // the operating system refused
    kUnsupportedVersion = 9,  // a format or protocol newer than this program
    kCancelled = 10,          // the asker went away
    kPermissionDenied = 11,   // the token is missing, not known, or lacks the right
};

// The word the protocol's and the tools' messages use: "invalid argument", "not found", ...
std::string_view error_code_name(ErrorCode code);

// A code and a message that names the object and the values and says what to do. It declares its
// constructors because g++ 12 destroys aggregates twice in co_await expressions.
class [[nodiscard]] Error {
  public:
    Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

    ErrorCode code() const { return code_; }
    const std::string& message() const { return message_; }

    // "not found: run gpt/run-17 ..."
    std::string to_string() const;

    // The same error, said from further out: "reading log-000004: <message>".
    Error within(std::string_view context) const;

  private:
    ErrorCode code_;
    std::string message_;
};

// The codes that most messages need.
inline Error invalid_argument(std::string message) {
    return {ErrorCode::kInvalidArgument, std::move(message)};
}
inline Error failed_precondition(std::string message) {
    return {ErrorCode::kFailedPrecondition, std::move(message)};
}
inline Error corruption(std::string message) {
    return {ErrorCode::kCorruption, std::move(message)};
}

template <typename... Args>
Error make_error(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
    return Error(code, fmt::format(format, std::forward<Args>(args)...));
}

template <typename T>
class [[nodiscard]] Result {
  public:
    // Implicit on purpose: `return value;` and `return make_error(...);` both read well.
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    // NOLINTNEXTLINE(google-explicit-constructor)
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }

    T& value() & {
        CHECK(has_value(), "error: {}", std::get<1>(state_).to_string());
        return std::get<0>(state_);
    }
    const T& value() const& {
        CHECK(has_value(), "error: {}", std::get<1>(state_).to_string());
        return std::get<0>(state_);
    }
    T&& value() && {
        CHECK(has_value(), "error: {}", std::get<1>(state_).to_string());
        return std::get<0>(std::move(state_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const Error& error() const& {
        CHECK(!has_value());
        return std::get<1>(state_);
    }
    Error&& error() && {
        CHECK(!has_value());
        return std::get<1>(std::move(state_));
    }

  private:
    std::variant<T, Error> state_;
};

struct Ok {};

// Success without a value, or an Error.
class [[nodiscard]] Status : public Result<Ok> {
  public:
    Status() : Result<Ok>(Ok{}) {}
    Status(Error error) : Result<Ok>(std::move(error)) {}  // NOLINT(google-explicit-constructor)
};

}  // namespace stepdb

#define STEPDB_CONCAT_INNER(a, b) a##b
#define STEPDB_CONCAT(a, b) STEPDB_CONCAT_INNER(a, b)

// TRY(expression of Status): returns the error to the caller. Not for coroutines.
#define TRY(expression)                           \
    do {                                          \
        auto try_status = (expression);           \
        if (!try_status.has_value()) {            \
            return std::move(try_status).error(); \
        }                                         \
    } while (false)

// TRY_ASSIGN(declaration, expression of Result<T>): same, else binds the value.
// NOLINTBEGIN(bugprone-macro-parentheses): `name` and `declaration` are no expressions.
#define TRY_ASSIGN(declaration, expression) \
    TRY_ASSIGN_NAMED(STEPDB_CONCAT(try_result_, __LINE__), declaration, expression)
#define TRY_ASSIGN_NAMED(name, declaration, expression) \
    auto name = (expression);                           \
    if (!name.has_value()) {                            \
        return std::move(name).error();                 \
    }                                                   \
    declaration = std::move(name).value()
// NOLINTEND(bugprone-macro-parentheses)
