#include "engine/lost_catalog.h"

#include <algorithm>

namespace stepdb {

void take_segment_names(PublishedCatalog& published, const SegmentMeta& segment,
                        const SegmentNames& names) {
    Catalog& catalog = published.edit();
    for (const SegmentNames::Run& named : names.runs) {
        if (catalog.find_run(named.id) == nullptr) {
            auto run = std::make_shared<Run>();
            run->id = named.id;
            run->project = named.project;
            run->name = named.name;
            run->attempts.emplace_back();
            catalog.put_run(std::move(run));
        }
    }
    for (const SegmentBlock& block : segment.blocks()) {
        const auto schema = std::ranges::find_if(
            names.schemas, [&](const auto& named) { return named.id == block.info.schema; });
        const std::shared_ptr<const Run> run = catalog.find_run(block.info.run);
        guess_attempt(published, block.info.run, block.info.attempt);
        if (schema != names.schemas.end() && run != nullptr) {
            catalog.put_schema(run->project, schema->id, schema->schema);
        }
    }
}

void guess_attempt(PublishedCatalog& published, uint64_t run_id, uint32_t number) {
    const std::shared_ptr<const Run> run = published.get().find_run(run_id);
    if (run == nullptr || run->find_attempt(number) != nullptr) {
        return;
    }
    auto changed = std::make_shared<Run>(*run);
    Attempt attempt;
    attempt.number = number;
    const auto after = std::ranges::upper_bound(changed->attempts, number, {}, &Attempt::number);
    const auto at = changed->attempts.insert(after, attempt);
    const auto read_the_one_before = [&](auto each) {
        each->parent_run = run->id;
        each->parent_attempt = std::prev(each)->number;
    };
    if (at != changed->attempts.begin()) {
        read_the_one_before(at);
    }
    if (std::next(at) != changed->attempts.end() && std::next(at)->opened_sequence == 0) {
        read_the_one_before(std::next(at));
    }
    published.edit().put_run(std::move(changed));
}

void forget_guessed_attempts(PublishedCatalog& published, const RecordHeader& record, Bytes frame) {
    const std::shared_ptr<const Run> run = published.get().find_run(record.run);
    if (static_cast<FrameType>(load_le<uint8_t>(frame.data() + 5)) != FrameType::kRestartRun ||
        run == nullptr) {
        return;
    }
    const auto is_guessed = [&](const Attempt& attempt) {
        return attempt.number >= record.attempt && attempt.opened_sequence == 0;
    };
    auto changed = std::make_shared<Run>(*run);
    if (std::erase_if(changed->attempts, is_guessed) == 0) {
        return;
    }
    if (changed->attempts.empty()) {
        // Of the one that was restarted nothing is left but that it was there.
        changed->attempts.emplace_back().number = record.attempt == 0 ? 0 : record.attempt - 1;
    }
    published.edit().put_run(std::move(changed));
}

}  // namespace stepdb
