// What every text holds in which a regex is found: looking for it is a fraction of what running an
// automaton over the text costs, and tells most names of a million apart.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stepdb {

// Such pieces as are easily seen, of a valid regex in the syntax of RE2, in the order in which a
// text holds them, one behind the other; none if there are none, or if it takes more to see them.
std::vector<std::string> required_literals(std::string_view regex);

// Whether a text holds all of them in this order.
bool has_in_order(std::string_view text, std::span<const std::string> pieces);

}  // namespace stepdb
