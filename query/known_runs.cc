#include "query/known_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/base/check.h"
#include "query/bind.h"

namespace stepdb {

namespace {

// All that tells what patterns select.
std::string written(const std::vector<RunPattern>& patterns) {
    std::string text;
    for (const RunPattern& pattern : patterns) {
        text += fmt::format("{} {} {} {}:{}\n", static_cast<int>(pattern.of),
                            static_cast<int>(pattern.path.kind),
                            pattern.attempt ? int64_t{*pattern.attempt} : -1,
                            pattern.path.text.size(), pattern.path.text);
    }
    return text;
}

}  // namespace

RunList::RunList(std::vector<SelectedRun> runs) : runs_(std::move(runs)) {
    for (size_t i = 0; i < runs_.size(); ++i) {
        runs_[i].place = static_cast<uint32_t>(i);
    }
}

RunList::~RunList() = default;

std::shared_ptr<const RunList::AttributeColumn> RunList::column(const std::string& name) const {
    const auto find = [&](const Columns& columns) {
        const auto at = columns.find(name);
        return std::pair(at == columns.end() ? nullptr : at->second, columns.size() < kColumnsMax);
    };
    const auto [known, has_room] = columns_.with(find);
    if (known != nullptr || !has_room) {
        return known;
    }
    auto made = std::make_shared<AttributeColumn>();
    made->reserve(runs_.size());
    for (const SelectedRun& selected : runs_) {
        const Attributes& all = selected.run->all_attributes();
        const auto at = all.find(name);
        made->push_back(at == all.end() ? nullptr : &at->second);
    }
    return columns_.with(
        [&](Columns& columns) { return columns.try_emplace(name, std::move(made)).first->second; });
}

KnownRuns::Runs KnownRuns::find(const std::shared_ptr<const Catalog>& catalog,
                                const std::vector<RunPattern>& patterns) {
    const std::string text = written(patterns);
    return entries_.with([&](std::list<Entry>& entries) -> Runs {
        const auto at = std::ranges::find_if(entries, [&](const Entry& entry) {
            return entry.patterns == text && entry.catalog.lock() == catalog;
        });
        if (at == entries.end()) {
            return nullptr;
        }
        entries.splice(entries.begin(), entries, at);
        return at->runs;
    });
}

void KnownRuns::keep(const std::shared_ptr<const Catalog>& catalog,
                     const std::vector<RunPattern>& patterns, Runs runs) {
    CHECK(is_worth_keeping(runs->runs().size()), "{} runs", runs->runs().size());
    std::list<Entry> added(1);
    added.front() = {catalog, written(patterns), std::move(runs)};
    std::list<Entry> gone;  // freed when nobody is kept waiting
    entries_.with([&](std::list<Entry>& entries) {
        size_t kept = added.front().runs->runs().size();
        for (auto at = entries.begin(); at != entries.end();) {
            const auto next = std::next(at);
            const bool is_same = at->patterns == added.front().patterns;
            if (is_same || at->catalog.lock() != catalog ||
                kept + at->runs->runs().size() > kRunsMax) {
                gone.splice(gone.end(), entries, at);
            } else {
                kept += at->runs->runs().size();
            }
            at = next;
        }
        entries.splice(entries.begin(), added);
    });
}

}  // namespace stepdb
