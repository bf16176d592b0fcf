#include "query/watched_rows.h"

#include <string_view>
#include <unordered_map>

namespace stepdb {

namespace {

// Its columns behind the first `skipped` ones.
class BlockReader {
  public:
    BlockReader(const ResultBlock& block, size_t skipped) : block_(block), skipped_(skipped) {
        for (size_t column = 0; column < block.width(); ++column) {
            texts_.push_back(block.column(column).texts());
        }
    }

    std::string_view text(size_t column, uint32_t row) const { return texts_[column][row]; }

    void append_to(ResultBlock& to, uint32_t row) const {
        for (size_t column = skipped_; column < block_.width(); ++column) {
            const ColumnCells& from = block_.column(column);
            ColumnCells& cells = to.column(column - skipped_);
            if (from.is_null(row)) {
                cells.append_null();
                continue;
            }
            switch (from.type()) {
                case ColumnType::kText:
                    cells.append_text(texts_[column][row]);
                    break;
                case ColumnType::kFloat64:
                case ColumnType::kStep:
                    cells.append_double(from.doubles()[row]);
                    break;
                case ColumnType::kTime:
                    cells.append_time(from.times()[row]);
                    break;
                case ColumnType::kUint64:
                    cells.append_uint64(from.uint64s()[row]);
                    break;
            }
        }
    }

  private:
    const ResultBlock& block_;
    size_t skipped_;
    std::vector<std::vector<std::string_view>> texts_;
};

// Where in an update the row of a place is.
struct UpdateRow {
    size_t block = 0;
    uint32_t row = 0;
    bool is_new = false;
};

}  // namespace

void WatchedRows::set_columns(std::vector<ResultColumn> columns) {
    columns_ = std::move(columns);
    rows_ = ResultBlock(columns_);
}

Status WatchedRows::apply(std::span<const ResultBlock> update, bool is_reset, uint64_t rows) {
    const auto bad = [&] {
        return make_error(ErrorCode::kInvalidArgument,
                          "an update that makes {} rows does not fit the {} rows before it", rows,
                          is_reset ? 0 : rows_.rows());
    };
    std::vector<bool> is_gone(is_reset ? 0 : rows_.rows(), false);
    std::unordered_map<uint64_t, UpdateRow> by_place;
    std::vector<BlockReader> readers;
    for (const ResultBlock& block : update) {
        if (block.width() != columns_.size() + 2) {
            return bad();
        }
        const BlockReader& reader = readers.emplace_back(block, 2);
        for (uint32_t row = 0; row < block.rows(); ++row) {
            const uint64_t place = block.column(1).uint64s()[row];
            const std::string_view change = reader.text(0, row);
            if (change == "gone") {
                if (place >= is_gone.size() || is_gone[place]) {
                    return bad();
                }
                is_gone[place] = true;
            } else if (!by_place
                            .try_emplace(place, UpdateRow{readers.size() - 1, row, change == "new"})
                            .second) {
                return bad();
            }
        }
    }
    ResultBlock after(columns_);
    const BlockReader before(rows_, 0);
    uint32_t kept = 0;  // next of the rows before
    for (uint64_t place = 0; place < rows; ++place) {
        const auto at = by_place.find(place);
        if (at == by_place.end() || !at->second.is_new) {
            while (kept < is_gone.size() && is_gone[kept]) {
                ++kept;
            }
            if (kept == is_gone.size()) {
                return bad();
            }
            if (at == by_place.end()) {
                before.append_to(after, kept);
            }
            ++kept;
        }
        if (at != by_place.end()) {
            readers[at->second.block].append_to(after, at->second.row);
            by_place.erase(at);
        }
    }
    while (kept < is_gone.size() && is_gone[kept]) {
        ++kept;
    }
    if (kept != is_gone.size() || !by_place.empty()) {
        return bad();
    }
    rows_ = std::move(after);
    return {};
}

}  // namespace stepdb
