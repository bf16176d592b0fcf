#include "clients/cpp/token.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>

#include "engine/base/text.h"
#include "net/message.h"

namespace stepdb::client {

namespace {

constexpr std::string_view kAroundTokens = " \t\r\n";

// A whole file of something else is not sent to a server.
Result<std::string> check_token(std::string_view found, const std::string& where) {
    const std::string_view token = trim(found, kAroundTokens);
    const auto is_odd = [](char c) { return c <= ' ' || c > '~'; };
    if (token.empty() || token.size() > kTokenBytesMax || std::ranges::any_of(token, is_odd)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{} holds no token; it has to be the one line that `stepdb token create` "
                          "printed",
                          where);
    }
    return std::string(token);
}

}  // namespace

Result<std::string> find_token(const std::string& file) {
    if (file.empty()) {
        // The caller's thread, which knows whether others change the environment meanwhile.
        const char* const token = std::getenv("STEPDB_TOKEN");  // NOLINT(concurrency-mt-unsafe)
        return token == nullptr || *token == '\0' ? std::string()
                                                  : check_token(token, "STEPDB_TOKEN");
    }
    std::ifstream stream(file, std::ios::binary);
    std::array<char, kTokenBytesMax + 64> text;
    stream.read(text.data(), text.size());
    if (!stream.is_open() || stream.bad()) {
        return make_error(ErrorCode::kInvalidArgument, "cannot read the token file {}", file);
    }
    return check_token({text.data(), static_cast<size_t>(stream.gcount())},
                       "the token file " + file);
}

}  // namespace stepdb::client
