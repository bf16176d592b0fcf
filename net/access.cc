#include "net/access.h"

#include <fmt/format.h>

namespace stepdb {

Status take_query(const Admission& admission, RateLimit::Time now) {
    if (admission.rates == nullptr) {
        return {};
    }
    RateLimit& queries = admission.rates->queries;
    if (queries.try_take(1, now)) {
        return {};
    }
    const std::chrono::duration<double> wait = queries.wait(1, now);
    return make_error(
        ErrorCode::kResourceExhausted,
        "token '{}' may ask {:g} queries a second, and has; ask again in {:.3f} s, or "
        "make a token with more --queries-per-second",
        admission.token, queries.per_second(), wait.count());
}

}  // namespace stepdb
