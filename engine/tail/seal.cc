#include "engine/tail/seal.h"

#include <algorithm>
#include <utility>

namespace stepdb {

namespace {

// Columns that are turned at a time: enough that the processor sees each row, which comes from
// another core's cache or memory, as a stream worth fetching ahead, and few enough that they stay
// in the second cache until they are encoded.
constexpr uint32_t kStripColumnsMin = 32;
constexpr uint32_t kStripColumnsMax = 128;
constexpr size_t kStripBytesMax = 512U << 10U;

// From one column of a strip to the next: whole cache lines, so that sixteen rows fill one, and an
// odd number of them, so that columns do not fall into the same sets of the cache.
size_t stride_of(size_t rows) {
    constexpr size_t kLineValues = 64 / sizeof(double);
    return ((rows + kLineValues - 1) / kLineValues | 1U) * kLineValues;
}

// What a block is begun in: after as much it is known about how much it will take. A sealer keeps
// the buffer, and a somewhat larger one, for the next block.
constexpr size_t kBeginBytes = 256U << 10U;
constexpr size_t kKeptBytesMax = 1U << 20U;

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
    if (begun_in_.size() == 0) {
        begun_in_ = LargeBuffer(kBeginBytes);
    }
    builder.use_buffer(std::exchange(begun_in_, {}));
    if (is_dense(rows)) {
        add_dense(rows, builder);
    } else {
        add_one_by_one(rows, builder);
    }
    std::shared_ptr<const EncodedBlock> block = builder.finish(std::move(budget));
    LargeBuffer left = builder.take_buffer();
    if (left.size() <= kKeptBytesMax) {
        begun_in_ = std::move(left);
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
    const size_t stride = stride_of(count);
    const TailChunk& layout = *rows.front().chunk;
    const size_t value_bytes = layout.may_hold_float64() ? sizeof(double) : sizeof(uint32_t);
    const auto strip = static_cast<uint32_t>(std::clamp<size_t>(
        kStripBytesMax / (stride * value_bytes), kStripColumnsMin, kStripColumnsMax));
    const size_t narrow_bytes = strip * stride * sizeof(uint32_t);
    const size_t strip_bytes = narrow_bytes + strip * stride * sizeof(double);
    if (strip_.size() < strip_bytes) {
        strip_ = LargeBuffer(strip_bytes);
    }
    auto* const narrow = reinterpret_cast<uint32_t*>(strip_.data());
    auto* const wide = reinterpret_cast<double*>(strip_.data() + narrow_bytes);
    for (uint32_t first = 0; first < builder.columns(); first += strip) {
        const uint32_t end = std::min(first + strip, builder.columns());
        size_t row = 0;
        for (const TailPiece& piece : rows) {
            piece.chunk->transpose(first, end, narrow + row, wide + row, stride);
            row += piece.rows;
        }
        size_t narrow_columns = 0;
        size_t wide_columns = 0;
        for (uint32_t column = first; column < end; ++column) {
            if (layout.is_float64(column)) {
                builder.add_column(column, {wide + wide_columns++ * stride, count}, {});
            } else {
                builder.add_words(column, {narrow + narrow_columns++ * stride, count});
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
