// A name, or what selects names, as it was written.
#pragma once

#include <cstdint>
#include <string>

#include "query/diagnostic.h"

namespace stepdb {

enum class PatternKind : uint8_t {
    kExact,  // a quoted literal, or a word without `*` and braces
    kGlob,   // a word with `*`, `**` or `{name}`
    kRegex,  // RE2, found anywhere in the name
};

struct Pattern {
    PatternKind kind = PatternKind::kExact;
    std::string text;
    SourceSpan span;
};

}  // namespace stepdb
