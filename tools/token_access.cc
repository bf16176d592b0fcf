#include "tools/token_access.h"

#include "engine/base/civil_time.h"
#include "engine/base/coding.h"

namespace stepdb {

namespace {

// Another token of the same name has another one.
uint64_t serial_of(const AccessToken& token) {
    return load_le<uint64_t>(token.hash.data());
}

std::shared_ptr<TokenRates> rates_of(const AccessToken& token) {
    if (token.rows_per_second == 0 && token.queries_per_second == 0) {
        return nullptr;
    }
    return std::make_shared<TokenRates>(static_cast<double>(token.rows_per_second),
                                        static_cast<double>(token.queries_per_second));
}

Error describe_expired(const AccessToken& token) {
    return make_error(ErrorCode::kPermissionDenied,
                      "token '{}' expired at {}; `stepdb token create` on the server's machine "
                      "makes another",
                      token.name, format_time(token.expires_us));
}

}  // namespace

TokenAccess::TokenAccess(std::string directory, const Clock& clock, TellEvent tell)
    : directory_(std::move(directory)), clock_(clock), tell_(std::move(tell)) {}

Status TokenAccess::open() {
    TRY_ASSIGN(std::optional<TokenFile> file, read_token_file(directory_));
    if (file) {
        stamp_ = file->stamp;
        take(std::move(file->tokens));
    }
    return {};
}

size_t TokenAccess::usable_tokens() const {
    const int64_t now = clock_.now_us();
    size_t usable = 0;
    for (const auto& [name, entry] : entries_) {
        usable += entry.token.has_expired(now) ? 0U : 1U;
    }
    return usable;
}

void TokenAccess::take(Tokens tokens) {
    needs_token_ = true;
    std::map<std::string, Entry> entries;
    for (AccessToken& token : tokens) {
        Entry entry(std::move(token));
        entry.rights = std::make_shared<const Rights>(entry.token.rights);
        const auto before = entries_.find(entry.token.name);
        const bool is_known =
            before != entries_.end() && serial_of(before->second.token) == serial_of(entry.token);
        entry.connections = is_known ? before->second.connections : std::make_shared<size_t>(0);
        entry.rates = is_known ? before->second.rates : rates_of(entry.token);
        std::string name = entry.token.name;
        entries.insert_or_assign(std::move(name), std::move(entry));
    }
    entries_ = std::move(entries);
}

void TokenAccess::look() {
    const std::optional<TokenFileStamp> stamp = look_at_token_file(directory_);
    if (stamp == stamp_) {
        return;
    }
    stamp_ = stamp;
    Result<std::optional<TokenFile>> file = read_token_file(directory_);
    if (!file) {
        needs_token_ = true;  // whoever put it there wants that
        LogEvent unread(LogLevel::kError, "tokens_unread",
                        "the tokens stay as they were read last");
        tell_(unread.text("error", file.error().message()));
        return;
    }
    if (!*file) {
        LogEvent gone(
            LogLevel::kError, "tokens_gone",
            "the file of tokens is gone, and with it every token; nobody is let in before "
            "`stepdb token create` makes one, or the server is started again");
        tell_(gone.text("file", token_file_path(directory_)));
        take(Tokens());
        return;
    }
    // What has replaced the file since is found the next time.
    stamp_ = (*file)->stamp;
    take(std::move((*file)->tokens));
    LogEvent taken(LogLevel::kInfo, "tokens_changed");
    tell_(taken.count("tokens", entries_.size()));
}

// All of them are compared, whichever it is.
const TokenAccess::Entry* TokenAccess::find(std::string_view secret) const {
    const Sha256 hash = hash_secret(secret);
    const Entry* found = nullptr;
    for (const auto& [name, entry] : entries_) {
        if (equal_secretly(entry.token.hash, hash)) {
            found = &entry;
        }
    }
    return found;
}

Result<Admission> TokenAccess::admit(std::string_view secret) {
    look();
    if (!needs_token_) {
        return Admission();
    }
    if (secret.empty()) {
        return Error(ErrorCode::kPermissionDenied,
                     "this server lets nobody in without a token; set STEPDB_TOKEN, or name a file "
                     "that holds one by --token-file (`stepdb token create` on the server's "
                     "machine makes one)");
    }
    const Entry* entry = find(secret);
    if (entry == nullptr) {
        return Error(ErrorCode::kPermissionDenied,
                     "the server does not know this token: it was revoked, or belongs to another "
                     "store (`stepdb token list` on the server's machine tells which there are)");
    }
    const AccessToken& token = entry->token;
    if (token.has_expired(clock_.now_us())) {
        return describe_expired(token);
    }
    const size_t most = token.connections_max != 0 ? token.connections_max : connections_max_;
    if (most != 0 && *entry->connections >= most) {
        return make_error(ErrorCode::kResourceExhausted,
                          "token '{}' has {} connections, as many as it may have at a time; close "
                          "some, or make a token with more --connections",
                          token.name, most);
    }
    Admission admission;
    admission.token = token.name;
    admission.rights = entry->rights;
    admission.rates = entry->rates;
    admission.serial = serial_of(token);
    ++*entry->connections;
    admission.seat = std::shared_ptr<const void>(
        nullptr, [counter = entry->connections](const void*) { --*counter; });
    return admission;
}

Status TokenAccess::check(const Admission& admission) const {
    if (!needs_token_) {
        return {};
    }
    if (admission.rights == nullptr) {
        return Error(ErrorCode::kPermissionDenied,
                     "the server asks for tokens from now on, and this connection has none; set "
                     "STEPDB_TOKEN or name a file by --token-file");
    }
    const auto at = entries_.find(admission.token);
    if (at == entries_.end() || serial_of(at->second.token) != admission.serial) {
        return make_error(ErrorCode::kPermissionDenied, "token '{}' was revoked; ask for another",
                          admission.token);
    }
    return at->second.token.has_expired(clock_.now_us())
               ? Status(describe_expired(at->second.token))
               : Status();
}

}  // namespace stepdb
