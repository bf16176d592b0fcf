// The values of one row, as the caller has them.
#pragma once

#include <concepts>
#include <cstdint>
#include <ranges>
#include <span>

#include "engine/base/bytes.h"

namespace stepdb::client {

// How values are kept and sent. Doubles all of whose bits a float32 holds travel as such anyway.
enum class ValueType : uint8_t { kFloat32, kFloat64 };

inline constexpr size_t value_bytes(ValueType type) {
    return type == ValueType::kFloat32 ? sizeof(float) : sizeof(double);
}

// A view: one value for each metric of the schema, in its order. NaN and infinities are values like
// others, kept bit for bit. What is absent is said by `present`: bit c % 8 of byte c / 8 is set if
// the row has metric c; empty if it has all. Absent places of `values` are not looked at.
class Values {
  public:
    // Implicit on purpose: log(step, losses) reads well for a span, a vector, an array, one number.
    // NOLINTBEGIN(google-explicit-constructor)
    Values(const float& one) : Values(std::span(&one, 1)) {}
    Values(const double& one) : Values(std::span(&one, 1)) {}
    Values(std::span<const float> values, Bytes present = {})
        : bytes_(std::as_bytes(values)), type_(ValueType::kFloat32), present_(present) {}
    Values(std::span<const double> values, Bytes present = {})
        : bytes_(std::as_bytes(values)), type_(ValueType::kFloat64), present_(present) {}
    template <std::ranges::contiguous_range Range>
    requires std::same_as < std::ranges::range_value_t<Range>,
    float > || std::same_as<std::ranges::range_value_t<Range>, double> Values(const Range& values,
                                                                              Bytes present = {})
        : Values(std::span<const std::ranges::range_value_t<Range>>(values), present) {}
    // NOLINTEND(google-explicit-constructor)

    Bytes bytes() const { return bytes_; }
    ValueType type() const { return type_; }
    size_t size() const { return bytes_.size() / value_bytes(type_); }
    Bytes present() const { return present_; }

  private:
    Bytes bytes_;
    ValueType type_;
    Bytes present_;
};

}  // namespace stepdb::client
