// From received bytes to rows that may be copied: frames are cut out of the stream, their checksums
// verified, their bodies checked against the schema. Bytes come in pieces, as a socket gives them.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>

#include "bench/micro/rows_frames.h"
#include "engine/base/check.h"
#include "net/frame_stream.h"

namespace stepdb {
namespace {

constexpr size_t kBytes = 8U << 20U;

void BM_FrameDecode(benchmark::State& state) {
    const auto metrics = static_cast<uint32_t>(state.range(0));
    const auto rows = static_cast<uint32_t>(state.range(1));
    const auto schema = noisy_schema(metrics);
    const auto one = noisy_frames(schema, rows, 1).front();
    const size_t count = std::max<size_t>(1, kBytes / one.size());
    std::vector<std::byte> bytes;
    for (size_t frame = 0; frame < count; ++frame) {
        bytes.insert(bytes.end(), one.begin(), one.end());
    }
    for ([[maybe_unused]] auto turn : state) {
        FrameStream stream;
        size_t frames = 0;
        for (size_t at = 0; at < bytes.size();) {
            const MutableBytes space = stream.prepare();
            const size_t taken = std::min(space.size(), bytes.size() - at);
            std::memcpy(space.data(), bytes.data() + at, taken);
            stream.commit(taken);
            at += taken;
            for (auto next = stream.next(); next && next->has_value(); next = stream.next()) {
                RowPosition bad;
                const auto view = RowsView::decode(frame_body((*next)->bytes), *schema, bad);
                CHECK(view.has_value() && view->rows() == rows, "frame {}", frames);
                ++frames;
            }
        }
        CHECK(frames == count, "{} of {} frames", frames, count);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(count * rows * metrics));
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(BM_FrameDecode)
    ->ArgNames({"metrics", "rows"})
    ->ArgsProduct({{1, 10, 100}, {1, 64}})
    ->Args({1000, 16})
    ->Args({10'000, 16})
    ->Args({100'000, 1});

}  // namespace
}  // namespace stepdb
