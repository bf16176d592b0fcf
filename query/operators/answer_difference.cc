#include "query/answer_difference.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "query/operators/collected_rows.h"

namespace stepdb {

namespace {

constexpr uint32_t kNone = UINT32_MAX;

bool same_cell(const CollectedRows& a, uint32_t row_a, const CollectedRows& b, uint32_t row_b,
               size_t column) {
    if (a.is_null(column, row_a) || b.is_null(column, row_b)) {
        return a.is_null(column, row_a) == b.is_null(column, row_b);
    }
    if (a.type(column) == ColumnType::kText) {
        return a.text(column, row_a) == b.text(column, row_b);
    }
    return a.count(column, row_a) == b.count(column, row_b);  // bit for bit
}

// Finds for each row of the answer after the one of the answer before that it is: the first with
// its key that no row took yet.
class RowMatcher {
  public:
    RowMatcher(const WholeAnswer& from, const WholeAnswer& to)
        : from_(from.rows()), to_(to.rows()), keys_(to.key_columns()) {}

    std::vector<uint32_t> match();

  private:
    bool same_key(uint32_t before, uint32_t after) const {
        for (size_t column = 0; column < keys_; ++column) {
            if (!same_cell(from_, before, to_, after, column)) {
                return false;
            }
        }
        return true;
    }
    uint64_t hash(const CollectedRows& rows, uint32_t row) const {
        uint64_t hash = 0;
        for (size_t column = 0; column < keys_; ++column) {
            const uint64_t cell = rows.is_null(column, row) ? 1
                                  : rows.type(column) == ColumnType::kText
                                      ? std::hash<std::string_view>()(rows.text(column, row))
                                      : rows.count(column, row);
            hash = (hash ^ cell) * 0x9E3779B97F4A7C15U;
            hash ^= hash >> 32U;
        }
        return hash;
    }

