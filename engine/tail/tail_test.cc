#include "engine/tail/seal.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/segment/summary_section.h"
#include "engine/tail/transpose.h"
#include "tests/support/sim_executor.h"

namespace stepdb::tail_test {

struct Cell {
    bool present = false;
    uint64_t bits = 0;
};

// Frames of random rows go through a tail; what comes out of chunks and of the sealed block must be
// the cells that went in.
class TailTest : public ::testing::TestWithParam<int> {
  protected:
    TailTest() : random_(test_seed(7) + static_cast<uint64_t>(GetParam())) {
        std::vector<std::string> metrics;
        const uint64_t width = 1 + random_.below(70);
        for (uint64_t i = 0; i < width; ++i) {
            metrics.push_back(fmt::format("m/{}", i));
        }
        schema_ = std::make_shared<const Schema>(*Schema::create(Axis::kStepped, metrics));
    }

    double value(uint32_t column) {
        const uint64_t kind = (column + kinds_) % 3;
        return kind == 0   ? widen(static_cast<uint32_t>(random_.next()))
               : kind == 1 ? std::bit_cast<double>(random_.next())
                           : static_cast<double>(random_.below(100));
    }

    std::vector<std::byte> next_frame(uint64_t rows, bool sparse) {
        RowsBuilder builder(schema_);
        kinds_ = static_cast<uint32_t>(random_.below(2));
        for (uint64_t row = 0; row < rows; ++row) {
            std::vector<std::optional<double>> values;
            std::vector<Cell> cells;
            for (uint32_t column = 0; column < schema_->width(); ++column) {
                values.emplace_back(value(column));
                if (sparse && random_.below(3) != 0) {
                    values.back().reset();
                }
                const bool present = values.back().has_value();
                cells.push_back({present, present ? bits_of(*values.back()) : 0});
            }
            const double step = static_cast<double>(random_.below(1000));
            steps_.push_back(step);
            cells_.push_back(cells);
            builder.add(step, static_cast<int64_t>(steps_.size()),
                        std::span(std::as_const(values)));
        }
        return builder.finish(1, 0, 1);
    }

