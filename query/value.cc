#include "query/value.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/base/civil_time.h"
#include "engine/base/float_bits.h"
#include "engine/base/text.h"
#include "query/literals.h"

namespace stepdb {

namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;

std::partial_ordering order_exactly(int64_t a, double b) {
    if (std::isnan(b)) {
        return std::partial_ordering::unordered;
    }
    if (b >= kTwoTo63) {
        return std::partial_ordering::less;
    }
    if (b < -kTwoTo63) {
        return std::partial_ordering::greater;
    }
    const double whole = std::trunc(b);
    const auto integer = static_cast<int64_t>(whole);
    return a != integer ? std::partial_ordering(a <=> integer) : 0.0 <=> b - whole;
}

// Of the two the other way round.
std::partial_ordering turn(std::partial_ordering order) {
    if (std::is_lt(order)) {
        return std::partial_ordering::greater;
    }
    return std::is_gt(order) ? std::partial_ordering::less : order;
}

std::partial_ordering order_numbers(const Value& a, const Value& b) {
    const bool a_integer = a.kind == Value::Kind::kInteger;
    const bool b_integer = b.kind == Value::Kind::kInteger;
    if (a_integer && b_integer) {
        return a.integer <=> b.integer;
    }
    if (a_integer) {
        return order_exactly(a.integer, b.number);
    }
    return b_integer ? turn(order_exactly(b.integer, a.number)) : a.number <=> b.number;
}

std::partial_ordering order_texts(const std::string& a, const std::string& b) {
    if (a == b) {
        return std::partial_ordering::equivalent;
    }
    return natural_less(a, b) ? std::partial_ordering::less : std::partial_ordering::greater;
}

std::string join(const StringSet& members) {
    std::string text;
    for (const std::string& member : members) {
        text += (text.empty() ? "" : ", ") + member;
    }
    return text;
}

// What is there, NaN, null, missing.
int sort_class(const Value& value) {
    if (value.kind == Value::Kind::kMissing) {
        return 3;
    }
    if (value.kind == Value::Kind::kNull) {
        return 2;
    }
    return value.is_nan() ? 1 : 0;
}

Value::Kind kind_for_sort(const Value& value) {
    return value.is_numeric() ? Value::Kind::kNumber : value.kind;
}

// A whole number as an int64, where float64 could not hold it.
bool read_integer(std::string_view text, int64_t& integer) {
    const size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
    if (text.size() == sign || text.size() > 19 + sign) {
        return false;
    }
    uint64_t digits = 0;
    for (const char c : text.substr(sign)) {
        if (c < '0' || c > '9') {
            return false;
        }
        digits = digits * 10 + static_cast<uint64_t>(c - '0');
    }
    if (digits > static_cast<uint64_t>(INT64_MAX)) {
        return false;
    }
    integer = text.starts_with('-') ? -static_cast<int64_t>(digits) : static_cast<int64_t>(digits);
    return true;
}

Value read_number(std::string_view text) {
    int64_t integer = 0;
    if (read_integer(text, integer)) {
        return Value::of_integer(integer);
    }
    const Result<double> number = parse_number(text);
    return number ? Value::of_number(*number) : Value();
}

// A moment, or `now` with an offset.
Value read_time(std::string_view text, int64_t now_us) {
    if (!text.starts_with("now")) {
        const Result<int64_t> moment = parse_moment(text);
        return moment ? Value::of_time(*moment) : Value();
    }
    const std::string_view offset = text.substr(3);
    if (offset.empty()) {
        return Value::of_time(now_us);
    }
    const Result<int64_t> duration = parse_duration(offset.substr(1));
    int64_t time = 0;
    if (!duration || (offset.front() != '+' && offset.front() != '-') ||
        __builtin_add_overflow(now_us, offset.front() == '-' ? -*duration : *duration, &time)) {
        return {};
    }
    return Value::of_time(time);
}

}  // namespace

Value Value::of(Kind kind, int64_t integer) {
    Value value;
    value.kind = kind;
    value.integer = integer;
    return value;
}

Value Value::of_number(double number) {
    Value value;
    value.kind = Kind::kNumber;
    value.number = number;
    return value;
}

Value Value::of_text(std::string text) {
    Value value;
    value.kind = Kind::kText;
    value.text = std::move(text);
    return value;
}

Value Value::of_attribute(const AttributeValue& attribute) {
    Value value;
    switch (attribute_type(attribute)) {
        case AttributeType::kNull:
            value.kind = Kind::kNull;
            break;
        case AttributeType::kBool:
            return of_bool(std::get<bool>(attribute));
        case AttributeType::kInt64:
            return of_integer(std::get<int64_t>(attribute));
        case AttributeType::kFloat64:
            return of_number(std::get<double>(attribute));
        case AttributeType::kString:
            return of_text(std::get<std::string>(attribute));
        case AttributeType::kDatetime:
            return of_time(std::get<Datetime>(attribute).us);
        case AttributeType::kStringSet:
            value.kind = Kind::kTexts;
            value.texts = &std::get<StringSet>(attribute);
            break;
    }
    return value;
}

std::string Value::to_text() const {
    switch (kind) {
        case Kind::kMissing:
            return {};
        case Kind::kNull:
            return "null";
        case Kind::kBool:
            return integer != 0 ? "true" : "false";
        case Kind::kInteger:
            return std::to_string(integer);
        case Kind::kNumber:
            return format_value(number);
        case Kind::kTime:
            return format_time(integer);
        case Kind::kText:
            return text;
        case Kind::kTexts:
            return join(*texts);
    }
    return {};
}

std::partial_ordering order_values(const Value& a, const Value& b) {
    if (a.is_numeric() && b.is_numeric()) {
        return order_numbers(a, b);
    }
    if (a.kind != b.kind) {
        return std::partial_ordering::unordered;
    }
    switch (a.kind) {
        case Value::Kind::kMissing:
            return std::partial_ordering::unordered;
        case Value::Kind::kText:
            return order_texts(a.text, b.text);
        case Value::Kind::kTexts:
            return *a.texts == *b.texts ? std::partial_ordering::equivalent
                                        : order_texts(join(*a.texts), join(*b.texts));
        default:
            return a.integer <=> b.integer;
    }
}

bool sorts_before(const Value& a, const Value& b, bool descending) {
    const int a_class = sort_class(a);
    const int b_class = sort_class(b);
    if (a_class != b_class) {
        return a_class < b_class;
    }
    if (a_class != 0) {
        return false;
    }
    const Value& first = descending ? b : a;
    const Value& second = descending ? a : b;
    const Value::Kind first_kind = kind_for_sort(first);
    const Value::Kind second_kind = kind_for_sort(second);
    return first_kind != second_kind ? first_kind < second_kind
                                     : std::is_lt(order_values(first, second));
}

const Value& LiteralValue::beside(const Value& other) const {
    switch (other.kind) {
        case Value::Kind::kBool:
            return boolean;
        case Value::Kind::kInteger:
        case Value::Kind::kNumber:
            return number;
        case Value::Kind::kTime:
            return time;
        case Value::Kind::kNull:
            return null;
        default:
            return text;
    }
}

LiteralValue read_literal(std::string_view text, bool quoted, int64_t now_us) {
    LiteralValue literal;
    literal.text = Value::of_text(std::string(text));
    if (quoted) {
        return literal;
    }
    literal.number = read_number(text);
    literal.time = read_time(text, now_us);
    if (text == "true" || text == "false") {
        literal.boolean = Value::of_bool(text == "true");
    }
    if (text == "null") {
        literal.null.kind = Value::Kind::kNull;
    }
    return literal;
}

}  // namespace stepdb
