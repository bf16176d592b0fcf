// How much memory the store holds, counted while it grows and read from any thread. The bounds come
// from the engine's options; engine/model/memory_plan.h says how --memory is shared out.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>

#include "engine/base/memory_budget.h"

namespace stepdb {

struct StoreMemory {
    static constexpr size_t kSharedMax = 64U << 20U;

    StoreMemory(size_t rows_bytes_max, size_t resident_bytes_max)
        : rows(std::make_shared<MemoryBudget>(rows_bytes_max)),
          shared(std::make_shared<MemoryBudget>(std::min(rows_bytes_max / 12, kSharedMax))),
          resident_max(resident_bytes_max),
          borrowed(rows) {}

    // Tails, sealed blocks and superseded catalogs, as long as anybody holds them. At its bound
    // frames wait for a flush.
    const std::shared_ptr<MemoryBudget> rows;
    // The part of `rows` that is groups of the log in which rows of tails lie, whole.
    const std::shared_ptr<MemoryBudget> shared;
    // The part of `rows` that the store itself holds: what a flush moves to disk.
    std::atomic<size_t> live{0};
    // What grows with runs, schemas, writers and segments and stays. Past its bound frames that
    // would add to it are refused.
    // Half of it is its own; the other half is taken from `rows` as it is needed.
    std::atomic<size_t> resident{0};
    const size_t resident_max;

    void set_resident(size_t bytes) {
        resident.store(bytes, std::memory_order_relaxed);
        borrowed.set(bytes - std::min(bytes, resident_max / 2));
        borrowed_bytes.store(borrowed.bytes(), std::memory_order_relaxed);
    }

    // What only snapshots still hold.
    size_t pinned() const {
        const size_t all = rows->used();
        return all - std::min(all, live.load(std::memory_order_relaxed) +
                                       borrowed_bytes.load(std::memory_order_relaxed));
    }

    MemoryCharge borrowed;  // of `rows`, for what is resident; the engine's thread alone
    std::atomic<size_t> borrowed_bytes{0};
};

}  // namespace stepdb
