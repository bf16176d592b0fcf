#include "tools/token_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "engine/base/checksum.h"
#include "engine/base/text.h"
#include "engine/model/schema.h"

namespace stepdb {

namespace {

constexpr std::string_view kTokenFileFirstLine = "stepdb tokens 1";
constexpr std::string_view kTokenFileMagic = "stepdb tokens ";
constexpr std::string_view kChecksumWord = "checksum ";
constexpr size_t kSecretBytes = 32;

Bytes bytes_of_text(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::string hex_of(Bytes bytes) {
    std::string hex;
    for (const std::byte byte : bytes) {
        hex += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    }
    return hex;
}

Error system_error(std::string_view doing, const std::string& path) {
    return make_error(ErrorCode::kIoError, "cannot {} {}: {}", doing, path,
                      std::generic_category().message(errno));
}

class OwnDescriptor {
  public:
    explicit OwnDescriptor(int fd) : fd_(fd) {}
    ~OwnDescriptor() {
        if (fd_ >= 0) {
            close(fd_);
        }
    }
    OwnDescriptor(const OwnDescriptor&) = delete;
    OwnDescriptor& operator=(const OwnDescriptor&) = delete;

    int get() const { return fd_; }

  private:
    int fd_;
};

template <typename Number>
bool read_number(std::string_view text, Number& number, int base = 10) {
    const char* const end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, number, base);
    return code == std::errc() && stop == end && !text.empty();
}

bool read_hash(std::string_view text, Sha256& hash) {
    if (text.size() != 2 * hash.size()) {
        return false;
    }
    for (size_t at = 0; at < hash.size(); ++at) {
        uint8_t byte = 0;
        if (!read_number(text.substr(2 * at, 2), byte, 16)) {
            return false;
        }
        hash[at] = std::byte{byte};
    }
    return true;
}

// One word of a token's line, NAME=VALUE. False if it is none.
bool read_word(std::string_view word, AccessToken& token) {
    const size_t equals = std::min(word.find('='), word.size());
    const std::string_view name = word.substr(0, equals);
    const std::string_view value = word.substr(std::min(equals + 1, word.size()));
    if (name == "hash") {
        return read_hash(value, token.hash);
    }
    if (name == "created") {
        return read_number(value, token.created_us);
    }
    if (name == "expires") {
        return read_number(value, token.expires_us);
    }
    if (name == "connections") {
        return read_number(value, token.connections_max);
    }
    if (name == "rows") {
        return read_number(value, token.rows_per_second);
    }
    if (name == "queries") {
        return read_number(value, token.queries_per_second);
    }
    for (const Right right : kRights) {
        if (name == right_name(right)) {
            Result<std::string> pattern = parse_project_pattern(value);
            if (!pattern) {
                return false;
            }
            token.rights.grant(right, *std::move(pattern));
            return true;
        }
    }
    return false;
}

std::optional<AccessToken> read_token(std::string_view line) {
    constexpr std::string_view kName = "name=";
    if (!line.starts_with(kName)) {
        return std::nullopt;
    }
    const size_t end = std::min(line.find(' '), line.size());
    AccessToken token(std::string(line.substr(kName.size(), end - kName.size())));
    if (!check_id("token", token.name)) {
        return std::nullopt;
    }
    for (line.remove_prefix(end); !line.empty();) {
        line.remove_prefix(1);
        const std::string_view word = line.substr(0, line.find(' '));
        if (!read_word(word, token)) {
            return std::nullopt;
        }
        line.remove_prefix(word.size());
    }
    return token;
}

TokenFileStamp stamp_of(const struct stat& status) {
    TokenFileStamp stamp;
    stamp.inode = status.st_ino;
    stamp.changed_ns = status.st_ctim.tv_sec * 1'000'000'000 + status.st_ctim.tv_nsec;
    stamp.bytes = static_cast<uint64_t>(status.st_size);
    return stamp;
}

Status write_whole(int fd, std::string_view text, const std::string& path) {
    while (!text.empty()) {
        const ssize_t written = write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return system_error("write", path);
        }
        text.remove_prefix(static_cast<size_t>(written));
    }
    return {};
}

// Under a name of its own until it is on stable storage, then under the one that counts.
Status replace_token_file(const std::string& directory, int directory_fd, std::string_view text) {
    const std::string path = token_file_path(directory);
    const std::string unfinished = path + ".new";
    unlink(unfinished.c_str());  // of who was interrupted; nobody else is here now
    {
        const OwnDescriptor file(
            open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (file.get() < 0) {
            return system_error("make", unfinished);
        }
        TRY(write_whole(file.get(), text, unfinished));
        if (fsync(file.get()) != 0) {
            return system_error("sync", unfinished);
        }
    }
    if (rename(unfinished.c_str(), path.c_str()) != 0) {
        return system_error("replace", path);
    }
    return fsync(directory_fd) == 0 ? Status() : Status(system_error("sync", directory));
}

Result<std::string> read_token_text(int fd, const std::string& path) {
    std::string text;
    std::array<char, 1U << 16U> piece;
    for (;;) {
        const ssize_t count = read(fd, piece.data(), piece.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return system_error("read", path);
        }
        if (count == 0) {
            return text;
        }
        text.append(piece.data(), static_cast<size_t>(count));
        if (text.size() > kTokenFileBytesMax) {
            return make_error(ErrorCode::kCorruption, "{} is longer than {}; it is no token file",
                              path, format_size(kTokenFileBytesMax));
        }
    }
}

}  // namespace

Result<std::string> make_secret() {
    std::array<std::byte, kSecretBytes> random;
    // So few bytes come whole or not at all (getrandom(2)).
    if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
        return make_error(ErrorCode::kIoError, "the kernel gives no random numbers: {}",
                          std::generic_category().message(errno));
    }
    return std::string(kTokenPrefix) + hex_of(random);
}

