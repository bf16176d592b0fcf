#include "tools/import/log_source.h"

namespace stepdb {

const std::vector<std::string_view>& step_column_names() {
    static const std::vector<std::string_view> names = {"step", "_step", "global_step",
                                                        "trainer/global_step", "iteration"};
    return names;
}

const std::vector<std::string_view>& time_column_names() {
    static const std::vector<std::string_view> names = {"wall_time", "wall time", "_timestamp",
                                                        "timestamp"};
    return names;
}

void LogCounts::skip(std::string_view kind, const std::function<std::string()>& where) {
    const auto at = kinds.find(kind);
    if (at == kinds.end()) {
        kinds.emplace(kind, 1);
    } else {
        ++at->second;
    }
    if (skipped++ == 0) {
        first_skipped = where();
    }
}

}  // namespace stepdb
