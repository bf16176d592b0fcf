#include "query/operators/collected_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "engine/base/float_bits.h"
#include "engine/base/text.h"
#include "engine/query_memory.h"
#include "query/literals.h"

namespace stepdb {

CollectedRows::CollectedRows(std::span<const ResultColumn> columns,
                             std::shared_ptr<MemoryBudget> memory)
    : charge_(std::move(memory)) {
    for (const ResultColumn& column : columns) {
        cells_.emplace_back().type = column.type;
    }
}

Status CollectedRows::add(const ResultBlock& block) {
    if (block.rows() > std::numeric_limits<uint32_t>::max() - rows_) {
        return make_error(ErrorCode::kResourceExhausted,
                          "the answer has more than {} rows, too many to put into order; ask for "
                          "buckets, or for a smaller range",
                          std::numeric_limits<uint32_t>::max());
    }
    // Twice, for the arrays that grow.
    const size_t row_bytes = 2 * cells_.size() * (sizeof(uint64_t) + 1) + sizeof(uint32_t);
    TRY(charge_query_memory(charge_, (rows_ + size_t{block.rows()}) * row_bytes + text_bytes_));
    for (size_t i = 0; i < cells_.size(); ++i) {
        add(cells_[i], block.column(i));
    }
    rows_ += block.rows();
    return {};
}

void CollectedRows::add(Cells& cells, const ColumnCells& from) {
    switch (cells.type) {
        case ColumnType::kText:
            for (const auto& [count, text] : from.text_runs()) {
                const auto [at, is_new] = cells.text_numbers.try_emplace(text, cells.texts.size());
                if (is_new) {
                    cells.texts.push_back(text);
                    text_bytes_ += 2 * (text.size() + sizeof(std::string)) + 2 * sizeof(uint64_t);
                }
                cells.bits.insert(cells.bits.end(), count, at->second);
            }
            break;
        case ColumnType::kFloat64:
        case ColumnType::kStep:
            for (const double value : from.doubles()) {
                cells.bits.push_back(std::bit_cast<uint64_t>(value));
            }
            break;
        case ColumnType::kTime:
            for (const int64_t time : from.times()) {
                cells.bits.push_back(static_cast<uint64_t>(time));
            }
            break;
        case ColumnType::kUint64:
            cells.bits.insert(cells.bits.end(), from.uint64s().begin(), from.uint64s().end());
            break;
    }
    for (uint32_t row = 0; row < from.rows(); ++row) {
        cells.nulls.push_back(from.is_null(row));
    }
}

void CollectedRows::keep(std::span<const uint32_t> rows) {
    for (Cells& cells : cells_) {
        std::vector<uint64_t> bits;
        std::vector<bool> nulls;
        bits.reserve(rows.size());
        nulls.reserve(rows.size());
        for (const uint32_t row : rows) {
            bits.push_back(cells.bits[row]);
            nulls.push_back(cells.nulls[row]);
        }
        cells.bits = std::move(bits);
        cells.nulls = std::move(nulls);
    }
    rows_ = static_cast<uint32_t>(rows.size());
}

std::string_view CollectedRows::text(size_t column, uint32_t row) const {
    return cells_[column].texts[cells_[column].bits[row]];
}

double CollectedRows::number(size_t column, uint32_t row) const {
    return std::bit_cast<double>(cells_[column].bits[row]);
}

int64_t CollectedRows::time(size_t column, uint32_t row) const {
    return static_cast<int64_t>(cells_[column].bits[row]);
}

std::string CollectedRows::shown(size_t column, uint32_t row) const {
    if (is_null(column, row)) {
        return {};
    }
    switch (type(column)) {
        case ColumnType::kText:
            return std::string(text(column, row));
        case ColumnType::kTime:
            return format_moment(time(column, row));
        case ColumnType::kUint64:
            return fmt::format("{}", count(column, row));
        default:
            return format_value(number(column, row));
    }
}

void CollectedRows::append_cell(ColumnCells& cells, size_t column, uint32_t row) const {
    if (is_null(column, row)) {
        cells.append_null();
        return;
    }
    switch (type(column)) {
        case ColumnType::kText:
            cells.append_text(text(column, row));
            break;
        case ColumnType::kFloat64:
        case ColumnType::kStep:
            cells.append_double(number(column, row));
            break;
        case ColumnType::kTime:
            cells.append_time(time(column, row));
            break;
        case ColumnType::kUint64:
            cells.append_uint64(count(column, row));
            break;
    }
}

std::weak_ordering CollectedRows::order(size_t column, uint32_t a, uint32_t b,
                                        bool descending) const {
    const auto is_nan = [&](uint32_t row) {
        const bool is_number = type(column) == ColumnType::kFloat64;
        return is_number && std::isnan(number(column, row));
    };
    const auto rank = [&](uint32_t row) { return is_null(column, row) ? 2 : is_nan(row) ? 1 : 0; };
    const int rank_a = rank(a);
    const int rank_b = rank(b);
    if (rank_a != 0 || rank_b != 0) {
        return rank_a <=> rank_b;
    }
    if (descending) {
        std::swap(a, b);
    }
    switch (type(column)) {
        case ColumnType::kText:
            return natural_less(text(column, a), text(column, b)) ? std::weak_ordering::less
                   : natural_less(text(column, b), text(column, a))
                       ? std::weak_ordering::greater
                       : std::weak_ordering::equivalent;
        case ColumnType::kTime:
            return time(column, a) <=> time(column, b);
        case ColumnType::kUint64:
            return count(column, a) <=> count(column, b);
        default:
            break;
    }
    const double x = number(column, a);
    const double y = number(column, b);
    return x < y   ? std::weak_ordering::less
           : y < x ? std::weak_ordering::greater
                   : std::weak_ordering::equivalent;
}

}  // namespace stepdb
