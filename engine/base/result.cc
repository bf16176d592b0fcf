#include "engine/base/result.h"

namespace stepdb {

std::string_view error_code_name(ErrorCode code) {
    switch (code) {
        case ErrorCode::kInvalidArgument:
            return "invalid argument";
        case ErrorCode::kNotFound:
            return "not found";
        case ErrorCode::kAlreadyExists:
            return "already exists";
        case ErrorCode::kFailedPrecondition:
            return "failed precondition";
        case ErrorCode::kResourceExhausted:
            return "resource exhausted";
        case ErrorCode::kUnavailable:
            return "unavailable";
        case ErrorCode::kCorruption:
            return "corruption";
        case ErrorCode::kIoError:
            return "i/o error";
        case ErrorCode::kUnsupportedVersion:
            return "unsupported version";
        case ErrorCode::kCancelled:
            return "cancelled";
        case ErrorCode::kPermissionDenied:
            return "permission denied";
    }
    return "unknown error";
}

std::string Error::to_string() const {
    return fmt::format("{}: {}", error_code_name(code_), message_);
}

Error Error::within(std::string_view context) const {
    return Error(code_, fmt::format("{}: {}", context, message_));
}

}  // namespace stepdb
