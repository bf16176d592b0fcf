// A run: its chain of attempts, attributes and what has been deleted of it. Immutable once in a
// catalog; a change makes a new one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/coding.h"
#include "engine/base/result.h"
#include "engine/model/attribute.h"
#include "engine/model/frame.h"
#include "engine/model/key.h"

namespace stepdb {

// One link of a run's chain of attempts: attempt `number` reads as its parent up to and including
// `parent_cut`, then its own points.
struct Attempt {
    uint32_t number = 0;
    uint64_t parent_run = 0;  // 0: nothing above (no fork's first attempt, or a restart from none)
    uint32_t parent_attempt = 0;
    Key parent_cut = kKeyMax;  // last key read from the parent, in key order
    uint64_t opened_sequence = 0;
    // Reads no more by itself and takes no rows; what attempts and forks below read of it stays.
    bool discarded = false;
};

// Points of these metrics with a sequence up to `sequence` are deleted, in all attempts of the run.
struct MetricDelete {
    uint64_t sequence = 0;
    std::shared_ptr<const std::vector<std::string>> metrics;  // sorted
};

struct Run {
    uint64_t id = 0;
    std::string project;
    std::string name;
    RunState state = RunState::kRunning;
    int64_t created_us = 0;
    uint64_t created_sequence = 0;  // with created_us both 0: not known, the catalog was lost
    std::vector<Attempt> attempts;  // by number, at least one, the last one not discarded
    std::shared_ptr<const Attributes> attributes;  // null: none
    std::vector<MetricDelete> deletes;             // by sequence

    std::string path() const { return project + "/" + name; }
    bool is_creation_known() const { return created_sequence != 0 || created_us != 0; }
    const Attempt& newest_attempt() const { return attempts.back(); }
    const Attempt* find_attempt(uint32_t number) const;

    const Attributes& all_attributes() const;
    const StringSet& tags() const { return tags_of(all_attributes()); }

    // The run it was forked from; 0 if it was not. Stays when a restart reads nothing of it.
    uint64_t fork_parent() const {
        return attempts.front().parent_run == id ? 0 : attempts.front().parent_run;
    }
    // Points of the metric with a sequence up to this are deleted; 0: none.
    uint64_t deleted_through(std::string_view metric) const;

    size_t memory_bytes() const;
};

// As in a catalog checkpoint of format `version` (catalog_file.h).
void encode_run(ByteWriter& writer, const Run& run);
// kCorruption naming the run.
Result<std::shared_ptr<const Run>> decode_run(ByteReader& reader, uint32_t version);

}  // namespace stepdb
