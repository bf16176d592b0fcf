// What is in one file of a store, for people and scripts: the parts of the file by docs/format.md,
// each a table. Needs the file alone, and goes on as far as a damaged one can be read.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/model/result_columns.h"

namespace stepdb {

// Takes the parts in the order of the file.
class InspectSink {
  public:
    virtual ~InspectSink() = default;
    // `is_record`: one row, which reads better as a list of its fields.
    virtual void part(std::string_view name, bool is_record, std::vector<ResultColumn> columns,
                      const ResultBlock& rows) = 0;
};

struct InspectOptions {
    InspectOptions() = default;

    // Of a segment: look into this one, and show nothing else.
    std::optional<uint64_t> block;
    // The file's name in the store. Tells the kind of one whose beginning does not.
    std::string name;
};

// Tells the kind of the file by how it begins, or else by its name. The first damage comes back as
// an error that names its byte and what was expected there; kInvalidArgument if it is no file of a
// store.
Status inspect_file(Bytes file, const InspectOptions& options, InspectSink& sink);

}  // namespace stepdb
