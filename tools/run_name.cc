#include "tools/run_name.h"

#include <charconv>

#include "engine/base/text.h"
#include "engine/model/schema.h"

namespace stepdb {

Result<RunName> parse_run_name(const std::string& text) {
    RunName name;
    const size_t slash = text.find('/');
    const size_t hash = text.find('#');
    if (slash == std::string::npos || (hash != std::string::npos && hash < slash)) {
        return make_error(ErrorCode::kInvalidArgument, "'{}' is not PROJECT/RUN", printable(text));
    }
    name.project = text.substr(0, slash);
    name.run = text.substr(slash + 1, hash == std::string::npos ? hash : hash - slash - 1);
    TRY(check_id("project", name.project));
    TRY(check_id("run", name.run));
    if (hash != std::string::npos) {
        const std::string number = text.substr(hash + 1);
        const char* const end = number.data() + number.size();
        const auto [stop, code] = std::from_chars(number.data(), end, name.attempt.emplace());
        if (code != std::errc() || stop != end) {
            return make_error(ErrorCode::kInvalidArgument, "'{}' is no attempt; write {}#0",
                              printable(text), name.path());
        }
    }
    return name;
}

Result<RunName> parse_whole_run(const std::string& text) {
    TRY_ASSIGN(RunName name, parse_run_name(text));
    if (name.attempt) {
        return make_error(ErrorCode::kInvalidArgument, "'{}' names an attempt; write {}",
                          printable(text), name.path());
    }
    return name;
}

Result<RunName> parse_attempt_name(const std::string& text) {
    TRY_ASSIGN(RunName name, parse_run_name(text));
    if (!name.attempt) {
        return make_error(ErrorCode::kInvalidArgument, "'{}' names no attempt; write {}#0",
                          printable(text), name.path());
    }
    return name;
}

}  // namespace stepdb
