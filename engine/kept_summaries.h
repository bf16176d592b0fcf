// Kept summaries of one metric of very many runs: where they lie is found once for a list of runs,
// for all queries about it, so that a table of a hundred thousand runs looks neither into runs nor
// into segments, but into pages of summaries alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/block_cache.h"
#include "engine/model/key.h"
#include "engine/pieces.h"
#include "engine/snapshot.h"
#include "engine/summary_pages.h"

namespace stepdb {

// Where the summaries of a metric are, if they are kept: for each run of a list the one block of a
// segment that has its points. Of one catalog, that of the list; immutable, any thread.
class SummaryPlaces {
  public:
    // `metric` as each of the views reads it; `catalog` is of theirs.
    SummaryPlaces(std::span<const RunView> views, std::string_view metric, const Catalog& catalog,
                  const std::shared_ptr<const SegmentList>& segments);

    // Whether rows lie in these segments still.
    bool are_of(const std::shared_ptr<const SegmentList>& segments) const {
        return !segments_.owner_before(segments) && !segments.owner_before(segments_);
    }
    size_t memory_bytes() const {
        return sizeof(*this) + slots_.capacity() * sizeof(Slot) +
               pages_.capacity() * sizeof(BlockCache::Place);
    }

  private:
    friend class KeptSummaries;

    struct Slot {
        static constexpr uint32_t kNoPage = (uint32_t{1} << 26U) - 1;
        static constexpr uint32_t kAtMax = (uint32_t{1} << 5U) - 1;

        uint32_t page : 26 = kNoPage;  // kNoPage: more is to be thought about
        uint32_t at : 5 = 0;
        uint32_t is_timed : 1 = 0;
    };
    static_assert(sizeof(Slot) == 4);
    static_assert(SummaryPages::kPageBlocks <= Slot::kAtMax + 1);
    class LastColumn;

    uint32_t number_page(const BlockCache::Place& page);

    Slot find_slot(RunView view, LastColumn& last, const SegmentList& segments);

    std::vector<Slot> slots_;  // by view
    std::vector<BlockCache::Place> pages_;
    std::unordered_map<BlockCache::Place, uint32_t, BlockCache::HashPlace> numbers_;  // until then
    std::weak_ptr<const SegmentList> segments_;  // none is kept for what was once asked
};

// The summaries there as a reader sees them. Of one thread; the reader outlives them.
class KeptSummaries {
  public:
    KeptSummaries(std::shared_ptr<const SummaryPlaces> places, const SnapshotPieces& pieces,
                  BlockCache& cache, ReadCost& cost);

    // What SnapshotReader::kept_summary() finds for that run, whose place among the views this is;
    // or nothing, and that is to be asked.
    std::optional<SeriesSummary> find(size_t place, const std::shared_ptr<const Run>& run) {
        // Summaries are looked for in the order of the views, mostly.
        constexpr size_t kAhead = 8;
        if (place + kAhead < places_->slots_.size()) {
            prefetch(places_->slots_[place + kAhead]);
        }
        const SummaryPlaces::Slot slot = places_->slots_[place];
        if (slot.page == SummaryPlaces::Slot::kNoPage ||
            (has_memory_ && pieces_.is_in_memory(run->id))) {
            return std::nullopt;
        }
        Page& page = pages_[slot.page];
        if (!page.was_looked_for) {
            page.page = cache_.find<SummaryPage>(places_->pages_[slot.page]);
            page.was_looked_for = true;
        }
        const Summary* const found = page.page == nullptr ? nullptr : page.page->find(slot.at);
        if (found == nullptr) {
            return std::nullopt;
        }
        ++cost_.summaries_used;
        return SeriesSummary{slot.is_timed != 0 ? Axis::kTimed : Axis::kStepped, *found};
    }

  private:
    struct Page {
        std::shared_ptr<const SummaryPage> page;  // null: none is kept
        bool was_looked_for = false;
    };

    void prefetch(SummaryPlaces::Slot slot) const {
        if (slot.page != SummaryPlaces::Slot::kNoPage && pages_[slot.page].page != nullptr) {
            pages_[slot.page].page->prefetch(slot.at);
        }
    }

    const std::shared_ptr<const SummaryPlaces> places_;
    const SnapshotPieces& pieces_;
    const bool has_memory_;
    BlockCache& cache_;
    ReadCost& cost_;
    std::vector<Page> pages_;
};

}  // namespace stepdb
