// What one value of a TensorBoard summary is: a scalar, in any of the encodings that its writers
// have used, or something else.
//
//   tag 1, simple_value 2 (float), image 4, histogram 5, audio 6, tensor 8, metadata 9
//
// The fields are those of summary.proto and tensor.proto of TensorFlow.
#pragma once

#include <optional>
#include <string_view>

#include "engine/base/bytes.h"
#include "engine/base/result.h"

namespace stepdb {

struct SummaryValue {
    std::string_view tag;  // into the message
    // Of simple_value, and of a tensor of one element of a numeric type: float, double, half,
    // bfloat16, float8, signed and unsigned integers, bool; in tensor_content or in the list of
    // its type. float32 is widened by its bits, integers beyond 2^53 become the nearest double.
    std::optional<double> scalar;
    std::string_view kind;  // of what is no scalar: "histograms", "images"
};

// kCorruption if this is no such message.
Result<SummaryValue> read_summary_value(Bytes message);

}  // namespace stepdb
