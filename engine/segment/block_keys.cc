#include "engine/segment/block_keys.h"

#include <algorithm>

#include "engine/codec/integer_codec.h"
#include "engine/codec/integer_vector.h"

namespace stepdb {

namespace {

constexpr int64_t kWholeStepMax = int64_t{1} << 53U;

// Whether all `rows` values rise and stay below `limit`, so that they can be computed plainly.
bool rises(const IntegerStride& values, uint32_t rows, int64_t limit) {
    if (rows == 1) {
        return true;
    }
    const uint64_t room = static_cast<uint64_t>(limit) - static_cast<uint64_t>(values.first);
    return values.first <= limit && values.stride > 0 &&
           static_cast<uint64_t>(values.stride) <= room / (rows - 1);
}

}  // namespace

Result<BlockKeys> BlockKeys::read(const AxisParts& axis, const BlockInfo& info) {
    BlockKeys keys;
    keys.rows_ = info.rows;
    std::optional<StepStride> stride;
    if (info.axis == Axis::kStepped) {
        stride = find_step_stride(axis.keys);
    } else if (const auto times = find_stride(axis.keys)) {
        stride = StepStride{*times, false};
    }
    const int64_t limit = stride && stride->is_whole ? kWholeStepMax : kKeyMax;
    if (stride && rises(stride->values, info.rows, limit) &&
        (!stride->is_whole || stride->values.first >= -kWholeStepMax)) {
        keys.is_whole_ = stride->is_whole;
        keys.first_ = stride->values.first;
        keys.stride_ = info.rows == 1 ? 0 : stride->values.stride;
    } else {
        keys.keys_.resize(info.rows);
        TRY(info.axis == Axis::kTimed ? decode_integers(axis.keys, keys.keys_)
                                      : decode_steps(axis.keys, keys.keys_));
        if (!std::ranges::is_sorted(keys.keys_)) {
            return corruption("keys of a block are out of order");
        }
        keys.is_distinct_ = std::ranges::adjacent_find(keys.keys_) == keys.keys_.end();
    }
    if (keys[0] != info.key_min || keys[info.rows - 1] != info.key_max) {
        return corruption(fmt::format("keys {}..{}; expected {}..{}", keys[0], keys[info.rows - 1],
                                      info.key_min, info.key_max));
    }
    return keys;
}

uint32_t BlockKeys::lower_bound(Key key, uint32_t from) const {
    return keys_.empty() ? std::max(from, lower_bound_of_stride(key)) : search(key, from);
}

// The row that the key's number would have is right, or one beside it.
uint32_t BlockKeys::lower_bound_of_stride(Key key) const {
    if (key <= (*this)[0]) {
        return 0;
    }
    if (key > (*this)[rows_ - 1]) {
        return rows_;
    }
    // Between two keys, so that neither difference leaves its type.
    uint32_t row = 0;
    if (is_whole_) {
        row = static_cast<uint32_t>((step_of_key(key) - static_cast<double>(first_)) /
                                    static_cast<double>(stride_));
    } else {
        row = static_cast<uint32_t>((static_cast<uint64_t>(key) - static_cast<uint64_t>(first_)) /
                                    static_cast<uint64_t>(stride_));
    }
    row = std::min(row, rows_ - 1);
    while (row > 0 && (*this)[row - 1] >= key) {
        --row;
    }
    while ((*this)[row] < key) {
        ++row;
    }
    return row;
}

uint32_t BlockKeys::search(Key key, uint32_t from) const {
    // Below `low` all keys are below; `high` is a row whose key is not, or the end.
    uint32_t low = from;
    uint32_t high = rows_;
    for (uint32_t step = 1; low < high; step *= 2) {
        const uint32_t probe = low + std::min(step, high - low) - 1;
        if ((*this)[probe] >= key) {
            high = probe;
            break;
        }
        low = probe + 1;
    }
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if ((*this)[middle] < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t BlockKeys::vectors_decoded() const {
    return (keys_.size() + kPackedValuesMax - 1) / kPackedValuesMax;
}

}  // namespace stepdb
