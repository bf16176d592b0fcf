// Values: any doubles, back bit for bit. docs/format.md, "Value codec".
//
// A sequence is float32 throughout if every value is one by its bits, else float64 throughout; a
// word below is 4 or 8 bytes accordingly. If all words are the same, the payload is that word
// without its low zero bytes (none for +0). Else the payload is vectors of 256 values: u16 length
// of every vector but the last, then the vectors:
//
//   u8 tag      bits 0-2 as in integer_vector.h; bit 3 decimal, bit 4 exceptions; others 0
//   raw (3):    the words
//   image:      u8 shift, then a packed vector (of word width) of the words' ordered images,
//   shifted
//               right by `shift`; bits below the shift are zero in every word
//   decimal:    u8 exponent e; if exceptions: u8 count, u8 positions ascending, their words; then a
//               packed vector (64 bits) of integers k: the value is k / 10^e, divided as doubles
//               and rounded to the word
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/codec/integer_vector.h"
#include "engine/codec/vector_table.h"

namespace stepdb {

// More than an encoded vector with its length takes: at worst all words, with tags and exceptions.
inline constexpr size_t kValueVectorBytesMax = 2560;

// What the payload of a sequence of values is; kept beside it by the caller.
struct ValueForm {
    bool float64 = false;
    bool constant = false;
};

// Room for the payload of `count` values and for what is written beyond its end.
constexpr size_t value_bytes_max(size_t count) {
    return (count + kPackedValuesMax - 1) / kPackedValuesMax * kValueVectorBytesMax +
           kIntegerVectorBytesMax;
}

// Writes the payload of 1 or more values to `to`, where there is room for value_bytes_max of them,
// and arbitrary bytes behind it; moves `to` to its end. Allocates nothing.
ValueForm encode_values(std::span<const double> values, std::byte*& to);

// The same bytes for values that are given as the bits of float32 values: what their widened
// doubles would get.
ValueForm encode_values(std::span<const uint32_t> words, std::byte*& to);

// Append the payload.
ValueForm encode_values(std::span<const double> values, std::vector<std::byte>& out);
ValueForm encode_values(std::span<const uint32_t> words, std::vector<std::byte>& out);

// Decodes all of `payload` into values.size() values; kCorruption if it does not hold exactly
// these.
Status decode_values(ValueForm form, Bytes payload, std::span<double> values);

// Room for a decoded vector of words, and for what is written beyond its end.
inline constexpr size_t kDecodedWordsRoom = kPackedValuesMax + 32;

// The vectors of a payload one by one, in any order; a view of it.
class ValueVectors {
  public:
    // Of `count` values, at least one; kCorruption if the payload has not as many vectors.
    static Result<ValueVectors> read(ValueForm form, Bytes payload, size_t count);

    // Vector i begins at value i * kPackedValuesMax; all but the last are as long.
    size_t length(size_t vector) const {
        return std::min(kPackedValuesMax, count_ - vector * kPackedValuesMax);
    }
    // The value that all are, if the payload says so.
    Result<std::optional<double>> constant() const;
    // `values` has its length; kCorruption if these are not the bytes of as many values.
    Status decode(size_t vector, std::span<double> values) const;
    // The same of values that are float32, as their bits. There is room for kDecodedWordsRoom in
    // `room`; what is behind the vector's length in it means nothing.
    bool is_float32() const { return !form_.float64; }
    Status decode_words(size_t vector, std::span<uint32_t> room) const;

    // Has the bytes of a vector fetched that will be decoded some hundred nanoseconds from now:
    // vectors that lie apart are not foreseen by the processor.
    void prefetch(size_t vector) const;

  private:
    ValueVectors(ValueForm form, Bytes payload, size_t count, std::optional<VectorTable> table)
        : form_(form), payload_(payload), count_(count), table_(table) {}

    ValueForm form_;
    Bytes payload_;
    size_t count_;
    std::optional<VectorTable> table_;  // unless it is a constant
};

// How many vectors of a payload take which form, for whoever looks at files; a constant has none.
struct ValueVectorForms {
    size_t raw = 0;
    size_t image = 0;
    size_t decimal = 0;
};
Result<ValueVectorForms> count_vector_forms(ValueForm form, Bytes payload, size_t count);

}  // namespace stepdb
