// Rows frames of noisy float32 values, for the benchmarks of what takes them in.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/model/rows.h"

namespace stepdb {

inline std::shared_ptr<const Schema> noisy_schema(uint32_t metrics) {
    std::vector<std::string> names;
    for (uint32_t column = 0; column < metrics; ++column) {
        names.push_back(fmt::format("layers/{}/grad_norm", column));
    }
    return std::make_shared<const Schema>(*Schema::create(Axis::kStepped, names));
}

// Frame f has number f + 1 and the steps from f * rows on.
inline std::vector<std::vector<std::byte>> noisy_frames(const std::shared_ptr<const Schema>& schema,
                                                        uint32_t rows, size_t count) {
    std::vector<std::vector<std::byte>> frames;
    std::vector<double> values(schema->width());
    RowsBuilder builder(schema);
    uint64_t state = 1;
    for (size_t frame = 0; frame < count; ++frame) {
        for (uint32_t row = 0; row < rows; ++row) {
            for (double& value : values) {
                state = state * 6364136223846793005ULL + 1442695040888963407ULL;
                const double noise = static_cast<double>(state >> 40U) / (1U << 24U) - 0.5;
                value = static_cast<double>(static_cast<float>(1 + 0.2 * noise));
            }
            const auto step = static_cast<double>(frame * rows + row);
            builder.add(step, int64_t{1'700'000'000'000'000} + static_cast<int64_t>(step), values);
        }
        frames.push_back(builder.finish(1, 0, frame + 1));
    }
    return frames;
}

}  // namespace stepdb