Sha256 hash_secret(std::string_view secret) {
    return sha256(bytes_of_text(secret));
}

std::string encode_tokens(const Tokens& tokens) {
    std::string text = fmt::format("{}\n", kTokenFileFirstLine);
    for (const AccessToken& token : tokens) {
        text += fmt::format("name={} hash={} created={}", token.name, hex_of(token.hash),
                            token.created_us);
        if (token.expires_us != 0) {
            text += fmt::format(" expires={}", token.expires_us);
        }
        if (token.connections_max != 0) {
            text += fmt::format(" connections={}", token.connections_max);
        }
        if (token.rows_per_second != 0) {
            text += fmt::format(" rows={}", token.rows_per_second);
        }
        if (token.queries_per_second != 0) {
            text += fmt::format(" queries={}", token.queries_per_second);
        }
        for (const Right right : kRights) {
            for (const std::string& pattern : token.rights.patterns(right)) {
                text += fmt::format(" {}={}", right_name(right), pattern);
            }
        }
        text += '\n';
    }
    return text + fmt::format("{}{:016x}\n", kChecksumWord, xxh3(bytes_of_text(text)));
}

Result<Tokens> decode_tokens(std::string_view text, const std::string& path) {
    const auto damaged = [&](const std::string& what) {
        return make_error(ErrorCode::kCorruption,
                          "{}: {}; remove the file and make the tokens anew by `stepdb token "
                          "create`, or restore it from a copy",
                          path, what);
    };
    if (!text.starts_with(kTokenFileMagic)) {
        return damaged("it does not begin as a token file does");
    }
    if (!text.starts_with(fmt::format("{}\n", kTokenFileFirstLine))) {
        return make_error(ErrorCode::kUnsupportedVersion,
                          "{} is of a newer version than this program; update it", path);
    }
    const size_t last = text.rfind(kChecksumWord);
    uint64_t checksum = 0;
    if (last == std::string_view::npos || !text.ends_with('\n') ||
        !read_number(
            text.substr(last + kChecksumWord.size(), text.size() - last - kChecksumWord.size() - 1),
            checksum, 16) ||
        checksum != xxh3(bytes_of_text(text.substr(0, last)))) {
        return damaged("its checksum is wrong");
    }
    Tokens tokens;
    size_t number = 2;
    for (size_t at = kTokenFileFirstLine.size() + 1; at < last; ++number) {
        const size_t end = std::min(text.find('\n', at), last);
        std::optional<AccessToken> token = read_token(text.substr(at, end - at));
        if (!token) {
            return damaged(fmt::format("line {} is none of a token", number));
        }
        tokens.push_back(*std::move(token));
        at = end + 1;
    }
    return tokens;
}

std::string token_file_path(const std::string& directory) {
    return fmt::format("{}/{}", directory, kTokenFileName);
}

std::optional<TokenFileStamp> look_at_token_file(const std::string& directory) {
    struct stat status = {};
    if (stat(token_file_path(directory).c_str(), &status) != 0) {
        return std::nullopt;
    }
    return stamp_of(status);
}

Result<std::optional<TokenFile>> read_token_file(const std::string& directory) {
    const std::string path = token_file_path(directory);
    const OwnDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return std::optional<TokenFile>();
    }
    struct stat status = {};
    if (file.get() < 0 || fstat(file.get(), &status) != 0) {
        return system_error("open", path);
    }
    if ((status.st_mode & 077U) != 0) {
        return make_error(ErrorCode::kFailedPrecondition,
                          "{} may be read or written by others (mode {:o}); make it its owner's "
                          "alone by `chmod 600 {}`",
                          path, status.st_mode & 0777U, path);
    }
    TokenFile found;
    found.stamp = stamp_of(status);
    TRY_ASSIGN(const std::string text, read_token_text(file.get(), path));
    TRY_ASSIGN(found.tokens, decode_tokens(text, path));
    return std::optional<TokenFile>(std::move(found));
}

Status change_token_file(const std::string& directory,
                         const std::function<Status(Tokens&)>& change) {
    std::error_code failed;
    std::filesystem::create_directories(directory, failed);
    if (failed) {
        return make_error(ErrorCode::kIoError, "cannot make the directory {}: {}", directory,
                          failed.message());
    }
    const OwnDescriptor locked(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (locked.get() < 0 || flock(locked.get(), LOCK_EX) != 0) {
        return system_error("lock", directory);
    }
    TRY_ASSIGN(std::optional<TokenFile> file, read_token_file(directory));
    Tokens tokens = file ? std::move(file->tokens) : Tokens();
    TRY(change(tokens));
    if (tokens.size() > kTokensMax) {
        return make_error(ErrorCode::kResourceExhausted,
                          "{} has {} tokens, as many as there may be; revoke some",
                          token_file_path(directory), kTokensMax);
    }
    return replace_token_file(directory, locked.get(), encode_tokens(tokens));
}

}  // namespace stepdb
