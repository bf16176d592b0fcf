#include "engine/compaction/row_window.h"

#include <algorithm>

namespace stepdb {

namespace {

// The first row of an axis at or behind a position, or behind it.
size_t first_row(const AxisColumns& axis, std::pair<Key, uint64_t> position, bool behind) {
    size_t low = 0;
    size_t high = axis.keys.size();
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const std::pair<Key, uint64_t> at(axis.keys[middle], axis.sequences[middle]);
        if (at < position || (behind && at == position)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

}  // namespace

RowWindow::RowWindow(std::vector<SourceBlock*> blocks, size_t rows_max, Key last_key)
    : blocks_(std::move(blocks)), rows_max_(rows_max), last_key_(last_key) {
    std::ranges::stable_sort(blocks_, {},
                             [](const SourceBlock* block) { return block->info().key_min; });
}

Task<Result<bool>> RowWindow::next() {
    candidates_.clear();
    is_sorted_ = true;
    limit_.reset();
    in_window_.clear();
    for (SourceBlock* block : blocks_) {
        const BlockInfo& info = block->info();
        if (info.key_min > last_key_ || (limit_ && info.key_min > limit_->first)) {
            break;
        }
        if (above_ && info.key_max < above_->first) {
            continue;
        }
        Result<AxisColumns> axis = co_await block->read_axis();
        if (!axis) {
            failed_ = block;
            co_return axis.error();
        }
        take_rows(*axis);
        in_window_.push_back(block);
        if (candidates_.size() > 2 * rows_max_) {
            keep_lowest();
        }
    }
    keep_lowest();
    axis_ = AxisColumns();
    axis_.keys.reserve(candidates_.size());
    axis_.times.reserve(candidates_.size());
    axis_.sequences.reserve(candidates_.size());
    for (const Row& row : candidates_) {
        axis_.keys.push_back(row.key);
        axis_.times.push_back(row.time);
        axis_.sequences.push_back(row.sequence);
    }
    if (candidates_.empty()) {
        co_return false;
    }
    above_ = candidates_.back().position();
    candidates_ = std::vector<Row>();
    std::erase_if(in_window_,
                  [&](const SourceBlock* block) { return block->info().key_min > above_->first; });
    co_return true;
}

// Of any block the first rows_max are enough.
void RowWindow::take_rows(const AxisColumns& axis) {
    const size_t first = above_ ? first_row(axis, *above_, true) : 0;
    size_t taken = 0;
    for (size_t row = first; row < axis.keys.size() && taken <= rows_max_; ++row, ++taken) {
        const Row candidate{axis.keys[row], axis.sequences[row], axis.times[row]};
        if (candidate.key > last_key_ || (limit_ && candidate.position() > *limit_)) {
            break;
        }
        is_sorted_ = is_sorted_ &&
                     (candidates_.empty() || candidates_.back().position() < candidate.position());
        candidates_.push_back(candidate);
    }
}

// Sorts the candidates, each once, and drops those beyond the window's size.
void RowWindow::keep_lowest() {
    if (!is_sorted_) {
        std::ranges::sort(candidates_, {}, &Row::position);
        const auto same = [](const Row& a, const Row& b) { return a.position() == b.position(); };
        candidates_.erase(std::unique(candidates_.begin(), candidates_.end(), same),
                          candidates_.end());
        is_sorted_ = true;
    }
    if (candidates_.size() > rows_max_) {
        candidates_.resize(cut());
        limit_ = candidates_.back().position();
    }
}

// Not between equal keys, unless half of the window has one key.
size_t RowWindow::cut() const {
    size_t end = rows_max_;
    while (end > rows_max_ / 2 && candidates_[end].key == candidates_[end - 1].key) {
        --end;
    }
    return end > rows_max_ / 2 ? end : rows_max_;
}

Task<Result<RowPlaces>> RowWindow::places_of(SourceBlock* block) {
    const Result<AxisColumns> axis = co_await block->read_axis();
    if (!axis) {
        failed_ = block;
        co_return axis.error();
    }
    const std::pair<Key, uint64_t> begin(axis_.keys.front(), axis_.sequences.front());
    const std::pair<Key, uint64_t> end(axis_.keys.back(), axis_.sequences.back());
    RowPlaces found;
    size_t row = first_row(*axis, begin, false);
    const size_t last = first_row(*axis, end, true);
    found.first_row = static_cast<uint32_t>(row);
    found.places.reserve(last - row);
    size_t at = row < last ? first_row(axis_, {axis->keys[row], axis->sequences[row]}, false) : 0;
    for (; row < last; ++row, ++at) {
        const std::pair<Key, uint64_t> wanted(axis->keys[row], axis->sequences[row]);
        while (at < rows() && std::pair(axis_.keys[at], axis_.sequences[at]) < wanted) {
            ++at;
        }
        CHECK(at < rows() && axis_.sequences[at] == wanted.second,
              "sequence {} of the block is not in its window", wanted.second);
        found.places.push_back(static_cast<uint32_t>(at));
    }
    co_return found;
}

}  // namespace stepdb
