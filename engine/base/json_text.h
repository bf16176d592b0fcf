// Text as JSON writes it.
#pragma once

#include <string>
#include <string_view>

namespace stepdb {

// Appends `raw` as a string of JSON, with its quotes; bytes that are no UTF-8 as \xNN.
void append_json_text(std::string& out, std::string_view raw);

}  // namespace stepdb
