// What `stepdb inspect` makes of a file, which may be as broken as it likes.
#pragma once

#include "engine/inspect.h"

namespace stepdb {

class CheckingSink final : public InspectSink {
  public:
    void part(std::string_view name, bool is_record, std::vector<ResultColumn> columns,
              const ResultBlock& rows) override {
        CHECK(columns.size() == rows.width() && rows.is_complete(), "part {}", name);
        CHECK(!is_record || rows.rows() == 1, "part {} of {} rows", name, rows.rows());
    }
};

inline void inspect_quietly(Bytes file, std::optional<uint64_t> block = {}) {
    CheckingSink sink;
    InspectOptions options;
    options.block = block;
    const Status status = inspect_file(file, options, sink);
    CHECK(status || !status.error().message().empty(), "an error without words");
}

}  // namespace stepdb
