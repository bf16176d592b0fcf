#include "net/query_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "engine/base/json_scanner.h"
#include "engine/base/text.h"
#include "engine/model/limits.h"

namespace stepdb {

namespace {

constexpr std::string_view kParameterPath = "parameters/";

Error unknown_member(std::string_view name, std::string_view known) {
    return make_error(ErrorCode::kInvalidArgument, "'{}' is no member of the request; there {}",
                      printable(name), known);
}

// Texts stand for themselves, numbers and booleans for what was written.
Result<std::string> text_of(const JsonLeaf& leaf) {
    if (leaf.kind == JsonKind::kNull || leaf.kind == JsonKind::kArray) {
        return make_error(ErrorCode::kInvalidArgument, "{}: a text is wanted, not {}",
                          printable(leaf.path), leaf.kind == JsonKind::kNull ? "null" : "an array");
    }
    return std::string(leaf.text);
}

Status check_query_text(const QueryText& query) {
    if (query.text.empty()) {
        return invalid_argument("there is no query; write it as \"query\": \"loss @ project/run\"");
    }
    if (query.text.size() > kQueryTextBytesMax) {
        return make_error(ErrorCode::kInvalidArgument, "the query has {} bytes, {} are allowed",
                          query.text.size(), kQueryTextBytesMax);
    }
    if (!is_valid_utf8(query.text)) {
        return invalid_argument("the query is no UTF-8");
    }
    return {};
}

// Whether the member is one of a query; if so it was taken.
Result<bool> take_query_member(const JsonLeaf& leaf, QueryText& query) {
    if (leaf.path == "query") {
        TRY_ASSIGN(query.text, text_of(leaf));
        return true;
    }
    if (leaf.path.starts_with(kParameterPath)) {
        TRY_ASSIGN(const std::string value, text_of(leaf));
        TRY(query.parameters.add(leaf.path.substr(kParameterPath.size()), value));
        return true;
    }
    return false;
}

Status read_format(std::string_view name, AnswerFormat& format) {
    const std::optional<AnswerFormat> known = parse_answer_format(name);
    if (!known) {
        return make_error(ErrorCode::kInvalidArgument,
                          "format '{}' is none of json, csv and columns", printable(name));
    }
    format = *known;
    return {};
}

// Numbers that JavaScript holds exactly.
Result<uint64_t> read_watch_id(const JsonLeaf& leaf) {
    constexpr uint64_t kIdMax = (uint64_t{1} << 53) - 1;
    uint64_t id = 0;
    const std::string_view text = leaf.text;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (leaf.kind != JsonKind::kNumber || status != std::errc() ||
        end != text.data() + text.size() || id > kIdMax) {
        return make_error(ErrorCode::kInvalidArgument, "\"id\": an integer from 0 to {} is wanted",
                          kIdMax);
    }
    return id;
}

Result<QueryText> read_query_object(std::string_view text) {
    QueryText query;
    TRY(scan_json_object(text, [&](const JsonLeaf& leaf) -> Status {
        TRY_ASSIGN(const bool is_taken, take_query_member(leaf, query));
        return is_taken ? Status() : unknown_member(leaf.path, "are \"query\" and \"parameters\"");
    }));
    TRY(check_query_text(query));
    return query;
}

}  // namespace

Result<QueryRequest> read_query_json(std::string_view body) {
    QueryRequest request;
    TRY(scan_json_object(body, [&](const JsonLeaf& leaf) -> Status {
        if (leaf.path == "format") {
            TRY_ASSIGN(const std::string name, text_of(leaf));
            return read_format(name, request.format);
        }
        TRY_ASSIGN(const bool is_taken, take_query_member(leaf, request.query));
        return is_taken ? Status()
                        : unknown_member(leaf.path, "are \"query\", \"parameters\" and \"format\"");
    }));
    TRY(check_query_text(request.query));
    return request;
}

Result<QueryRequest> read_query_target(std::string_view query) {
    QueryRequest request;
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(pair.size() + 1, query.size()));
        const size_t sign = std::min(pair.find('='), pair.size());
        const auto name = decode_percent(pair.substr(0, sign));
        const auto value = decode_percent(pair.substr(std::min(sign + 1, pair.size())));
        if (!name || !value) {
            return make_error(ErrorCode::kInvalidArgument,
                              "'{}' has a % without two hex digits behind it; write %25 for it",
                              printable(pair));
        }
        if (*name == "query") {
            request.query.text = *value;
        } else if (*name == "format") {
            TRY(read_format(*value, request.format));
        } else if (name->starts_with("p.")) {
            TRY(request.query.parameters.add(std::string_view(*name).substr(2), *value));
        } else if (!name->empty()) {
            return unknown_member(*name, "are query=, p.NAME= and format=");
        }
    }
    TRY(check_query_text(request.query));
    return request;
}

