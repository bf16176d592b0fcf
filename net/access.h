// Who may use a server, as a session asks it. The one in the program is tools/token_access.h.
// Everything here happens on the net thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/model/rights.h"
#include "net/rate_limit.h"

namespace stepdb {

// What a connection was let in as. Copies share its seat.
struct Admission {
    Admission() = default;

    std::string token;                     // its name, for people; "" if none was asked for
    std::shared_ptr<const Rights> rights;  // null: everything
    std::shared_ptr<const void> seat;      // counts the connection for as long as it is held
    std::shared_ptr<TokenRates> rates;     // of all that were let in by the same token; null: any
    uint64_t serial = 0;                   // Access's own: which token it was
};

class Access {
  public:
    virtual ~Access() = default;
    // False while everybody may do everything.
    virtual bool asks_for_tokens() const = 0;
    // `secret`: what hello brought, "" if nothing. kPermissionDenied if it opens nothing, which
    // does not say why beyond what its holder may know; kResourceExhausted if its token has as many
    // connections as it may have. Never names the secret.
    virtual Result<Admission> admit(std::string_view secret) = 0;
    // Whether what was admitted may stay: kPermissionDenied saying why if not.
    virtual Status check(const Admission& admission) const = 0;
    // Called now and then, before check() is asked for every connection.
    virtual void look() = 0;
};

// Takes one query off what the holder of its token may ask in a second; kResourceExhausted if that
// is used up.
Status take_query(const Admission& admission, RateLimit::Time now);

}  // namespace stepdb
