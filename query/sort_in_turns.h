// A stable sort of row numbers, in pieces between which other queries have their turn. A hundred
// thousand rows take as long to sort as a hundred charts to answer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/base/task.h"
#include "query/turns.h"

namespace stepdb {

// What a row costs, in values looked at: in the sort of a piece, and each time it is merged.
inline constexpr uint64_t kSortedRowWork = 8;
inline constexpr uint64_t kMergedRowWork = 2;

// `before(a, b)` orders two numbers; what it refers to, `turns` and `order` are not touched
// meanwhile by anybody else, and outlive the task. Pieces are sorted, then merged two by two
// (bottom-up merge sort); takes the memory of `order` once more.
template <typename Before>
Task<void> sort_in_turns(Turns& turns, std::vector<uint32_t>& order, Before before) {
    constexpr size_t kPiece = 4096;
    const size_t size = order.size();
    for (size_t begin = 0; begin < size; begin += kPiece) {
        const size_t end = std::min(begin + kPiece, size);
        std::stable_sort(order.begin() + static_cast<ptrdiff_t>(begin),
                         order.begin() + static_cast<ptrdiff_t>(end), before);
        co_await turns.after((end - begin) * kSortedRowWork);
    }
    std::vector<uint32_t> merged(size <= kPiece ? 0 : size);
    for (size_t width = kPiece; width < size; width *= 2) {
        for (size_t begin = 0; begin < size; begin += 2 * width) {
            const size_t middle = std::min(begin + width, size);
            const size_t end = std::min(begin + 2 * width, size);
            size_t left = begin;
            size_t right = middle;
            for (size_t at = begin; at < end; ++at) {
                const bool is_right =
                    left == middle || (right < end && before(order[right], order[left]));
                merged[at] = order[is_right ? right++ : left++];
                if (at % kPiece == kPiece - 1) {
                    co_await turns.after(kPiece * kMergedRowWork);
                }
            }
        }
        order.swap(merged);
    }
}

}  // namespace stepdb