Result<std::vector<QueryText>> read_queries_json(std::string_view body) {
    std::vector<QueryText> queries;
    bool has_queries = false;
    const auto read_all = [&](std::string_view array) {
        return scan_json_elements(array, [&](std::string_view element) -> Status {
            if (queries.size() == kHttpQueriesMax) {
                return make_error(ErrorCode::kInvalidArgument,
                                  "at most {} queries are taken in one request", kHttpQueriesMax);
            }
            Result<QueryText> query = read_query_object(element);
            if (!query) {
                return query.error().within(fmt::format("queries[{}]", queries.size()));
            }
            queries.push_back(*std::move(query));
            return {};
        });
    };
    TRY(scan_json_object(body, [&](const JsonLeaf& leaf) -> Status {
        if (leaf.path != "queries" || leaf.kind != JsonKind::kArray || has_queries) {
            return unknown_member(leaf.path, "is \"queries\": [...], once");
        }
        has_queries = true;
        return read_all(leaf.text);
    }));
    if (queries.empty()) {
        return invalid_argument("there are no queries; write \"queries\": [{\"query\": \"...\"}]");
    }
    return queries;
}

Result<WatchRequest> read_watch_json(std::string_view text) {
    WatchRequest request;
    QueryText query;
    bool has_query = false;
    TRY(scan_json_object(text, [&](const JsonLeaf& leaf) -> Status {
        if (leaf.path == "id") {
            TRY_ASSIGN(request.id, read_watch_id(leaf));
            return {};
        }
        if (leaf.path == "token") {
            TRY_ASSIGN(request.token, text_of(leaf));
            return {};
        }
        if (leaf.path == "cancel" && leaf.kind == JsonKind::kBool) {
            request.is_cancel = leaf.number != 0;
            return {};
        }
        TRY_ASSIGN(const bool is_taken, take_query_member(leaf, query));
        has_query = has_query || is_taken;
        return is_taken ? Status()
                        : unknown_member(leaf.path,
                                         "are \"id\", \"query\", \"parameters\", \"cancel\": "
                                         "true and \"token\"");
    }));
    if (has_query == request.is_cancel && (has_query || !request.token)) {
        return invalid_argument("a message takes a \"query\" or \"cancel\": true");
    }
    if ((has_query || request.is_cancel) && !request.id) {
        return invalid_argument("a message takes an \"id\", which its answers carry");
    }
    if (has_query) {
        TRY(check_query_text(query));
        request.query = std::move(query);
    }
    return request;
}

std::optional<std::string> decode_percent(std::string_view text) {
    const auto digit = [](char c) -> int {
        const char low = static_cast<char>(c | 0x20);
        if (c >= '0' && c <= '9') {
            return c - '0';
        }
        return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
    };
    std::string plain;
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            plain += text[at] == '+' ? ' ' : text[at];
            continue;
        }
        if (text.size() - at < 3 || digit(text[at + 1]) < 0 || digit(text[at + 2]) < 0) {
            return std::nullopt;
        }
        plain += static_cast<char>(digit(text[at + 1]) * 16 + digit(text[at + 2]));
        at += 2;
    }
    return plain;
}

}  // namespace stepdb
