// Loops over values come in variants by what the processor has: AVX-512, AVX2, or neither
// (codec/kernels.h, model/value_loops.h, tail/transpose.h). The best are in use from the start; all
// give the same bytes, which tests and whoever compares machines hold against each other.
#pragma once

#include <string_view>

#include "engine/base/result.h"

namespace stepdb {

// From now on, in all threads, none that take more than `level`: "portable", "avx2" or "avx512".
// kInvalidArgument if it is none of these, or the processor has not as much.
Status limit_processor(std::string_view level);

}  // namespace stepdb
