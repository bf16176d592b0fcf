// A line before the header of a table in which its writer told of the run:
//
//   #{"t_start": 1624568444.14, "env_id": "FetchSlide-v1"}
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "tools/import/byte_source.h"

namespace stepdb {

struct CommentedSource {
    CommentedSource() = default;

    std::optional<std::string> comment;  // the object, without `#`
    uint64_t bytes = 0;                  // that the line took
    ByteSource rest;                     // what follows it
};

// A first line of `#` and an object `{`...`}` is one, if it is no longer than 1 MiB; otherwise
// `rest` is the whole of the source. Errors of the source as they are.
Result<CommentedSource> take_comment(ByteSource source);

}  // namespace stepdb
