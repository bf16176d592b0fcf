// What every text holds in which a regex is found: looking for it is a fraction of what running an
// automaton over the text costs, and tells most names of a million apart.
#pragma once

#include <string>
#include <string_view>

namespace stepdb {

// The longest such piece that is easily seen, of a valid regex in the syntax of RE2; empty if there
// is none, or if it takes more to see it.
std::string required_literal(std::string_view regex);

}  // namespace stepdb
