#include "net/http.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/json_text.h"
#include "engine/base/text.h"
#include "query/diagnostic.h"

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

std::string error_word(ErrorCode code) {
    std::string word(error_code_name(code));
    std::ranges::replace_if(
        word, [](char c) { return c == ' ' || c == '/'; }, '_');
    return word;
}

std::string api_error_text(const Error& error, std::string_view query) {
    std::string text = "{\"code\":";
    append_json_text(text, error_word(error.code()));
    text += ",\"message\":";
    append_json_text(text, error.message());
    if (const std::optional<SourceSpan> span = span_of_query_error(query, error.message())) {
        text += fmt::format(",\"begin\":{},\"end\":{}", span->offset, span->offset + span->bytes);
    }
    return text + "}";
}

HttpResponse describe_api_error(const Error& error, std::string_view query) {
    HttpResponse response(describe_http_error(error).status,
                          "{\"error\":" + api_error_text(error, query) + "}\n");
    response.type = kJsonType;
    return response;
}

HttpResponse as_api_error(HttpResponse response) {
    const auto word = [&]() -> std::string {
        switch (response.status) {
            case 401:
            case 403:
                return error_word(ErrorCode::kPermissionDenied);
            case 404:
                return error_word(ErrorCode::kNotFound);
            case 429:
                return error_word(ErrorCode::kResourceExhausted);
            case 503:
                return error_word(ErrorCode::kUnavailable);
            default:
                return error_word(ErrorCode::kInvalidArgument);
        }
    };
    std::string text = "{\"error\":{\"code\":";
    append_json_text(text, word());
    text += ",\"message\":";
    append_json_text(text, trim(response.body, "\n"));
    response.body = text + "}}\n";
    response.type = kJsonType;
    return response;
}

void HttpRoutes::add(std::string method, std::string path, HttpHandler handler) {
    HttpRoute route;
    route.handler = std::move(handler);
    add_route(std::move(method), std::move(path), std::move(route));
}

void HttpRoutes::add_worker(std::string method, std::string path, HttpWorker worker,
                            size_t body_bytes_max) {
    HttpRoute route;
    route.worker = std::move(worker);
    route.body_bytes_max = body_bytes_max;
    add_route(std::move(method), std::move(path), std::move(route));
}

void HttpRoutes::add_socket(std::string path, HttpSocketWorker worker) {
    HttpRoute route;
    route.socket = std::move(worker);
    routes_[std::move(path)].insert_or_assign("GET", std::move(route));
}

void HttpRoutes::add_route(std::string method, std::string path, HttpRoute route) {
    if (method == "GET") {
        routes_[path].insert_or_assign("HEAD", route);
    }
    routes_[std::move(path)].insert_or_assign(std::move(method), std::move(route));
}

const HttpRoute* HttpRoutes::find(std::string_view method, std::string_view path) const {
    const auto at = routes_.find(path);
    if (at == routes_.end()) {
        return nullptr;
    }
    const auto route = at->second.find(method);
    return route == at->second.end() ? nullptr : &route->second;
}

HttpResponse HttpRoutes::describe_missing(std::string_view path) const {
    const auto at = routes_.find(path);
    if (at == routes_.end()) {
        std::string known;
        for (const auto& [name, methods] : routes_) {
            if (!name.starts_with(kAssetsPath)) {
                known += known.empty() ? name : ", " + name;
            }
        }
        return {404, "there is no " + printable(path) + " here; what there is: " + known + "\n"};
    }
    std::string allowed;
    for (const auto& [method, unused] : at->second) {
        allowed += allowed.empty() ? method : ", " + method;
    }
    HttpResponse response(405, at->first + " takes " + allowed + " alone\n");
    response.fields.emplace_back("Allow", allowed);
    return response;
}

}  // namespace stepdb
