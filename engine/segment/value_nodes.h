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
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/coding.h"
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

    static constexpr size_t kPlaceBytes = 2;  // of least and largest

    static constexpr size_t word_bytes(bool float64) {
        return float64 ? sizeof(double) : sizeof(float);
    }
    static constexpr size_t node_bytes(bool float64) {
        return 2 * word_bytes(float64) + kPlaceBytes + sizeof(double);
    }
    size_t length(size_t vector) const {
        return std::min(kPackedValuesMax, count_ - vector * kPackedValuesMax);
    }
    Status read_not_finite(ByteReader& reader);
    void add_not_finite(size_t vector, ValueNode& node) const;

    Bytes fixed_;
    bool float64_;
    size_t count_;
    std::vector<NotFinite> not_finite_;  // by vector; mostly empty
};

// Inline, since of a long series there are thousands in a chart.
inline std::optional<ValueNode> ValueNodes::node(size_t vector) const {
    const std::byte* at = fixed_.data() + vector * node_bytes(float64_);
    ValueNode node;
    node.count = static_cast<uint32_t>(length(vector));
    if (float64_) {
        node.min = std::bit_cast<double>(load_le<uint64_t>(at));
        node.max = std::bit_cast<double>(load_le<uint64_t>(at + sizeof(double)));
    } else {
        // What is a NaN, and changed by that, does not count below.
        node.min = std::bit_cast<float>(load_le<uint32_t>(at));
        node.max = std::bit_cast<float>(load_le<uint32_t>(at + sizeof(float)));
    }
    at += 2 * word_bytes(float64_);
    node.min_at = static_cast<uint32_t>(at[0]);
    node.max_at = static_cast<uint32_t>(at[1]);
    at += kPlaceBytes;
    node.sum = std::bit_cast<double>(load_le<uint64_t>(at));
    if (!not_finite_.empty()) {
        add_not_finite(vector, node);
    }
    // Of bytes whose checksum is right, what is not so is a sum beyond float64.
    const size_t values = length(vector);
    const bool is_plain = std::isfinite(node.sum) && std::isfinite(node.min) &&
                          std::isfinite(node.max) && node.min_at < values && node.max_at < values;
    return is_plain ? std::optional(node) : std::nullopt;
}

}  // namespace stepdb
