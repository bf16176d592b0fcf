// Errors of the operating system as ours.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace stepdb {

// "No such file or directory".
std::string host_error_text(int error_number);

// "<what>: <text>", with the code that fits: kNotFound, kAlreadyExists, kResourceExhausted for a
// full disk or quota, else kIoError.
Error host_error(std::string_view what, int error_number);

}  // namespace stepdb
