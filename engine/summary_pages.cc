#include "engine/summary_pages.h"

#include "engine/model/limits.h"

namespace stepdb {

namespace {

static_assert(kSchemaMetricsMax < BlockCache::kSummaries);

// Segments with as many blocks have pages, of kPageBlocks each; of others each summary has one of
// its own, as they are of wide rows, and who asks for one may ask for no other.
constexpr size_t kBlocksWithPages = 256;

size_t page_blocks(const SegmentMeta& segment) {
    return segment.blocks().size() >= kBlocksWithPages ? SummaryPages::kPageBlocks : 1;
}

}  // namespace

void SummaryPage::put(size_t at, const Summary& summary) const {
    Slot& slot = slots_[at];
    State empty = State::kEmpty;
    if (slot.state.compare_exchange_strong(empty, State::kComing, std::memory_order_acq_rel)) {
        slot.summary = summary;
        slot.state.store(State::kThere, std::memory_order_release);
    }
}

// The page at the place, as far as the cache has one, among those used last.
std::shared_ptr<const SummaryPage>& SummaryPages::look_up(const BlockCache::Place& place) {
    Recent& recent = recent_[(place.part + place.file_id) % kRecentPages];
    if (recent.page == nullptr || !(recent.place == place)) {
        recent = {place, cache_.find<SummaryPage>(place)};
    }
    return recent.page;
}

std::pair<BlockCache::Place, uint32_t> SummaryPages::place_of(const SegmentMeta& segment,
                                                              size_t block, uint32_t column) {
    const size_t blocks = page_blocks(segment);
    return {{segment.file_id(), block / blocks, BlockCache::kSummaries + column},
            static_cast<uint32_t>(block % blocks)};
}

const Summary* SummaryPages::find(const SegmentMeta& segment, size_t block, uint32_t column) {
    const auto [place, at] = place_of(segment, block, column);
    const auto& page = look_up(place);
    return page == nullptr ? nullptr : page->find(at);
}

void SummaryPages::keep(const SegmentMeta& segment, size_t block, uint32_t column,
                        const Summary& summary) {
    const auto [place, at] = place_of(segment, block, column);
    if (look_up(place) == nullptr) {
        const auto made = std::make_shared<const SummaryPage>(page_blocks(segment));
        cache_.put(place, made, made->memory_bytes());
    }
    // Another reader may have been quicker, or the cache too small.
    if (const auto& page = look_up(place)) {
        page->put(at, summary);
    }
}

}  // namespace stepdb