    SimRandom random_;
    std::shared_ptr<const Schema> schema_;
    uint32_t kinds_ = 0;
    std::vector<double> steps_;
    std::vector<std::vector<Cell>> cells_;
};

TEST_P(TailTest, ChunksAndSealedBlockHoldWhatWasAppended) {
    Tail tail;
    for (int frame = 0; frame < 6; ++frame) {
        const auto bytes = next_frame(1 + random_.below(30), random_.coin());
        const auto memory = std::make_shared<SharedBuffer>(bytes.size());
        std::ranges::copy(bytes, memory->data());
        RowPosition bad;
        const Result<RowsView> rows = RowsView::decode(frame_body(memory->span()), *schema_, bad);
        ASSERT_TRUE(rows.has_value()) << rows.error().to_string();
        // Some frames stay where they are; the others' memory goes.
        const auto stays = rows->has_presence() || random_.coin() ? nullptr : memory;
        uint32_t done = 0;
        while (done < rows->rows()) {
            const uint32_t taken = tail.append(*rows, done, 100 + tail.rows(), 5, Axis::kStepped,
                                               1 << 20, 1 << 20, stays);
            ASSERT_GT(taken, 0U);
            done += taken;
        }
    }
    ASSERT_EQ(tail.rows(), cells_.size());

    size_t first = 0;
    for (const TailPiece& piece : tail.pieces()) {
        for (uint32_t column = 0; column < schema_->width(); ++column) {
            std::vector<double> values(piece.rows);
            std::vector<uint8_t> present(piece.rows, 1);
            piece.chunk->read_column(column, piece.rows, values.data(), present.data());
            for (uint32_t row = 0; row < piece.rows; ++row) {
                const Cell& cell = cells_[first + row][column];
                ASSERT_EQ(present[row] != 0, cell.present);
                if (cell.present) {
                    ASSERT_EQ(bits_of(values[row]), cell.bits) << "column " << column;
                }
            }
        }
        first += piece.rows;
    }

    BlockInfo info;
    info.axis = Axis::kStepped;
    info.columns = schema_->width();
    Sealer sealer;
    const auto block = sealer.seal(tail.take(), info);
    EXPECT_EQ(tail.rows(), 0U);
    const Result<AxisColumns> axis = decode_axis(axis_section(*block), block->info);
    ASSERT_TRUE(axis.has_value()) << axis.error().to_string();
    ASSERT_TRUE(std::ranges::is_sorted(axis->keys));
    for (uint32_t column = 0; column < schema_->width(); ++column) {
        const Result<ChunkPlace> place = find_chunk(directory_section(*block), block->info, column);
        ASSERT_TRUE(place.has_value());
        ColumnValues values;
        values.presence.assign(cells_.size() / 64 + 1, 0);
        if (place->bytes > 0) {
            values = *decode_chunk(strips_section(*block).subspan(place->offset, place->bytes),
                                   block->info);
        }
        size_t next = 0;
        for (size_t row = 0; row < cells_.size(); ++row) {
            const size_t original = axis->sequences[row] - 100;
            const bool present =
                values.presence.empty() || (values.presence[row / 64] >> (row % 64) & 1U) != 0;
            ASSERT_EQ(present, cells_[original][column].present);
            ASSERT_EQ(axis->keys[row], key_of_step(steps_[original]));
            if (present) {
                ASSERT_EQ(bits_of(values.values[next++]), cells_[original][column].bits);
            }
        }
    }
}

// Wide rows fill their share of memory with values, not with a chunk that has just been begun; rows
// of which each has another layout than the one before do not take many times as much.
TEST(TailBounds, AreOfValuesAndOfMemory) {
    std::vector<std::string> metrics;
    metrics.reserve(1000);
    for (int i = 0; i < 1000; ++i) {
        metrics.push_back(fmt::format("m/{}", i));
    }
    const auto schema = std::make_shared<const Schema>(*Schema::create(Axis::kStepped, metrics));
    constexpr size_t kBytesMax = size_t{260} * 4000;
    for (const bool alternate : {false, true}) {
        Tail tail;
        for (int row = 0; !tail.full(512, kBytesMax); ++row) {
            RowsBuilder builder(schema);
            const double value = alternate && row % 2 == 1 ? 0.1 : 0.5;
            const std::vector<std::optional<double>> values(1000, value);
            builder.add(row, 1, std::span(values));
            const std::vector<std::byte> frame = builder.finish(1, 0, 1);
            RowPosition bad;
            const auto rows = RowsView::decode(frame_body(frame), *schema, bad);
            ASSERT_TRUE(rows.has_value()) << rows.error().to_string();
            ASSERT_EQ(tail.append(*rows, 0, 1, 1, Axis::kStepped, 512, kBytesMax), 1U);
        }
        if (!alternate) {
            EXPECT_EQ(tail.rows(), 260U);
        }
        EXPECT_LT(tail.memory_bytes(), 4 * kBytesMax);
    }
}

// Columns of float32 and of float64, full and sparse, with and without equal keys.
TEST_P(TailTest, LongColumnsOfASealedBlockHaveSummaries) {
    Tail tail;
    const bool is_sparse = random_.coin();
    while (tail.rows() < 500) {
        const auto bytes = next_frame(60, is_sparse);
        RowPosition bad;
        const Result<RowsView> rows = RowsView::decode(frame_body(bytes), *schema_, bad);
        ASSERT_TRUE(rows.has_value()) << rows.error().to_string();
        for (uint32_t done = 0; done < rows->rows();) {
            done += tail.append(*rows, done, tail.rows(), 5, Axis::kStepped, 1 << 20, 1 << 20);
        }
    }
    BlockInfo info;
    info.columns = schema_->width();
    Sealer sealer;
    const auto block = sealer.seal(tail.take(), info);
    const auto axis = decode_axis(axis_section(*block), block->info);
    ASSERT_TRUE(axis.has_value()) << axis.error().to_string();
    std::vector<ColumnSummary> summaries;
    if (block->info.summaries_bytes != 0) {
        summaries = *decode_summaries(summaries_section(*block), block->info);
    }
    for (uint32_t column = 0; column < schema_->width(); ++column) {
        const auto place = find_chunk(directory_section(*block), block->info, column);
        const auto values =
            decode_chunk(strips_section(*block).subspan(place->offset, place->bytes), block->info);
        const Summary computed = summarize_column(*axis, *values);
        const Summary* stored = find_summary(summaries, column);
        ASSERT_EQ(stored != nullptr, values->values.size() >= kSealedSummaryValuesMin &&
                                         computed.deviations.is_plain());
        EXPECT_TRUE(stored == nullptr || agrees(*stored, computed)) << column;
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TailTest, ::testing::Range(0, 40));

template <typename T>
void expect_transposed(SimRandom& random, size_t rows, size_t columns, bool wide,
                       void (*transpose)(const std::byte*, size_t, size_t, size_t, T*, size_t)) {
    use_wide_transposition(wide);
    const size_t row_bytes = columns * sizeof(T) + random.below(9);
    const size_t stride = rows + random.below(5);
    std::vector<std::byte> from(rows * row_bytes);
    std::ranges::generate(from, [&] { return static_cast<std::byte>(random.below(256)); });
    std::vector<std::byte> guarded(columns * stride * sizeof(T), std::byte{0x5A});
    std::vector<T> to(columns * stride);
    std::ranges::copy(guarded, std::as_writable_bytes(std::span(to)).begin());
    transpose(from.data(), row_bytes, rows, columns, to.data(), stride);
    const Bytes turned = std::as_bytes(std::span(to));
    const auto bytes_at = [&](size_t column, size_t row) {
        return turned.subspan((column * stride + row) * sizeof(T), sizeof(T));
    };
    for (size_t column = 0; column < columns; ++column) {
        for (size_t row = 0; row < rows; ++row) {
            ASSERT_TRUE(std::ranges::equal(
                bytes_at(column, row),
                std::span(from).subspan(row * row_bytes + column * sizeof(T), sizeof(T))))
                << rows << " x " << columns << ": " << row << ", " << column;
        }
        for (size_t beyond = rows; beyond < stride; ++beyond) {
            ASSERT_TRUE(
                std::ranges::equal(bytes_at(column, beyond), std::span(guarded).first(sizeof(T))));
        }
    }
}

// Whatever is left over beside whole tiles, and nothing written beside the rows.
TEST(Transpose, PutsEveryValueInItsColumn) {
    SimRandom random(test_seed(7));
    for (const bool wide : {false, true}) {
        if (wide && !can_transpose_wide()) {
            continue;
        }
        for (size_t rows = 0; rows < 70; rows += 1 + rows / 20) {
            for (const size_t columns : {1U, 2U, 3U, 4U, 7U, 16U, 64U, 67U}) {
                expect_transposed<uint32_t>(random, rows, columns, wide, transpose_words);
                expect_transposed<double>(random, rows, columns, wide, transpose_doubles);
            }
        }
    }
    use_wide_transposition(can_transpose_wide());
}

}  // namespace stepdb::tail_test
