#include "query/known_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/base/check.h"
#include "query/bind.h"

namespace stepdb {

namespace {

// All that tells what patterns select.
std::string written(const std::vector<RunPattern>& patterns, std::string_view reading_key) {
    std::string text = fmt::format("{}\n", reading_key);
    for (const RunPattern& pattern : patterns) {
        text += fmt::format("{} {} {} {}:{}\n", static_cast<int>(pattern.of),
                            static_cast<int>(pattern.path.kind),
                            pattern.attempt ? int64_t{*pattern.attempt} : -1,
                            pattern.path.text.size(), pattern.path.text);
    }
    return text;
}

// Without holding it: whoever holds a catalog last frees all of it.
bool is_of(const std::weak_ptr<const Catalog>& of, const std::shared_ptr<const Catalog>& catalog) {
    return !of.owner_before(catalog) && !catalog.owner_before(of);
}

size_t memory_of(const SelectedRun& selected) {
    size_t bytes = sizeof(SelectedRun) + selected.label.capacity();
    for (const Capture& capture : selected.captures) {
        bytes += sizeof(Capture) + capture.name.capacity() + capture.text.capacity();
    }
    return bytes;
}

}  // namespace

void AttributeColumn::push_back(const AttributeValue* value) {
    Cell& cell = cells_.emplace_back();
    if (value == nullptr) {
        return;
    }
    const Value plain = Value::of_attribute(*value);
    cell.kind = plain.kind;
    switch (plain.kind) {
        case Value::Kind::kNumber:
            cell.number = plain.number;
            break;
        case Value::Kind::kText: {
            const auto& text = std::get<std::string>(*value);
            cell.text = texts_.try_emplace(text, &text).first->second;
            break;
        }
        case Value::Kind::kTexts:
            cell.texts = plain.texts;
            break;
        default:
            cell.integer = plain.integer;
    }
}

Value AttributeColumn::value(size_t at) const {
    const Cell& cell = cells_[at];
    Value value;
    value.kind = cell.kind;
    switch (cell.kind) {
        case Value::Kind::kNumber:
            value.number = cell.number;
            break;
        case Value::Kind::kText:
            value.text = *cell.text;
            break;
        case Value::Kind::kTexts:
            value.texts = cell.texts;
            break;
        default:
            value.integer = cell.integer;
    }
    return value;
}

RunList::RunList(std::vector<SelectedRun> runs) : runs_(std::move(runs)) {
    constexpr size_t kCellBytes = 16;         // of an attribute
    constexpr size_t kSummaryPlaceBytes = 6;  // with a share of the page
    memory_bytes_ =
        runs_.size() * (kColumnsMax * (kCellBytes + kSummaryPlaceBytes) + sizeof(uint64_t));
    ids_.reserve(runs_.size());
    for (size_t i = 0; i < runs_.size(); ++i) {
        runs_[i].place = static_cast<uint32_t>(i);
        memory_bytes_ += memory_of(runs_[i]);
        ids_.push_back(runs_[i].run->id);
    }
    std::ranges::sort(ids_);
    ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
}

RunList::~RunList() = default;

std::shared_ptr<const AttributeColumn> RunList::find_column(const std::string& name) const {
    return columns_.with([&](const auto& columns) {
        const auto at = columns.find(name);
        return at == columns.end() ? nullptr : at->second;
    });
}

std::shared_ptr<const AttributeColumn> RunList::make_column(const std::string& name) const {
    auto made = std::make_shared<AttributeColumn>();
    made->reserve(runs_.size());
    for (const SelectedRun& selected : runs_) {
        const Attributes& all = selected.run->all_attributes();
        const auto at = all.find(name);
        made->push_back(at == all.end() ? nullptr : &at->second);
    }
    made->finish();
    Columns<AttributeColumn> gone;  // freed when nobody is kept waiting
    return columns_.with([&](auto& columns) {
        if (columns.size() == kColumnsMax && !columns.contains(name)) {
            gone.insert(columns.extract(columns.begin()));
        }
        return columns.try_emplace(name, std::move(made)).first->second;
    });
}

std::shared_ptr<const SummaryPlaces> RunList::find_summaries(const std::string& metric) const {
    return summaries_.with([&](const auto& summaries) {
        const auto at = summaries.find(metric);
        return at == summaries.end() ? nullptr : at->second;
    });
}

void RunList::keep_summaries(const std::string& metric,
                             std::shared_ptr<const SummaryPlaces> places) const {
    Columns<SummaryPlaces> gone;
    summaries_.with([&](auto& summaries) {
        if (summaries.size() == kColumnsMax && !summaries.contains(metric)) {
            gone.insert(summaries.extract(summaries.begin()));
        }
        std::swap(summaries[metric], places);
    });
}

KnownRuns::Runs KnownRuns::find(const std::shared_ptr<const Catalog>& catalog,
                                const std::vector<RunPattern>& patterns,
                                std::string_view reading_key) {
    const std::string text = written(patterns, reading_key);
    std::list<Entry> gone;
    return entries_.with([&](std::list<Entry>& entries) -> Runs {
        Runs found;
        for (auto at = entries.begin(); at != entries.end();) {
            const auto next = std::next(at);
            if (!is_of(at->catalog, catalog)) {
                gone.splice(gone.end(), entries, at);
            } else if (at->patterns == text) {
                found = at->runs;
                entries.splice(entries.begin(), entries, at);
            }
            at = next;
        }
        return found;
    });
}

void KnownRuns::keep(const std::shared_ptr<const Catalog>& catalog,
                     const std::vector<RunPattern>& patterns, Runs runs,
                     std::string_view reading_key) {
    std::list<Entry> added(1);
    added.front() = {catalog, written(patterns, reading_key), std::move(runs)};
    size_t kept_bytes = added.front().memory_bytes();
    if (!are_enough(added.front().runs->runs().size()) || kept_bytes > kBytesMax) {
        return;
    }
    std::list<Entry> gone;
    entries_.with([&](std::list<Entry>& entries) {
        for (auto at = entries.begin(); at != entries.end();) {
            const auto next = std::next(at);
            const bool is_same = at->patterns == added.front().patterns;
            if (is_same || kept_bytes + at->memory_bytes() > kBytesMax) {
                gone.splice(gone.end(), entries, at);
            } else {
                kept_bytes += at->memory_bytes();
            }
            at = next;
        }
        entries.splice(entries.begin(), added);
    });
}

}  // namespace stepdb
