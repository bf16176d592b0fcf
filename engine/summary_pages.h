// Summaries of chunks as queries find them out, kept for the next. Of a segment with very many
// blocks, which are of short runs, those of a column in neighbouring blocks lie in one page: a
// table of a hundred thousand runs looks into the cache for a page, and not for each of them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/block_cache.h"
#include "engine/model/summary.h"
#include "engine/segment/segment_reader.h"

namespace stepdb {

// Room for the summaries of some blocks, each of which comes once and then stays. Any thread.
class SummaryPage {
  public:
    explicit SummaryPage(size_t blocks) : slots_(blocks) {}

    // Null if it has not come.
    const Summary* find(size_t at) const {
        const Slot& slot = slots_[at];
        return slot.state.load(std::memory_order_acquire) == State::kThere ? &slot.summary
                                                                           : nullptr;
    }
    void prefetch(size_t at) const {
        // A summary has two lines of the processor's cache, and its state.
        __builtin_prefetch(&slots_[at]);
        __builtin_prefetch(&slots_[at].summary.last);
    }
    // Of two that come at the same time the first stays. Const, since pages are kept in a cache of
    // what does not change: what is there does not.
    void put(size_t at, const Summary& summary) const;

    size_t memory_bytes() const { return sizeof(*this) + slots_.capacity() * sizeof(Slot); }

  private:
    enum class State : uint8_t { kEmpty, kComing, kThere };
    struct Slot {
        std::atomic<State> state = State::kEmpty;
        Summary summary;
    };

    mutable std::vector<Slot> slots_;
};

// The pages that one reader looked into last, and the cache behind them.
class SummaryPages {
  public:
    explicit SummaryPages(BlockCache& cache) : cache_(cache) {}

    static constexpr size_t kPageBlocks = 32;

    // The page of a block's column, and where in it.
    static std::pair<BlockCache::Place, uint32_t> place_of(const SegmentMeta& segment, size_t block,
                                                           uint32_t column);

    // Null if it is not kept. What is found stays until the next call.
    const Summary* find(const SegmentMeta& segment, size_t block, uint32_t column);
    void keep(const SegmentMeta& segment, size_t block, uint32_t column, const Summary& summary);

  private:
    struct Recent {
        BlockCache::Place place;
        std::shared_ptr<const SummaryPage> page;
    };

    // A query is about a few columns.
    static constexpr size_t kRecentPages = 8;

    std::shared_ptr<const SummaryPage>& look_up(const BlockCache::Place& place);

    BlockCache& cache_;
    std::array<Recent, kRecentPages> recent_;
};

}  // namespace stepdb
