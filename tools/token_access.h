// The server's side of a store's tokens: who may come in, and who may stay. It takes up what
// `stepdb token` changes without a restart: the file is looked at with every hello and now and
// then.
//
// Without the file everybody may do everything; from the moment there is one, until the process
// ends, everybody needs a token of it, also when the file is removed. A file that cannot be read
// leaves what was read last as it is, and is told of once.
//
// On one thread, the server's; open() may be called before on another.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/log_event.h"
#include "engine/io/executor.h"
#include "net/access.h"
#include "tools/token_file.h"

namespace stepdb {

class TokenAccess final : public Access {
  public:
    // `tell` hears what the operator wants to know. The clock outlives this.
    TokenAccess(std::string directory, const Clock& clock, TellEvent tell);

    // Reads the file for the first time: what is wrong with it is an error then.
    Status open();
    void set_connections_max(size_t connections) { connections_max_ = connections; }

    bool asks_for_tokens() const override { return needs_token_; }
    // That somebody can come in with.
    size_t usable_tokens() const;

    Result<Admission> admit(std::string_view secret) override;
    Status check(const Admission& admission) const override;
    void look() override;

  private:
    struct Entry {
        explicit Entry(AccessToken its_token) : token(std::move(its_token)) {}

        AccessToken token;
        std::shared_ptr<const Rights> rights;
        std::shared_ptr<size_t> connections;
        std::shared_ptr<TokenRates> rates;
    };

    void take(Tokens tokens);
    const Entry* find(std::string_view secret) const;

    const std::string directory_;
    const Clock& clock_;
    const TellEvent tell_;
    size_t connections_max_ = 0;  // of a token that names no number; 0: any
    bool needs_token_ = false;
    std::optional<TokenFileStamp> stamp_;   // of what was read or could not be
    std::map<std::string, Entry> entries_;  // by name
};

}  // namespace stepdb
