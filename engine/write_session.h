// What the write path knows of a connection; private to it.
#pragma once

#include "engine/write_path.h"

namespace stepdb {

// A run handle of a connection.
struct WritePath::Handle {
    uint64_t run = 0;
    WriterState* writer = nullptr;  // stays where it is while a session holds it
    // The group of the last rows frame: the next one is mostly of the same. Not to be looked at
    // once the run is deleted.
    SeriesGroup* last_group = nullptr;
};

struct WritePath::Claim {
    Handle* handle = nullptr;
    std::shared_ptr<const Run> run;
};

struct WritePath::Session {
    Session(uint64_t its_id, const Id128& its_writer, OutcomeSink& its_sink)
        : id(its_id), writer(its_writer), sink(&its_sink) {}

    uint64_t id;
    Id128 writer;
    OutcomeSink* sink;                     // null once closed
    std::shared_ptr<const Rights> rights;  // null: everything
    uint64_t ordinals = 0;
    std::unordered_map<uint32_t, Handle> handles;
    // Schemas that come in pieces, by hash; at most one at a time is under way.
    SchemaHash partial_schema;
    std::vector<std::byte> partial_bytes;
    // Schemas and handles, in session_bytes_ of the write path.
    size_t schema_bytes = 0;
    size_t handle_bytes = 0;
    // Whose number the frame being accepted has used up.
    WriterState* claimed = nullptr;
    // Outcomes told since the last flush_outcomes.
    uint64_t durable_ordinal = 0;
    uint64_t late_rows = 0;
};

}  // namespace stepdb
