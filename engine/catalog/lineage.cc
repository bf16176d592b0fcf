#include "engine/catalog/lineage.h"

#include <algorithm>

#include "engine/model/limits.h"

namespace stepdb {

namespace {

std::vector<LineageLevel> levels_from(const Catalog& catalog, std::shared_ptr<const Run> at_run,
                                      uint32_t attempt, Axis axis) {
    std::vector<LineageLevel> levels;
    Key cut = kKeyMax;
    while (at_run != nullptr && levels.size() < kLineageDepthMax) {
        const Attempt* at = at_run->find_attempt(attempt);
        if (at == nullptr) {
            break;
        }
        levels.push_back({at_run, attempt, cut});
        const bool is_fork = at->parent_run != at_run->id;
        if (at->parent_run == 0 || (is_fork && axis == Axis::kTimed)) {
            break;
        }
        if (axis == Axis::kStepped) {
            cut = std::min(cut, at->parent_cut);
        }
        attempt = at->parent_attempt;
        if (is_fork) {
            at_run = catalog.find_run(at->parent_run);
        }
    }
    return levels;
}

}  // namespace

std::vector<LineageLevel> lineage(const Catalog& catalog, uint64_t run, uint32_t attempt,
                                  Axis axis) {
    return levels_from(catalog, catalog.find_run(run), attempt, axis);
}

std::vector<LineageLevel> lineage(const Catalog& catalog, const Run& run, uint32_t attempt,
                                  Axis axis) {
    // Owns nothing, and so counts no holders: a hundred thousand runs are asked about at a time.
    const std::shared_ptr<const Run> borrowed(std::shared_ptr<const Run>(), &run);
    return levels_from(catalog, borrowed, attempt, axis);
}

uint64_t fork_root(const Catalog& catalog, uint64_t run) {
    for (uint32_t depth = 0; depth < kLineageDepthMax; ++depth) {
        const std::shared_ptr<const Run> at = catalog.find_run(run);
        if (at == nullptr || at->fork_parent() == 0) {
            break;
        }
        run = at->fork_parent();
    }
    return run;
}

uint32_t lineage_depth(const Catalog& catalog, const Run& run, uint32_t attempt) {
    const Run* at_run = &run;
    std::shared_ptr<const Run> holder;
    uint32_t depth = 0;
    while (at_run != nullptr && depth < kLineageDepthMax) {
        ++depth;
        const Attempt* at = at_run->find_attempt(attempt);
        if (at == nullptr || at->parent_run == 0) {
            break;
        }
        attempt = at->parent_attempt;
        if (at->parent_run != at_run->id) {
            holder = catalog.find_run(at->parent_run);
            at_run = holder.get();
        }
    }
    return depth;
}

KeptOfAttempt kept_of_attempt(const Catalog& catalog, const Run& run, uint32_t attempt) {
    const Attempt* of = run.find_attempt(attempt);
    if (of == nullptr) {
        return {kKeyMin, false};
    }
    if (!of->discarded) {
        return {};
    }
    // Through a reader that is discarded itself, only what is read of that one counts.
    KeptOfAttempt kept{kKeyMin, false};
    for (const Attempt& below : run.attempts) {
        if (below.parent_run == run.id && below.parent_attempt == attempt) {
            const KeptOfAttempt through = kept_of_attempt(catalog, run, below.number);
            kept.stepped = std::max(kept.stepped, std::min(below.parent_cut, through.stepped));
            kept.timed = kept.timed || through.timed;
        }
    }
    for (const uint64_t id : catalog.forks_of(run.id)) {
        const std::shared_ptr<const Run> fork = catalog.find_run(id);
        if (fork != nullptr && fork->attempts.front().parent_attempt == attempt) {
            const Key through =
                kept_of_attempt(catalog, *fork, fork->attempts.front().number).stepped;
            kept.stepped =
                std::max(kept.stepped, std::min(fork->attempts.front().parent_cut, through));
        }
    }
    return kept;
}

}  // namespace stepdb
