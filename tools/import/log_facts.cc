#include "tools/import/log_facts.h"

#include <charconv>

#include "engine/base/float_bits.h"
#include "engine/base/text.h"
#include "tools/import/time_text.h"

namespace stepdb {

namespace {

std::optional<int64_t> parse_integer(std::string_view text) {
    int64_t integer = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, integer);
    return code == std::errc() && stop == end ? std::optional<int64_t>(integer) : std::nullopt;
}

// An integer beyond int64: a float64 would lose its digits.
bool is_long_integer(std::string_view text) {
    return text.find_first_not_of("-0123456789") == std::string_view::npos;
}

// parse_time takes numbers too.
std::optional<int64_t> parse_date(std::string_view text) {
    return parse_value(text) ? std::nullopt : parse_time(text);
}

}  // namespace

void LogFacts::leave_out(std::string why) {
    if (left_out_++ == 0) {
        first_left_out_ = std::move(why);
    }
}

void LogFacts::set(std::string_view name, const AttributeValue& value) {
    AttributeChange change;
    change.name = name;
    change.value = value;
    const Status valid = check_attribute_change(change);
    if (!valid) {
        leave_out(valid.error().message());
        return;
    }
    Attributes one;
    one.emplace(name, value);
    const size_t bytes = attributes_bytes(one);
    if (bytes > kBytesMax - bytes_) {
        leave_out(fmt::format("attribute '{}': more than {} bytes of them", printable(name, 80),
                              kBytesMax));
        return;
    }
    bytes_ += bytes;
    attributes_.insert_or_assign(std::string(name), value);
}

void LogFacts::set_text(std::string_view name, std::string_view text) {
    AttributeValue value;
    value.emplace<std::string>(text);
    set(name, value);
}

void LogFacts::set_datetime(std::string_view name, int64_t us) {
    AttributeValue value;
    value.emplace<Datetime>(us);
    set(name, value);
}

void LogFacts::set_typed(std::string_view name, std::string_view text) {
    AttributeValue value;
    const std::optional<int64_t> integer = parse_integer(text);
    const std::optional<double> number = is_long_integer(text) ? std::nullopt : parse_value(text);
    const bool is_bool = text == "true" || text == "True" || text == "false" || text == "False";
    if (is_bool) {
        value.emplace<bool>(text == "true" || text == "True");
    } else if (integer) {
        value.emplace<int64_t>(*integer);
    } else if (number) {
        value.emplace<double>(*number);
    } else if (const std::optional<int64_t> time = parse_date(text)) {
        value.emplace<Datetime>(*time);
    } else if (text != "null" && text != "None") {
        value.emplace<std::string>(text);
    }
    set(name, value);
}

void LogFacts::set_leaf(std::string_view name, const JsonLeaf& leaf) {
    AttributeValue value;
    switch (leaf.kind) {
        case JsonKind::kArray:
            leave_out(fmt::format("attribute '{}': an array", printable(name, 80)));
            return;
        case JsonKind::kNull:
            break;
        case JsonKind::kBool:
            value.emplace<bool>(leaf.number != 0);
            break;
        case JsonKind::kString:
            value.emplace<std::string>(leaf.text);
            break;
        case JsonKind::kNumber:
            if (const std::optional<int64_t> integer = parse_integer(leaf.text)) {
                value.emplace<int64_t>(*integer);
            } else {
                value.emplace<double>(leaf.number);
            }
            break;
    }
    set(name, value);
}

void LogFacts::add_tag(std::string_view tag) {
    if (tag.empty() || !is_valid_utf8(tag) || tag.size() > kBytesMax - bytes_) {
        leave_out(fmt::format("tag '{}'", printable(tag, 80)));
        return;
    }
    bytes_ += tag.size();
    tags_.emplace(tag);
}

void LogFacts::merge(const LogFacts& later) {
    for (const auto& [name, value] : later.attributes_) {
        set(name, value);
    }
    for (const std::string& tag : later.tags_) {
        add_tag(tag);
    }
    if (!later.id_.empty()) {
        id_ = later.id_;
    }
    if (later.fork_) {
        fork_ = later.fork_;
    }
    if (later.state_) {
        state_ = later.state_;
    }
    if (left_out_ == 0) {
        first_left_out_ = later.first_left_out_;
    }
    left_out_ += later.left_out_;
}

Status send_facts(client::Run& run, const LogFacts& facts) {
    std::vector<AttributeChange> changes;
    for (const auto& [name, value] : facts.attributes()) {
        AttributeChange& change = changes.emplace_back();
        change.name = name;
        change.value = value;
    }
    if (!facts.tags().empty()) {
        AttributeChange& change = changes.emplace_back();
        change.kind = AttributeChange::Kind::kAddToSet;
        change.name = kTagsAttribute;
        change.value.emplace<StringSet>(facts.tags());
    }
    const Status sent = run.change_attributes(std::move(changes));
    return sent ? Status()
                : Status(sent.error().within("setting the attributes that the log has of its run"));
}

}  // namespace stepdb
