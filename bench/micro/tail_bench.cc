// What it costs to append durable rows to a tail and to seal them into a block: the two things the
// engine does with every value after it is on disk.
#include <benchmark/benchmark.h>

#include <cmath>

#include "engine/base/check.h"
#include "engine/tail/seal.h"

namespace stepdb {
namespace {

constexpr uint32_t kRows = 64;

// Rows of noisy float32 values, 10 percent around a slow trend, as gradient norms are.
struct Batch {
    explicit Batch(uint32_t width, uint32_t first_step = 0) {
        std::vector<std::string> metrics;
        for (uint32_t column = 0; column < width; ++column) {
            metrics.push_back(fmt::format("layers/{}/grad_norm", column));
        }
        schema = std::make_shared<const Schema>(*Schema::create(Axis::kStepped, metrics));
        RowsBuilder builder(schema);
        uint64_t state = 1;
        for (uint32_t row = 0; row < kRows; ++row) {
            std::vector<double> values;
            for (uint32_t column = 0; column < width; ++column) {
                state = state * 6364136223846793005ULL + 1442695040888963407ULL;
                const double noise = static_cast<double>(state >> 40U) / (1U << 24U) - 0.5;
                values.push_back(static_cast<double>(static_cast<float>(1 + 0.2 * noise)));
            }
            const uint32_t step = first_step + row;
            builder.add(step, int64_t{1'700'000'000'000'000} + step,
                        std::span<const double>(values));
        }
        frame = builder.finish(1, 0, 1);
        RowPosition bad;
        view.emplace(*RowsView::decode(frame_body(frame), *schema, bad));
    }

    std::shared_ptr<const Schema> schema;
    std::vector<std::byte> frame;
    std::optional<RowsView> view;
};

void append_batch(Tail& tail, const RowsView& rows, uint32_t rows_max) {
    uint32_t done = 0;
    while (done < rows.rows()) {
        done += tail.append(rows, done, 1 + tail.rows(), 0, Axis::kStepped, rows_max, 64U << 20U);
    }
}

void BM_TailAppend(benchmark::State& state) {
    const Batch batch(static_cast<uint32_t>(state.range(0)));
    Tail tail;
    for ([[maybe_unused]] auto turn : state) {
        if (tail.rows() >= 512) {
            state.PauseTiming();
            CHECK(tail.pieces().front().key_max >= 0);
            tail = Tail();
            state.ResumeTiming();
        }
        append_batch(tail, *batch.view, 512);
    }
    state.SetItemsProcessed(state.iterations() * kRows * state.range(0));
}
BENCHMARK(BM_TailAppend)->Arg(10)->Arg(100)->Arg(1000);

void BM_Seal(benchmark::State& state) {
    std::vector<std::unique_ptr<Batch>> batches;
    for (uint32_t i = 0; i < 512 / kRows; ++i) {
        batches.push_back(
            std::make_unique<Batch>(static_cast<uint32_t>(state.range(0)), i * kRows));
    }
    BlockInfo info;
    info.columns = batches[0]->schema->width();
    Sealer sealer;
    for ([[maybe_unused]] auto turn : state) {
        state.PauseTiming();
        Tail tail;
        for (const auto& batch : batches) {
            append_batch(tail, *batch->view, 512);
        }
        state.ResumeTiming();
        const auto block = sealer.seal(tail.take(), info);
        CHECK(block->info.rows == 512, "{} rows", block->info.rows);
    }
    state.SetItemsProcessed(state.iterations() * 512 * state.range(0));
}
BENCHMARK(BM_Seal)->Arg(10)->Arg(100)->Arg(1000);

}  // namespace
}  // namespace stepdb
