#include "engine/catalog/run_activity.h"

#include <algorithm>
#include <bit>

namespace stepdb {

namespace {

struct PagePlace {
    explicit PagePlace(uint64_t run)
        : page(run / RunActivityPage::kRuns),
          at(run % RunActivityPage::kRuns),
          bit(uint64_t{1} << at) {}

    uint64_t page;
    uint64_t at;
    uint64_t bit;
};

RunActivity activity_in(const RunActivityPage& page, PagePlace place) {
    return (page.known & place.bit) != 0 ? page.runs[place.at] : RunActivity();
}

}  // namespace

RunActivity SharedRunActivities::find(uint64_t run) const {
    const PagePlace place(run);
    const auto page = std::ranges::lower_bound(pages_, place.page, {}, &Pages::value_type::first);
    return page == pages_.end() || page->first != place.page ? RunActivity()
                                                             : activity_in(*page->second, place);
}

// A page that was shared stays as it is. Whether anyone still has it is not asked: the count of
// holders would tell nothing about what they have read.
RunActivityPage& RunActivities::change(Page& page) {
    shared_ = nullptr;
    if (page.page == nullptr || page.made_at != shares_) {
        page.page = page.page == nullptr ? std::make_shared<RunActivityPage>()
                                         : std::make_shared<RunActivityPage>(*page.page);
        page.made_at = shares_;
    }
    return *page.page;
}

RunActivity& RunActivities::of(uint64_t run) {
    const PagePlace place(run);
    RunActivityPage& page = change(pages_[place.page]);
    page.known |= place.bit;
    return page.runs[place.at];
}

RunActivity RunActivities::find(uint64_t run) const {
    const PagePlace place(run);
    const auto page = pages_.find(place.page);
    return page == pages_.end() ? RunActivity() : activity_in(*page->second.page, place);
}

void RunActivities::remove(uint64_t run) {
    const PagePlace place(run);
    const auto found = pages_.find(place.page);
    if (found == pages_.end()) {
        return;
    }
    RunActivityPage& page = change(found->second);
    page.known &= ~place.bit;
    page.runs[place.at] = RunActivity();
    if (page.known == 0) {
        pages_.erase(found);
    }
}

std::shared_ptr<const SharedRunActivities> RunActivities::share() const {
    if (shared_ == nullptr) {
        SharedRunActivities::Pages pages;
        pages.reserve(pages_.size());
        for (const auto& [number, page] : pages_) {
            pages.emplace_back(number, page.page);
        }
        std::ranges::sort(pages, {}, &SharedRunActivities::Pages::value_type::first);
        shared_ = std::make_shared<const SharedRunActivities>(std::move(pages));
        ++shares_;
    }
    return shared_;
}

void RunActivities::encode(ByteWriter& writer) const {
    uint64_t count = 0;
    for (const auto& [number, page] : pages_) {
        count += static_cast<uint64_t>(std::popcount(page.page->known));
    }
    writer.put(count);
    for (const auto& [number, page] : pages_) {
        for (uint64_t bits = page.page->known; bits != 0; bits &= bits - 1) {
            const auto at = static_cast<uint64_t>(std::countr_zero(bits));
            const RunActivity& activity = page.page->runs[at];
            writer.put(number * RunActivityPage::kRuns + at);
            writer.put(activity.last_write_us);
            writer.put(activity.last_sign_us);
            writer.put(activity.writers);
        }
    }
}

Status RunActivities::decode(ByteReader& reader) {
    constexpr uint64_t kEntryBytes = 28;
    const auto count = reader.get<uint64_t>();
    if (reader.failed() || count > reader.remaining() / kEntryBytes) {
        return make_error(ErrorCode::kCorruption, "catalog: activity of {} runs in {} bytes", count,
                          reader.remaining());
    }
    for (uint64_t i = 0; i < count; ++i) {
        RunActivity& activity = of(reader.get<uint64_t>());
        activity.last_write_us = reader.get<int64_t>();
        activity.last_sign_us = reader.get<int64_t>();
        activity.writers = reader.get<uint32_t>();
    }
    return {};
}

}  // namespace stepdb
