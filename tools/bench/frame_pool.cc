#include "tools/bench/frame_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/base/coding.h"
#include "engine/model/limits.h"
#include "engine/model/rows.h"

namespace stepdb {

namespace {

// Places in a rows frame without compression (engine/model/frame.h, rows.h).
constexpr size_t kChecksumAt = 8;
constexpr size_t kNumberAt = 16;
constexpr size_t kHandleAt = kFrameHeaderBytes;
constexpr size_t kAttemptAt = kFrameHeaderBytes + 4;
constexpr size_t kStepsAt = kFrameHeaderBytes + 32;

size_t frame_bytes_of(const LoadShape& shape) {
    const size_t row_bytes = 16 + size_t{shape.metrics} * (shape.is_float64 ? 8 : 4);
    return kStepsAt + shape.rows_per_frame * row_bytes;
}

// One frame after the other of a random walk.
class Walk {
  public:
    Walk(uint32_t metrics, uint64_t seed) : random_(seed), levels_(metrics) {
        for (double& level : levels_) {
            level = std::pow(10.0, gauss_(random_));
        }
    }

    void next_row(bool is_float64, std::vector<double>& values) {
        for (size_t column = 0; column < levels_.size(); ++column) {
            levels_[column] *= 1 + 0.001 * gauss_(random_);
            const double value = levels_[column] * (1 + 0.1 * gauss_(random_));
            values[column] = is_float64 ? value : static_cast<double>(static_cast<float>(value));
        }
    }

  private:
    std::mt19937_64 random_;
    std::normal_distribution<double> gauss_;
    std::vector<double> levels_;
};

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

FramePool::FramePool(const std::shared_ptr<const Schema>& schema, const LoadShape& shape,
                     uint64_t seed, size_t bytes)
    : rows_(shape.rows_per_frame) {
    Walk walk(shape.metrics, seed);
    RowsBuilder builder(schema);
    std::vector<double> values(shape.metrics);
    const size_t count = std::max<size_t>(1, bytes / frame_bytes_of(shape));
    for (size_t frame = 0; frame < count; ++frame) {
        for (uint32_t row = 0; row < rows_; ++row) {
            walk.next_row(shape.is_float64, values);
            builder.add(0.0, int64_t{0}, values);
        }
        frames_.push_back(builder.finish(0, 0, 0));
    }
}

Bytes FramePool::stamp(ClientRun& run, uint64_t first_step, int64_t time_us) {
    std::vector<std::byte>& frame = frames_[next_];
    next_ = next_ + 1 < frames_.size() ? next_ + 1 : 0;
    std::byte* const at = frame.data();
    store_le(at + kNumberAt, run.next_number++);
    store_le(at + kHandleAt, run.handle);
    store_le(at + kAttemptAt, run.attempt);
    std::byte* const times = at + kStepsAt + size_t{rows_} * 8;
    for (uint32_t row = 0; row < rows_; ++row) {
        store_le(at + kStepsAt + size_t{row} * 8, static_cast<double>(first_step + row));
        store_le(times + size_t{row} * 8, time_us + row);
    }
    store_le(at + kChecksumAt, frame_checksum(ChecksumKind::kXxh3, frame));
    return frame;
}

}  // namespace stepdb
