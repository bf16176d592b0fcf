// Tokens as a test says they are.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "net/access.h"

namespace stepdb {

class FakeAccess : public Access {
  public:
    // `secret` opens the server from now on; returns what it may do, for the test to grant.
    Rights& add(const std::string& secret) {
        auto rights = std::make_shared<Rights>("token '" + secret + "'");
        Rights& granted = *rights;
        rights_[secret] = std::move(rights);
        return granted;
    }
    // Whoever comes in by it from now on may do so much in a second; 0: anything.
    void limit(const std::string& secret, double rows, double queries) {
        rates_[secret] = std::make_shared<TokenRates>(rows, queries);
    }
    void revoke(const std::string& secret) { rights_.erase(secret); }

    bool asks_for_tokens() const override { return true; }
    Result<Admission> admit(std::string_view secret) override {
        const auto at = rights_.find(secret);
        if (at == rights_.end()) {
            return Error(ErrorCode::kPermissionDenied, "not a token of this test");
        }
        Admission admission;
        admission.token = secret;
        admission.rights = at->second;
        admission.seat = seats_;
        const auto rates = rates_.find(secret);
        admission.rates = rates == rates_.end() ? nullptr : rates->second;
        return admission;
    }
    Status check(const Admission& admission) const override {
        return rights_.contains(admission.token)
                   ? Status()
                   : Status(Error(ErrorCode::kPermissionDenied, "the token was revoked"));
    }
    void look() override { ++looks_; }

    // Connections that are in.
    long seats() const { return seats_.use_count() - 1; }
    int looks() const { return looks_; }

  private:
    std::map<std::string, std::shared_ptr<Rights>, std::less<>> rights_;
    std::map<std::string, std::shared_ptr<TokenRates>, std::less<>> rates_;
    std::shared_ptr<const void> seats_ = std::make_shared<int>(0);
    int looks_ = 0;
};

}  // namespace stepdb
