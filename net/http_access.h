// Tokens over HTTP: each request is let in by itself.
#pragma once

#include <optional>

#include "net/access.h"
#include "net/http.h"

namespace stepdb {

// Lets the holder of the request's token in, as `admission`; everybody if `access` is null. Else
// what to answer: 401 without a good token, 429 if it has as many connections as it may have.
std::optional<HttpResponse> admit_http(Access* access, const HttpRequest& request,
                                       Admission& admission);

}  // namespace stepdb
