#include "tools/duration_text.h"

#include <charconv>
#include <map>

namespace stepdb {

Result<int64_t> parse_duration(std::string_view option, std::string_view text) {
    static const std::map<std::string_view, double> units = {
        {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}};
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, number);
    const auto unit = units.find(text.substr(static_cast<size_t>(stop - text.data())));
    if (code != std::errc() || unit == units.end() || !(number >= 0) ||
        number * unit->second > 86400e6) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{} '{}': a time such as 500ms or 2s is wanted, a day at most", option,
                          text);
    }
    return static_cast<int64_t>(number * unit->second);
}

}  // namespace stepdb
