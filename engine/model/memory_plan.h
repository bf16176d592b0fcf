// How the bytes of --memory are shared out. The sum of the parts is the whole, so a server that
// keeps each within its bound keeps within --memory.
//
// `rest` is what no counter sees: program and libraries (about 20 MiB), stacks, log buffers
// (13 MiB), the scratch of sealing and of writing files, and what the allocator cannot give back.
#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/model/limits.h"

namespace stepdb {

struct MemoryPlan {
    size_t total = 0;
    size_t flush = 0;   // live rows at which a flush starts
    size_t rows = 0;    // rows at which frames wait: those being flushed, newer and pinned ones
    size_t pinned = 0;  // of `rows`, held by snapshots alone, at which the oldest query ends
    // Catalog, writers, indexes of segments. Half of it is apart; the other half is taken from
    // `rows` as it is needed, where flushes then start earlier.
    size_t resident = 0;
    size_t receive = 0;  // frames received and not yet answered, and half received ones
    size_t results = 0;  // answers computed and not yet sent
    size_t query = 0;    // what queries compute with
    size_t cache = 0;    // columns of segments that queries have read, kept for the next
    size_t merge = 0;    // what a merge of segments takes, about
    size_t rest = 0;
    size_t kept = 0;  // of `rest`, large buffers kept for the next (engine/base/page_heap.h)
    // Large buffers in use and kept together: what is not in use of the parts that are made of them
    // can be kept besides.
    size_t held = 0;
    size_t tail = 0;  // of `rows`, the rows of one schema that are made a block at once

    static constexpr MemoryPlan of(size_t total) {
        constexpr size_t kFixed = 64U << 20U;
        MemoryPlan plan;
        plan.total = total;
        const size_t beyond = total - std::min(total, kFixed);
        plan.merge = std::min<size_t>(beyond / 8, kMergeBytesMax);
        const size_t shared = beyond - plan.merge;
        plan.flush = std::min<size_t>(shared / 4, kMemoryBlocksBytesMax);
        plan.rows = 2 * plan.flush;
        plan.pinned = plan.flush / 2;
        plan.receive = std::min<size_t>(shared / 8, kReceiveBytesMax);
        plan.results = shared / 16;
        plan.query = shared * 3 / 32;
        plan.resident = shared / 4;
        plan.tail = std::clamp<size_t>(plan.flush / 3, 8U << 20U, kTailBytesMax);
        plan.kept = std::min<size_t>(total / 16, kKeptBuffersBytesMax);
        plan.held = plan.rows + plan.receive + plan.merge + plan.kept;
        plan.rest = total - plan.rows - plan.receive - plan.results - plan.query -
                    plan.resident / 2 - plan.merge;
        // Half of what is left where much is, as the parts that have bounds do not need it.
        plan.cache = shared / 32 + (plan.rest - shared * 3 / 32 - std::min(total, kFixed)) / 2;
        plan.rest -= plan.cache;
        return plan;
    }
};

}  // namespace stepdb
