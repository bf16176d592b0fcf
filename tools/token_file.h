// The tokens of a store: the file `tokens` in its directory, made by `stepdb token`, read by the
// server. It holds names, rights and hashes, never a secret.
//
//   stepdb tokens 1
//   name=ID hash=HEX created=TIME [expires=TIME] [connections=N] [rows=N] [queries=N]
//       [RIGHT=PROJECTS]...                                                (in one line)
//   checksum HEX
//
// A line for each token; RIGHT is read, write, admin or metrics, PROJECTS a pattern as in
// model/rights.h; rows and queries are what it may in a second. Times are microseconds since the
// Unix epoch; the checksum is the XXH3-64 of all lines before it. The file is replaced as a whole,
// synced before it takes its name. A store that has the file asks everybody for a token, also when
// no token is left in it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/secret.h"
#include "engine/model/rights.h"

namespace stepdb {

inline constexpr std::string_view kTokenFileName = "tokens";
inline constexpr std::string_view kTokenPrefix = "stepdb_";
inline constexpr size_t kTokensMax = 10'000;  // each hello is compared with all of them
inline constexpr size_t kTokenFileBytesMax = 16U << 20U;

struct AccessToken {
    explicit AccessToken(std::string its_name)
        : name(std::move(its_name)), rights("token '" + name + "'") {}

    std::string name;  // as an id of a project
    // Of the whole secret, prefix and all. One round of SHA-256 is enough: the secret is 256 random
    // bits, which nobody finds by trying, so there is nothing that a slow hash would slow down.
    Sha256 hash{};
    int64_t created_us = 0;
    int64_t expires_us = 0;           // 0: never
    uint64_t connections_max = 0;     // at a time; 0: as many as the server lets one address have
    uint64_t rows_per_second = 0;     // over all its connections; 0: any
    uint64_t queries_per_second = 0;  // likewise
    Rights rights;

    bool has_expired(int64_t now_us) const { return expires_us != 0 && now_us >= expires_us; }
};

using Tokens = std::vector<AccessToken>;

// `stepdb_` and 64 hex digits from the kernel's random numbers.
Result<std::string> make_secret();
Sha256 hash_secret(std::string_view secret);

std::string encode_tokens(const Tokens& tokens);
// kCorruption or kUnsupportedVersion naming `path` and the line.
Result<Tokens> decode_tokens(std::string_view text, const std::string& path);

std::string token_file_path(const std::string& directory);

// Tells versions of the file apart without reading it.
struct TokenFileStamp {
    uint64_t inode = 0;
    int64_t changed_ns = 0;
    uint64_t bytes = 0;

    bool operator==(const TokenFileStamp&) const = default;
};

struct TokenFile {
    TokenFile() = default;

    TokenFileStamp stamp;
    Tokens tokens;
};

// Nothing if there is no such file.
std::optional<TokenFileStamp> look_at_token_file(const std::string& directory);
// kIoError, what decode_tokens() says, or kFailedPrecondition if others than its owner may read or
// write the file.
Result<std::optional<TokenFile>> read_token_file(const std::string& directory);

// Reads the tokens, has `change` change them and writes them back, durably or not at all. Others
// that change them meanwhile wait. Makes the directory if it is missing.
Status change_token_file(const std::string& directory,
                         const std::function<Status(Tokens&)>& change);

}  // namespace stepdb
