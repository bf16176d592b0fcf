// The downsampled index: of each vector of a chunk (kPackedValuesMax values, codec/value_codec.h) a
// node with what charts ask for, so that of a bucket only the vectors at its two ends are decoded.
// docs/format.md, "Chunk".
//
//   each vector   least and largest finite value, words of the chunk's values; u8 which of the
//                 vector's values each is, the earliest of equals; f64 sum of the finite ones.
//                 Zeros if none is; a sum beyond float64 is NaN
//   varint        count of vectors with values that are not finite, then each:
//                 varints: vector, less the one before; NaN, +Inf, -Inf among its values
//   u32           bytes of all this, these four not counted
//
// 18 bytes a vector of float32, 0.07 bytes a value. Nodes over fewer values cost more
// and gain nothing, since a vector is what is decoded; of coarser levels a chunk, which has some
// hundreds of nodes at most, needs none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/codec/integer_vector.h"
#include "engine/model/bucket.h"

namespace stepdb {

// Chunks with fewer values have no nodes: decoding them takes as long as looking at a node.
inline constexpr size_t kNodeValuesMin = kPackedValuesMax;

constexpr size_t node_count(size_t values) {
    return (values + kPackedValuesMax - 1) / kPackedValuesMax;
}

// Room for the nodes of `values` values.
constexpr size_t nodes_bytes_max(size_t values) {
    constexpr size_t kNodeBytesMax = 3 * sizeof(double) + 2;
    constexpr size_t kNotFiniteBytesMax = 3 + 3 * 2;
    return node_count(values) * (kNodeBytesMax + kNotFiniteBytesMax) + 16;
}

// Writes the nodes of these values and returns their end; there is room for nodes_bytes_max. Words
// are the bits of float32 values; doubles are float32 values too unless `float64`.
std::byte* write_nodes(std::span<const double> values, bool float64, std::byte* to);
std::byte* write_nodes(std::span<const uint32_t> words, std::byte* to);

// Nodes as they were written; a view.
class ValueNodes {
  public:
    // Takes the nodes of `count` values off the end of `bytes`. kCorruption if they are not there.
    static Result<ValueNodes> read(Bytes& bytes, bool float64, size_t count);

    // None if the values have to be looked at.
    std::optional<ValueNode> node(size_t vector) const;

    // Whether this is what these values give: the sum within the rounding of any order.
    bool agrees(std::span<const double> values) const;

  private:
    struct NotFinite {
        size_t vector = 0;
        uint32_t nan = 0;
        uint32_t positive_infinity = 0;
        uint32_t negative_infinity = 0;

        uint32_t values() const { return nan + positive_infinity + negative_infinity; }
    };

    ValueNodes(Bytes fixed, bool float64, size_t count)
        : fixed_(fixed), float64_(float64), count_(count) {}

    size_t length(size_t vector) const {
        return std::min(kPackedValuesMax, count_ - vector * kPackedValuesMax);
    }
    Status read_not_finite(ByteReader& reader);

    Bytes fixed_;
    bool float64_;
    size_t count_;
    std::vector<NotFinite> not_finite_;  // by vector; mostly empty
};

}  // namespace stepdb
