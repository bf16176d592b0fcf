// Sequences of int64: keys, times, sequences, lengths. docs/format.md, "Integer codec".
//
//   u8 form   0  stride: varint first, varint stride (zigzag); value i is first + i * stride
//                modulo 2^64
//             1  vectors of 256 values: u16 length of every vector but the last, then the vectors,
//                each a tag and either raw int64 (tag 3) or a packed vector (integer_vector.h)
//
// The count of values is not in the bytes; the reader knows it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/coding.h"
#include "engine/base/result.h"

namespace stepdb {

// Appends the encoding; no bytes for no values.
void encode_integers(std::span<const int64_t> values, std::vector<std::byte>& out);

// Decodes all of `encoded` into values.size() values; kCorruption if it does not hold exactly
// these.
Status decode_integers(Bytes encoded, std::span<int64_t> values);

// The same behind the length of their encoding, for sequences that lie one behind the other. Bytes
// that are too few are kCorruption with the message `when_short`; `count` is checked by the caller.
void append_sized_integers(std::span<const int64_t> values, std::vector<std::byte>& out);
Result<std::vector<int64_t>> read_sized_integers(ByteReader& reader, size_t count,
                                                 std::string_view when_short);

// Values first to first + values.size() - 1 of a sequence of `count`, decoding only the vectors
// they lie in.
Status decode_integer_range(Bytes encoded, size_t count, size_t first, std::span<int64_t> values);

// Value i is first + i * stride, modulo 2^64.
struct IntegerStride {
    int64_t first = 0;
    int64_t stride = 0;
};

// The stride as which a sequence is encoded, if it is: values that need no decoding. Bytes that are
// no sequence have none.
std::optional<IntegerStride> find_stride(Bytes encoded);

// Steps as ordered images of doubles (base/float_bits.h). Integer steps are encoded as the integers
// they are, which makes a stride of steps a stride; u8 1 tells them from others (u8 0), whose
// images are encoded. Then the integers as above.
void encode_steps(std::span<const int64_t> images, std::vector<std::byte>& out);
Status decode_steps(Bytes encoded, std::span<int64_t> images);

struct StepStride {
    IntegerStride values;
    bool is_whole = false;  // values are the integers that the steps are, else images
};
std::optional<StepStride> find_step_stride(Bytes encoded);

}  // namespace stepdb
