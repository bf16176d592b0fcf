#include "engine/kept_summaries.h"

#include <utility>

#include "engine/base/check.h"

namespace stepdb {

// Consecutive runs share schemas, so that the column is looked for where they do not.
class SummaryPlaces::LastColumn {
  public:
    LastColumn(const Catalog& catalog, std::string_view metric)
        : catalog_(catalog), metric_(metric) {}

    void go_to(uint64_t schema) {
        if (schema_ != nullptr && schema_->id == schema) {
            return;
        }
        schema_ = catalog_.find_schema(schema);
        CHECK(schema_ != nullptr, "schema {} of a block is not in the catalog", schema);
        column_ = schema_->schema->find(metric_);
    }
    std::optional<uint32_t> column() const { return column_; }
    Axis axis() const { return schema_->schema->axis(); }

  private:
    const Catalog& catalog_;
    const std::string_view metric_;
    const StoredSchema* schema_ = nullptr;
    std::optional<uint32_t> column_;
};

SummaryPlaces::SummaryPlaces(std::span<const RunView> views, std::string_view metric,
                             const Catalog& catalog,
                             const std::shared_ptr<const SegmentList>& segments)
    : segments_(segments) {
    LastColumn last(catalog, metric);
    slots_.reserve(views.size());
    for (const RunView view : views) {
        slots_.push_back(find_slot(view, last, *segments));
    }
    numbers_ = {};
}

uint32_t SummaryPlaces::number_page(const BlockCache::Place& page) {
    const auto [at, is_new] =
        numbers_.try_emplace(page, static_cast<uint32_t>(pages_.size()) & Slot::kNoPage);
    if (is_new) {
        CHECK(pages_.size() < Slot::kNoPage, "{} pages of summaries", pages_.size());
        pages_.push_back(page);
    }
    return at->second;
}

// As SnapshotReader::kept_summary() finds it.
SummaryPlaces::Slot SummaryPlaces::find_slot(RunView view, LastColumn& last,
                                             const SegmentList& segments) {
    const Attempt* const attempt = view.run->find_attempt(view.attempt);
    if (attempt == nullptr || attempt->parent_run != 0 || !view.run->deletes.empty()) {
        return {};
    }
    const std::optional<SettledBlocks> settled = find_in_segments(segments, view.run->id);
    Slot slot;
    for (size_t i = 0; settled && i < settled->count; ++i) {
        const SegmentMeta& segment = *settled->segments[i];
        const BlockInfo& info = segment.blocks()[settled->blocks[i]].info;
        if (info.attempt != view.attempt) {
            continue;
        }
        last.go_to(info.schema);
        if (!last.column() || !info.may_hold(*last.column())) {
            continue;
        }
        if (slot.page != Slot::kNoPage) {
            return {};
        }
        const auto [page, at] = SummaryPages::place_of(segment, settled->blocks[i], *last.column());
        slot.page = number_page(page) & Slot::kNoPage;
        slot.at = at & Slot::kAtMax;
        slot.is_timed = last.axis() == Axis::kTimed ? 1 : 0;
    }
    return slot;
}

KeptSummaries::KeptSummaries(std::shared_ptr<const SummaryPlaces> places,
                             const SnapshotPieces& pieces, BlockCache& cache, ReadCost& cost)
    : places_(std::move(places)),
      pieces_(pieces),
      has_memory_(pieces.has_memory()),
      cache_(cache),
      cost_(cost),
      pages_(places_->pages_.size()) {}

}  // namespace stepdb
