#include "query/parameters.h"

#include <algorithm>

#include "engine/base/text.h"

namespace stepdb {

namespace {

// Names told in an error.
constexpr size_t kNamesTold = 10;

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_name(std::string_view name) {
    return !name.empty() && is_letter(name.front()) &&
           std::ranges::all_of(name, [](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

std::string list_names(const std::vector<std::string>& names) {
    const size_t told = std::min(names.size(), kNamesTold);
    std::string list;
    for (size_t i = 0; i < told; ++i) {
        list += fmt::format("{}${}", i == 0 ? "" : ", ", printable(names[i], 80));
    }
    return told < names.size() ? fmt::format("{} and {} more", list, names.size() - told) : list;
}

}  // namespace

Status QueryParameters::add(std::string_view name, std::string_view value) {
    if (!is_name(name)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "'{}' is no name of a parameter: a letter or _, then letters, digits "
                          "and _, without the $",
                          printable(name, 80));
    }
    if (!is_valid_utf8(value)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "the value of parameter ${} is not valid UTF-8: '{}'",
                          printable(name, 80), printable(value, 80));
    }
    if (const std::string* other = find(name)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "parameter ${} is given twice: '{}' and '{}'", printable(name, 80),
                          printable(*other, 80), printable(value, 80));
    }
    if (values_.size() >= kQueryParametersMax ||
        name.size() + value.size() > kQueryParameterBytesMax - bytes_) {
        return make_error(ErrorCode::kInvalidArgument,
                          "parameter ${} is too much: at most {} parameters of {} bytes in all are "
                          "allowed, names and values",
                          printable(name, 80), kQueryParametersMax, kQueryParameterBytesMax);
    }
    bytes_ += name.size() + value.size();
    values_.emplace(name, value);
    return {};
}

std::vector<std::string> QueryParameters::names() const {
    std::vector<std::string> names;
    names.reserve(values_.size());
    for (const auto& [name, value] : values_) {
        names.push_back(name);
    }
    return names;
}

std::optional<std::string_view> parameter_name(std::string_view word) {
    const bool is_one = word.starts_with('$') && is_name(word.substr(1));
    return is_one ? std::optional(word.substr(1)) : std::nullopt;
}

Result<std::string> ParameterReader::read(std::string_view name, SourceSpan span) {
    const std::string* value = given_.find(name);
    if (value == nullptr) {
        const std::vector<std::string> names = given_.names();
        const auto nearest = nearest_spelling(name, names);
        const std::string hint =
            nearest         ? fmt::format("; did you mean '${}'?", *nearest)
            : names.empty() ? "; no parameter is, and a name that begins so stands in quotes"
                            : fmt::format("; what is: {}", list_names(names));
        return query_error(text_, span,
                           fmt::format("parameter ${} is not given{}", printable(name, 80), hint));
    }
    if (std::ranges::find(read_, name) == read_.end()) {
        read_.emplace_back(name);
    }
    return *value;
}

Status ParameterReader::check_all_read() const {
    std::vector<std::string> unread = given_.names();
    std::erase_if(unread, [&](const std::string& name) {
        return std::ranges::find(read_, name) != read_.end();
    });
    if (unread.empty()) {
        return {};
    }
    const auto nearest = nearest_spelling(unread.front(), read_);
    return make_error(ErrorCode::kInvalidArgument,
                      "the query does not use what is given beside it: {}{}", list_names(unread),
                      nearest         ? fmt::format("; it uses ${}", *nearest)
                      : read_.empty() ? "; a parameter stands in it as a word of its own, as in "
                                        "where config/lr = $lr"
                                      : "");
}

}  // namespace stepdb
