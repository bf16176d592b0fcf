// JSON as RFC 8259 has it, and the bare words NaN, Infinity and -Infinity that Python writes. A
// text is walked once and its leaves are handed on as they come, with the path that leads to them;
// nothing is built. Numbers are the nearest double, whatever they are. (Boost.JSON 1.81 knows
// neither the words nor exact numbers; both came later.)
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace stepdb {

enum class JsonKind : uint8_t { kNumber, kBool, kNull, kString, kArray };

struct JsonLeaf {
    std::string_view path;  // "info/learner/kl": the keys, joined by `/`
    JsonKind kind = JsonKind::kNull;
    double number = 0;  // of kNumber and kBool
    // Of kNumber and kArray as written, of kString without quotes and escapes.
    std::string_view text;
};

// Takes a leaf, which lasts for the call. An error ends the scan.
using JsonSink = std::function<Status(const JsonLeaf&)>;

// The leaves of one object; objects within it are walked, arrays are leaves. kInvalidArgument with
// the column if the text is no object, or objects lie deeper than kJsonDepthMax in each other.
Status scan_json_object(std::string_view text, const JsonSink& sink);

// The same of an array: its elements, with an empty path, are leaves; objects in it are walked.
Status scan_json_array(std::string_view text, const JsonSink& sink);

// The elements of an array, each as it is written; kInvalidArgument with the column if it is none.
Status scan_json_elements(std::string_view text,
                          const std::function<Status(std::string_view)>& take);

inline constexpr int kJsonDepthMax = 64;

}  // namespace stepdb
