#include "net/http_access.h"

namespace stepdb {

std::optional<HttpResponse> admit_http(Access* access, const HttpRequest& request,
                                       Admission& admission) {
    if (access == nullptr) {
        return std::nullopt;
    }
    Result<Admission> admitted = access->admit(request.token);
    if (admitted) {
        admission = *std::move(admitted);
        return std::nullopt;
    }
    HttpResponse response = describe_http_error(admitted.error());
    if (admitted.error().code() == ErrorCode::kPermissionDenied) {
        response.status = 401;
        response.fields.emplace_back("WWW-Authenticate", "Bearer realm=\"stepdb\"");
        response.body += "over HTTP a token comes as `Authorization: Bearer TOKEN`\n";
    }
    return response;
}

}  // namespace stepdb
