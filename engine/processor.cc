#include "engine/processor.h"

#include <algorithm>
#include <array>

#include "engine/base/text.h"
#include "engine/codec/kernels.h"
#include "engine/model/value_loops.h"
#include "engine/tail/transpose.h"

namespace stepdb {

namespace {

struct Level {
    std::string_view name;
    KernelLevel kernels;
    ValueLoopLevel loops;
};

constexpr std::array<Level, 3> kLevels = {{
    {"portable", KernelLevel::kPortable, ValueLoopLevel::kPortable},
    {"avx2", KernelLevel::kAvx2, ValueLoopLevel::kAvx2},
    {"avx512", KernelLevel::kAvx512, ValueLoopLevel::kAvx512},
}};

}  // namespace

Status limit_processor(std::string_view level) {
    const auto* const found = std::ranges::find(kLevels, level, &Level::name);
    if (found == kLevels.end()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "'{}' is no level of a processor; it must be portable, avx2 or avx512",
                          printable(level));
    }
    const bool is_wide = found->kernels == KernelLevel::kAvx512;
    if (kernels_of(found->kernels) == nullptr || !has_value_loops(found->loops) ||
        (is_wide && !can_transpose_wide())) {
        return make_error(ErrorCode::kInvalidArgument, "this processor has no {}", level);
    }
    use_kernels(found->kernels);
    use_value_loops(found->loops);
    use_wide_transposition(is_wide);
    return {};
}

}  // namespace stepdb