    const CollectedRows& from_;
    const CollectedRows& to_;
    size_t keys_;
};

std::vector<uint32_t> RowMatcher::match() {
    std::vector<uint32_t> found(to_.rows(), kNone);
    uint32_t begin = 0;
    while (begin < std::min(from_.rows(), to_.rows()) && same_key(begin, begin)) {
        found[begin] = begin;
        ++begin;
    }
    // Of rows with one key, which follow each other in `next`, the first that is left.
    std::unordered_map<uint64_t, uint32_t> first;
    std::vector<uint32_t> next(from_.rows(), kNone);
    for (uint32_t row = from_.rows(); row-- > begin;) {
        const auto [at, is_new] = first.try_emplace(hash(from_, row), row);
        next[row] = is_new ? kNone : std::exchange(at->second, row);
    }
    for (uint32_t row = begin; row < to_.rows(); ++row) {
        const auto at = first.find(hash(to_, row));
        // Where two keys have one hash, a row may pass for a new one; no harm is done.
        if (at != first.end() && at->second != kNone && same_key(at->second, row)) {
            found[row] = std::exchange(at->second, next[at->second]);
        }
    }
    return found;
}

// Leaves as many of the matches as there can be in rising order: rows that passed others are taken
// out at one place and put in at another.
void keep_rising(std::vector<uint32_t>& matches) {
    if (std::ranges::is_sorted(matches)) {
        return;
    }
    std::vector<uint32_t>
        ends;  // of the rising sequences of each length, the row of the lowest end
    std::vector<uint32_t> before(matches.size(), kNone);
    for (uint32_t row = 0; row < matches.size(); ++row) {
        if (matches[row] == kNone) {
            continue;
        }
        const auto at = std::ranges::lower_bound(ends, matches[row], {},
                                                 [&](uint32_t end) { return matches[end]; });
        before[row] = at == ends.begin() ? kNone : *(at - 1);
        if (at == ends.end()) {
            ends.push_back(row);
        } else {
            *at = row;
        }
    }
    std::vector<uint32_t> kept(matches.size(), kNone);
    for (uint32_t row = ends.empty() ? kNone : ends.back(); row != kNone; row = before[row]) {
        kept[row] = matches[row];
    }
    matches = std::move(kept);
}

std::string_view word_of(RowChange change) {
    switch (change) {
        case RowChange::kGone:
            return "gone";
        case RowChange::kNew:
            return "new";
        case RowChange::kChanged:
            break;
    }
    return "changed";
}

}  // namespace

WholeAnswer::WholeAnswer(std::vector<ResultColumn> columns, size_t key_columns,
                         std::shared_ptr<MemoryBudget> memory)
    : columns_(std::move(columns)),
      key_columns_(key_columns),
      rows_(std::make_unique<CollectedRows>(columns_, std::move(memory))) {}

WholeAnswer::~WholeAnswer() = default;

Status WholeAnswer::add(const ResultBlock& block) {
    if ((uint64_t{rows_->rows()} + block.rows()) * columns_.size() > kWatchedCellsMax) {
        return make_error(ErrorCode::kResourceExhausted,
                          "the answer is too large to be watched: at most {} cells, which are {} "
                          "rows of {} columns; ask for buckets, fewer series or columns, or the "
                          "`last` points",
                          kWatchedCellsMax, kWatchedCellsMax / columns_.size(), columns_.size());
    }
    return rows_->add(block);
}

uint32_t WholeAnswer::row_count() const {
    return rows_->rows();
}

std::vector<ResultColumn> update_columns(std::span<const ResultColumn> columns) {
    std::vector<ResultColumn> all = {ResultColumn("change", ColumnType::kText),
                                     ResultColumn("place", ColumnType::kUint64)};
    all.insert(all.end(), columns.begin(), columns.end());
    return all;
}

AnswerDifference::AnswerDifference(const WholeAnswer* from, const WholeAnswer& to)
    : is_reset_(from == nullptr || from->grid_width != to.grid_width ||
                from->columns() != to.columns() || from->key_columns() != to.key_columns()),
      has_other_notes_(from == nullptr || from->notes != to.notes) {
    if (!is_reset_) {
        compare(*from, to);
        return;
    }
    rows_.resize(to.row_count());
    for (uint32_t row = 0; row < to.row_count(); ++row) {
        rows_[row].place = row;
    }
}

void AnswerDifference::compare(const WholeAnswer& from, const WholeAnswer& to) {
    std::vector<uint32_t> matches = RowMatcher(from, to).match();
    keep_rising(matches);
    std::vector<bool> is_kept(from.row_count(), false);
    for (const uint32_t row : matches) {
        if (row != kNone) {
            is_kept[row] = true;
        }
    }
    for (uint32_t row = 0; row < from.row_count(); ++row) {
        if (!is_kept[row]) {
            rows_.push_back({RowChange::kGone, row});
        }
    }
    for (uint32_t row = 0; row < to.row_count(); ++row) {
        const uint32_t before = matches[row];
        if (before == kNone) {
            rows_.push_back({RowChange::kNew, row});
            continue;
        }
        for (size_t column = to.key_columns(); column < to.columns().size(); ++column) {
            if (!same_cell(from.rows(), before, to.rows(), row, column)) {
                rows_.push_back({RowChange::kChanged, row});
                break;
            }
        }
    }
}

ResultBlock AnswerDifference::block(const WholeAnswer* from, const WholeAnswer& to, uint32_t first,
                                    uint32_t count) const {
    ResultBlock block(update_columns(to.columns()));
    const uint32_t end = first + std::min(count, row_count() - first);
    for (uint32_t at = first; at < end; ++at) {
        const Row row = rows_[at];
        const bool is_gone = row.change == RowChange::kGone;
        const WholeAnswer& of = is_gone ? *from : to;
        block.column(0).append_text(word_of(row.change));
        block.column(1).append_uint64(row.place);
        for (size_t column = 0; column < to.columns().size(); ++column) {
            ColumnCells& cells = block.column(2 + column);
            if (is_gone && column >= to.key_columns()) {
                cells.append_null();
            } else {
                of.rows().append_cell(cells, column, row.place);
            }
        }
    }
    return block;
}

}  // namespace stepdb
