// What a request to /api/ingest logs: rows, attributes and tags of one run, out of the JSON of its
// body; and the frames that carry it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/attribute.h"
#include "engine/model/frame.h"
#include "engine/model/rows.h"

namespace stepdb {

inline constexpr size_t kIngestBodyBytesMax = 8U << 20U;
// Rows of the same metrics behind each other are one frame; so many frames of a request.
inline constexpr size_t kIngestFramesMax = 4096;

struct IngestRequest {
    IngestRequest() = default;

    // Rows of one schema.
    struct Part {
        Part() = default;

        std::shared_ptr<const Schema> schema;
        std::shared_ptr<RowsBuilder> rows;
        uint64_t first_row = 0;  // of the request's
        uint64_t row_count = 0;
    };

    std::string project;
    std::string run;
    std::optional<Id128> writer;
    uint64_t number = 1;
    std::optional<uint32_t> attempt;  // unset: the newest
    std::vector<Part> parts;
    uint64_t row_count = 0;
    std::vector<AttributeChange> changes;
    std::optional<RunState> state;
};

// kInvalidArgument naming what is wrong, and in which row.
Result<IngestRequest> read_ingest_json(std::string_view body);

}  // namespace stepdb
