// The keys of a block without the rest of its axis, and without decoding them where they are a
// stride: what finding the rows of a range of keys takes.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/segment/block.h"

namespace stepdb {

class BlockKeys {
  public:
    // Of the axis of the block. kCorruption as decode_axis, of what is looked at.
    static Result<BlockKeys> read(const AxisParts& axis, const BlockInfo& info);

    uint32_t rows() const { return rows_; }
    // Ascending.
    Key operator[](uint32_t row) const {
        return keys_.empty() ? key_of_number(number_of(row)) : keys_[row];
    }
    // Whether none comes twice.
    bool has_distinct() const { return is_distinct_; }

    // The first row from `from` on whose key is not below `key`; rows() if there is none. Computed
    // where keys are a stride, else quick where it is near.
    uint32_t lower_bound(Key key, uint32_t from) const;

    // How many vectors were decoded.
    size_t vectors_decoded() const;
    size_t memory_bytes() const { return sizeof(*this) + keys_.capacity() * sizeof(Key); }

  private:
    BlockKeys() = default;

    uint32_t lower_bound_of_stride(Key key) const;
    uint32_t search(Key key, uint32_t from) const;
    int64_t number_of(uint32_t row) const { return first_ + int64_t{row} * stride_; }
    Key key_of_number(int64_t number) const {
        return is_whole_ ? key_of_step(static_cast<double>(number)) : number;
    }

    uint32_t rows_ = 0;
    bool is_distinct_ = true;
    std::vector<Key> keys_;  // empty: a stride, of whole steps or of the keys
    bool is_whole_ = false;
    int64_t first_ = 0;
    int64_t stride_ = 0;
};

}  // namespace stepdb
