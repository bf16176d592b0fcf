// One vector of up to kVectorValues integers, bit-packed: the common core of the integer and the
// value codec. docs/format.md, "Packed integers".
//
//   tag (kept by the caller; these bits)  bits 0-1 order of differences (0, 1, 2; 3 is the
//                                         caller's raw form), bit 2 patched
//   u8          width of a residual in bits
//   varint      order times: first value, first difference (zigzag)
//   varint      base (zigzag)
//   if patched  u8 count, u8 positions ascending, then a varint (zigzag) for each
//   bits        count - order residuals
//
// Residuals are the differences of that order, less base, modulo 2^bits of U, so nothing can
// overflow and every sequence comes back. A patched residual stands in the varints.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "engine/base/coding.h"
#include "engine/codec/kernels.h"

namespace stepdb {

inline constexpr size_t kPackedValuesMax = 256;  // = kVectorValues of limits.h; part of the format
inline constexpr uint8_t kOrderMask = 3;
inline constexpr uint8_t kRawOrder = 3;
inline constexpr uint8_t kPatchedBit = 1U << 2U;

// Room for what IntegerVectorPlan::write may need, and the value codec before it.
inline constexpr size_t kIntegerVectorBytesMax = 8192;

// How to pack a vector; U is uint32_t or uint64_t, taken as two's complement.
template <typename U>
class IntegerVectorPlan {
  public:
    // Looks at `count` values, 1 to kPackedValuesMax, and decides. They outlive the plan and lie
    // within `range`, both ends of which are there.
    IntegerVectorPlan(const U* values, size_t count, Extremes<U> range);
    IntegerVectorPlan(const IntegerVectorPlan&) = delete;
    IntegerVectorPlan& operator=(const IntegerVectorPlan&) = delete;

    // Never less than write() takes.
    size_t bytes_estimate() const { return bytes_estimate_; }
    uint8_t tag() const;
    // Writes the vector without its tag, and arbitrary bytes after it; returns its end. There is
    // room for kIntegerVectorBytesMax less what the codec put before.
    std::byte* write(std::byte* out) const;

  private:
    using S = std::make_signed_t<U>;

    // A range of residuals that are packed; the others are patched.
    struct Window {
        S low = 0;
        S high = 0;
        unsigned width = 0;
        size_t outside = 0;
        size_t bits = 0;  // of packed and patched residuals
    };

    void consider(unsigned order, const U* residuals, size_t count, Extremes<U> range);
    void trim(const U* residuals, size_t count, Window& window) const;
    bool is_noise(unsigned width) const;
    bool is_smooth(unsigned width, unsigned differences_width) const;
    bool differences_may_gain(unsigned width) const;

    const U* values_;
    size_t count_;
    size_t bytes_estimate_ = ~size_t{0};
    unsigned order_ = 0;
    Window window_;
    std::array<U, 2> first_{};
    // Of order 1 and 2.
    std::array<std::array<U, kKernelRoom>, 2> differences_;
};

// Reads what write() wrote and leaves the reader behind it. `out` has room for kKernelRoom. False
// if the bytes are malformed.
template <typename U>
bool read_integer_vector(ByteReader& reader, uint8_t tag, size_t count, U* out);

}  // namespace stepdb
