#include "engine/tail/seal.h"

#include <algorithm>
#include <utility>

namespace stepdb {

namespace {

// Columns that are turned at a time: four cache lines of a row of float32 values, and few enough
// that the lines written to, one a column, stay in the first cache.
constexpr uint32_t kStripColumns = 64;

// Between the columns of a strip, so that they do not fall into the same sets of the cache where
// the number of rows is a power of two.
constexpr size_t kStridePad = 16;

// What a sealer keeps of a buffer; more was a block of a very wide schema.
constexpr size_t kKeptBytesMax = 8U << 20U;

// Whether every row has every column, and all rows at the same places.
bool is_dense(const std::vector<TailPiece>& rows) {
    return std::ranges::all_of(rows, [&](const TailPiece& piece) {
        return !piece.chunk->sparse() && piece.chunk->same_layout(*rows.front().chunk);
    });
}

}  // namespace

std::shared_ptr<const EncodedBlock> Sealer::seal(const std::vector<TailPiece>& rows,
                                                 const BlockInfo& info,
                                                 std::shared_ptr<MemoryBudget> budget) {
    read_axis(rows);
    BlockBuilder builder(info, keys_, times_, sequences_, kSealedSummaryValuesMin);
    builder.use_buffer(std::move(chunks_));
    if (is_dense(rows)) {
        add_dense(rows, builder);
    } else {
        add_one_by_one(rows, builder);
    }
    std::shared_ptr<const EncodedBlock> block = builder.finish(std::move(budget));
    chunks_ = builder.take_buffer();
    if (chunks_.capacity() > kKeptBytesMax) {
        chunks_ = std::vector<std::byte>();
    }
    return block;
}

void Sealer::read_axis(const std::vector<TailPiece>& rows) {
    keys_.clear();
    times_.clear();
    sequences_.clear();
    for (const TailPiece& piece : rows) {
        const TailChunk& chunk = *piece.chunk;
        CHECK(piece.rows == chunk.rows(), "{} of {} rows of a chunk", piece.rows, chunk.rows());
        keys_.insert(keys_.end(), chunk.keys().begin(), chunk.keys().begin() + piece.rows);
        times_.insert(times_.end(), chunk.times().begin(), chunk.times().begin() + piece.rows);
        sequences_.insert(sequences_.end(), chunk.sequences().begin(),
                          chunk.sequences().begin() + piece.rows);
    }
}

void Sealer::add_dense(const std::vector<TailPiece>& rows, BlockBuilder& builder) {
    const size_t count = keys_.size();
    const size_t stride = count + kStridePad;
    const TailChunk& layout = *rows.front().chunk;
    narrow_.resize(kStripColumns * stride);
    wide_.resize(kStripColumns * stride);
    for (uint32_t first = 0; first < builder.columns(); first += kStripColumns) {
        const uint32_t end = std::min(first + kStripColumns, builder.columns());
        size_t row = 0;
        for (const TailPiece& piece : rows) {
            piece.chunk->transpose(first, end, narrow_.data() + row, wide_.data() + row, stride);
            row += piece.rows;
        }
        size_t narrow = 0;
        size_t wide = 0;
        for (uint32_t column = first; column < end; ++column) {
            if (layout.is_float64(column)) {
                builder.add_column(column, std::span(wide_).subspan(wide++ * stride, count), {});
            } else {
                builder.add_words(column, std::span(narrow_).subspan(narrow++ * stride, count));
            }
        }
    }
}

void Sealer::add_one_by_one(const std::vector<TailPiece>& rows, BlockBuilder& builder) {
    std::vector<std::vector<TailChunk::SparsePosition>> positions;
    positions.reserve(rows.size());
    for (const TailPiece& piece : rows) {
        positions.push_back(piece.chunk->start_positions());
    }
    wide_.resize(keys_.size());
    present_.assign(keys_.size(), 1);
    for (uint32_t column = 0; column < builder.columns(); ++column) {
        size_t at = 0;
        for (size_t i = 0; i < rows.size(); ++i) {
            rows[i].chunk->read_next_column(column, positions[i], wide_.data() + at,
                                            present_.data() + at);
            at += rows[i].rows;
        }
        builder.add_column(column, wide_, present_);
    }
}

}  // namespace stepdb
