#include "net/http.h"

#include "engine/base/text.h"

namespace stepdb {

HttpResponse describe_http_error(const Error& error) {
    const auto status_of = [](ErrorCode code) -> unsigned {
        switch (code) {
            case ErrorCode::kInvalidArgument:
            case ErrorCode::kFailedPrecondition:
                return 400;
            case ErrorCode::kPermissionDenied:
                return 403;
            case ErrorCode::kNotFound:
                return 404;
            case ErrorCode::kAlreadyExists:
                return 409;
            case ErrorCode::kResourceExhausted:
                return 429;
            case ErrorCode::kUnavailable:
            case ErrorCode::kCancelled:
                return 503;
            case ErrorCode::kCorruption:
            case ErrorCode::kIoError:
            case ErrorCode::kUnsupportedVersion:
                return 500;
        }
        return 500;
    };
    return {status_of(error.code()), error.message() + "\n"};
}

void HttpRoutes::add(std::string method, std::string path, HttpHandler handler) {
    if (method == "GET") {
        handlers_[path].insert_or_assign("HEAD", handler);
    }
    handlers_[std::move(path)].insert_or_assign(std::move(method), std::move(handler));
}

void HttpRoutes::handle(const HttpRequest& request, HttpAnswer answer) const {
    const auto at = handlers_.find(request.path);
    if (at == handlers_.end()) {
        std::string known;
        for (const auto& [path, methods] : handlers_) {
            known += known.empty() ? path : ", " + path;
        }
        return answer(HttpResponse(404, "there is no " + printable(request.path) +
                                            " here; what there is: " + known + "\n"));
    }
    const auto handler = at->second.find(request.method);
    if (handler != at->second.end()) {
        return handler->second(request, std::move(answer));
    }
    std::string allowed;
    for (const auto& [method, unused] : at->second) {
        allowed += allowed.empty() ? method : ", " + method;
    }
    HttpResponse response(405, at->first + " takes " + allowed + " alone\n");
    response.fields.emplace_back("Allow", allowed);
    answer(std::move(response));
}

}  // namespace stepdb
