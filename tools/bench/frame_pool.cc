#include "tools/bench/frame_pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/coding.h"
#include "engine/model/limits.h"
#include "engine/model/rows.h"
#include "tools/bench/load_values.h"

namespace stepdb {

namespace {

// Places in a rows frame without compression (engine/model/frame.h, rows.h).
constexpr size_t kChecksumAt = 8;
constexpr size_t kNumberAt = 16;
constexpr size_t kHandleAt = kFrameHeaderBytes;
constexpr size_t kAttemptAt = kFrameHeaderBytes + 4;
constexpr size_t kStepsAt = kFrameHeaderBytes + 32;

constexpr size_t kPoolBytes = 32U << 20U;
constexpr size_t kPoolBytesMax = 256U << 20U;
constexpr size_t kPoolRowsMax = 256U << 10U;

size_t row_bytes_of(const LoadShape& shape) {
    return 16 + size_t{shape.metrics} * (shape.is_float64 ? 8 : 4);
}

size_t frame_bytes_of(const LoadShape& shape) {
    // A frame of doubles of which some are float32 says of each column which it is.
    const size_t bitmap = shape.is_float64 ? (size_t{shape.metrics} + 63) / 64 * 8 : 0;
    return kStepsAt + bitmap + shape.rows_per_frame * row_bytes_of(shape);
}

}  // namespace

std::string bench_metric(uint32_t column) {
    return fmt::format("bench/{:06}", column);
}

Result<std::shared_ptr<const Schema>> bench_schema(const LoadShape& shape) {
    if (frame_bytes_of(shape) > kFrameBytesMax) {
        return make_error(ErrorCode::kInvalidArgument,
                          "--rows-per-frame {} of --metrics {} make frames of {} bytes; at most {} "
                          "are possible",
                          shape.rows_per_frame, shape.metrics, frame_bytes_of(shape),
                          kFrameBytesMax);
    }
    std::vector<std::string> metrics;
    for (uint32_t column = 0; column < shape.metrics; ++column) {
        metrics.push_back(bench_metric(column));
    }
    TRY_ASSIGN(Schema schema, Schema::create(Axis::kStepped, std::move(metrics)));
    return std::make_shared<const Schema>(std::move(schema));
}

size_t pool_rows(const LoadShape& shape) {
    const size_t row_bytes = row_bytes_of(shape);
    const size_t enough = std::max<size_t>(kPoolBytes / row_bytes, kTailRowsMax);
    return std::max<size_t>(1, std::min({enough, kPoolBytesMax / row_bytes, kPoolRowsMax}));
}

FramePool::FramePool(const std::shared_ptr<const Schema>& schema, const LoadShape& shape,
                     uint64_t seed)
    : rows_(shape.rows_per_frame) {
    LoadValues source(shape, seed);
    RowsBuilder builder(schema);
    std::vector<double> values(shape.metrics);
    const size_t count = std::max<size_t>(1, pool_rows(shape) / rows_);
    for (size_t frame = 0; frame < count; ++frame) {
        for (uint32_t row = 0; row < rows_; ++row) {
            source.next_row(values);
            builder.add(0.0, int64_t{0}, values);
        }
        frames_.push_back(builder.finish(0, 0, 0));
    }
}

Bytes FramePool::stamp(size_t at, ClientRun& run, uint64_t first_step, int64_t time_us) {
    std::vector<std::byte>& frame = frames_[at];
    std::byte* const bytes = frame.data();
    store_le(bytes + kNumberAt, run.next_number++);
    store_le(bytes + kHandleAt, run.handle);
    store_le(bytes + kAttemptAt, run.attempt);
    std::byte* const times = bytes + kStepsAt + size_t{rows_} * 8;
    for (uint32_t row = 0; row < rows_; ++row) {
        store_le(bytes + kStepsAt + size_t{row} * 8, static_cast<double>(first_step + row));
        store_le(times + size_t{row} * 8, time_us + row);
    }
    store_le(bytes + kChecksumAt, frame_checksum(ChecksumKind::kXxh3, frame));
    return frame;
}

}  // namespace stepdb
