// What an expression yields for one row: a number, a time, a text, or that there is nothing.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "engine/model/attribute.h"

namespace stepdb {

struct Value {
    // In the order in which `sort` has values of different kinds.
    enum class Kind : uint8_t {
        kMissing,
        kNull,     // an attribute that is known to be nothing
        kBool,     // `integer` is 0 or 1
        kInteger,  // `integer`
        kNumber,   // `number`
        kTime,     // `integer`, microseconds since the Unix epoch
        kText,     // `text`
        kTexts,    // `texts`
    };

    Value() = default;
    static Value of_bool(bool value) { return of(Kind::kBool, value ? 1 : 0); }
    static Value of_integer(int64_t value) { return of(Kind::kInteger, value); }
    static Value of_number(double value);
    static Value of_time(int64_t time_us) { return of(Kind::kTime, time_us); }
    static Value of_text(std::string text);
    // A set stays the attribute's own, which outlives the value.
    static Value of_attribute(const AttributeValue& attribute);

    bool is_there() const { return kind != Kind::kMissing && kind != Kind::kNull; }
    bool is_numeric() const { return kind == Kind::kInteger || kind == Kind::kNumber; }
    bool is_true() const { return kind == Kind::kBool && integer != 0; }
    bool is_nan() const { return kind == Kind::kNumber && number != number; }
    // Of a numeric one; integers beyond 2^53 are rounded.
    double as_double() const {
        return kind == Kind::kInteger ? static_cast<double>(integer) : number;
    }
    // As `stepdb set` takes it; numbers so that they read back bit for bit.
    std::string to_text() const;

    size_t memory_bytes() const { return sizeof(Value) + text.capacity(); }

    Kind kind = Kind::kMissing;
    int64_t integer = 0;
    double number = 0;
    std::string text;
    const StringSet* texts = nullptr;

  private:
    static Value of(Kind kind, int64_t integer);
};

// Exact, integers beyond 2^53 included; texts in natural order. Unordered if one of them is missing
// or NaN, or if they are not of one kind (integers and numbers are).
std::partial_ordering order_values(const Value& a, const Value& b);

// For `sort`: what is there in order, then NaN, then null, then missing; `descending` turns only
// what is there. True if `a` stands before `b`.
bool sorts_before(const Value& a, const Value& b, bool descending);

// A value as it was written, which can be read as several kinds: 2026-03-01 is a time beside a time
// and a text beside a text.
struct LiteralValue {
    Value text;
    Value number;   // or missing, like what follows
    Value boolean;  // true, false
    Value time;
    Value null;

    const Value& beside(const Value& other) const;
};

// `now_us` is what `now` stands for. A quoted literal is only a text.
LiteralValue read_literal(std::string_view text, bool quoted, int64_t now_us);

}  // namespace stepdb
