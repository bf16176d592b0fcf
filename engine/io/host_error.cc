#include "engine/io/host_error.h"

#include <cerrno>
#include <cstring>

namespace stepdb {

std::string host_error_text(int error_number) {
    const char* text = ::strerrordesc_np(error_number);
    return text != nullptr ? text : fmt::format("error {}", error_number);
}

Error host_error(std::string_view what, int error_number) {
    ErrorCode code = ErrorCode::kIoError;
    if (error_number == ENOENT) {
        code = ErrorCode::kNotFound;
    } else if (error_number == EEXIST) {
        code = ErrorCode::kAlreadyExists;
    } else if (error_number == ENOSPC || error_number == EDQUOT) {
        code = ErrorCode::kResourceExhausted;
    }
    return make_error(code, "{}: {}", what, host_error_text(error_number));
}

}  // namespace stepdb
