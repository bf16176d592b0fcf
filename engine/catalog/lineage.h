// What an attempt reads: itself and, up to the cuts, the attempts and runs above it. DESIGN's rules
// of restarts and forks in one place; readers, deletes and compaction ask here.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/catalog/catalog.h"
#include "engine/model/key.h"

namespace stepdb {

// One level of a lineage: whose points, up to and including which key.
struct LineageLevel {
    std::shared_ptr<const Run> run;
    uint32_t attempt = 0;
    Key cut = kKeyMax;
};

// From the attempt itself upwards; a cut further down also bounds everything above it. Timed
// metrics are not cut by a restart and not inherited by a fork.
std::vector<LineageLevel> lineage(const Catalog& catalog, uint64_t run, uint32_t attempt,
                                  Axis axis);
// The same of a run that is at hand and outlives the levels: it is not looked up.
std::vector<LineageLevel> lineage(const Catalog& catalog, const Run& run, uint32_t attempt,
                                  Axis axis);

// The run at the top of a tree of forks, which fixes the axes of its metrics.
uint64_t fork_root(const Catalog& catalog, uint64_t run);

// Levels above an attempt, itself included.
uint32_t lineage_depth(const Catalog& catalog, const Run& run, uint32_t attempt);

// What anybody still reads of an attempt's own points, forks and newer attempts included: stepped
// keys up to `stepped` (kKeyMin: none), timed ones if `timed`. Everything, unless it is discarded.
struct KeptOfAttempt {
    Key stepped = kKeyMax;
    bool timed = true;
};
KeptOfAttempt kept_of_attempt(const Catalog& catalog, const Run& run, uint32_t attempt);

}  // namespace stepdb
