// Where a program finds the token that a server asks for.
#pragma once

#include <string>

#include "engine/base/result.h"

namespace stepdb::client {

// What is in `file`, without blanks around it; of "" what is in the environment variable
// STEPDB_TOKEN, if it is set, which nobody may change meanwhile. kInvalidArgument naming the file,
// never what is in it.
Result<std::string> find_token(const std::string& file);

}  // namespace stepdb::client
