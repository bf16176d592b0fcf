#include "engine/catalog_changes.h"

#include <algorithm>
#include <unordered_map>

#include "engine/catalog/lineage.h"
#include "engine/model/limits.h"

namespace stepdb {

namespace {

std::string step_text(Key cut) {
    return fmt::format("step {}", step_of_key(cut));
}

// "at step 40", "from nothing".
std::string restart_text(const Run& run, const Attempt& attempt) {
    return attempt.parent_run == run.id ? "at " + step_text(attempt.parent_cut)
                                        : std::string("with step none");
}

Status check_depth(const Catalog& catalog, const Run& above, uint32_t attempt) {
    const uint32_t depth = lineage_depth(catalog, above, attempt);
    if (depth < kLineageDepthMax) {
        return {};
    }
    return make_error(ErrorCode::kResourceExhausted,
                      "{} attempts and forks lie above {}#{}; at most {} can", depth, above.path(),
                      attempt, kLineageDepthMax);
}

// A record names its run; the run is there unless the log is not as it was written.
Result<std::shared_ptr<Run>> copy_run(const Catalog& catalog, const RecordHeader& header,
                                      Bytes frame) {
    const std::shared_ptr<const Run> run = catalog.find_run(header.run);
    if (run == nullptr) {
        return make_error(ErrorCode::kCorruption,
                          "{} record of sequence {} for run {}, which is not in the catalog",
                          frame_type_name(static_cast<FrameType>(load_le<uint8_t>(&frame[5]))),
                          header.sequence, header.run);
    }
    return std::make_shared<Run>(*run);
}

Status apply_schema(Catalog& catalog, const RecordHeader& header, Bytes frame) {
    TRY_ASSIGN(const SchemaFrame schema_frame, SchemaFrame::decode(frame_body(frame)));
    if (const StoredSchema* known = catalog.find_schema(header.schema)) {
        catalog.put_schema(schema_frame.project, header.schema, known->schema);
        return {};
    }
    TRY_ASSIGN(Schema schema, Schema::decode(schema_frame.piece));
    catalog.put_schema(schema_frame.project, header.schema,
                       std::make_shared<const Schema>(std::move(schema)));
    return {};
}

Status apply_open_run(Catalog& catalog, const RecordHeader& header, Bytes frame) {
    if (catalog.find_run(header.run) != nullptr) {
        return {};
    }
    TRY_ASSIGN(const OpenRunFrame open, OpenRunFrame::decode(frame_body(frame)));
    auto run = std::make_shared<Run>();
    run->id = header.run;
    run->project = open.project;
    run->name = open.run;
    run->created_us = header.receive_time_us;
    run->created_sequence = header.sequence;
    Attempt first;
    first.opened_sequence = header.sequence;
    if (open.is_fork()) {
        const std::shared_ptr<const Run> parent = catalog.find_run(open.project, open.parent);
        if (parent == nullptr) {
            return make_error(ErrorCode::kCorruption,
                              "run {} is a fork of {}/{}, which is not in the catalog", header.run,
                              open.project, open.parent);
        }
        first.parent_run = parent->id;
        first.parent_attempt = parent->newest_attempt().number;
        first.parent_cut = key_of_step(open.fork_step);
        Attributes inherited = inherited_attributes(parent->all_attributes());
        if (!inherited.empty()) {
            run->attributes = std::make_shared<const Attributes>(std::move(inherited));
        }
    }
    run->attempts.push_back(first);
    catalog.put_run(std::move(run));
    return {};
}

Status apply_finish_run(Catalog& catalog, const RecordHeader& header, Bytes frame) {
    TRY_ASSIGN(const FinishRunFrame finish, FinishRunFrame::decode(frame_body(frame)));
    TRY_ASSIGN(const std::shared_ptr<Run> run, copy_run(catalog, header, frame));
    if (finish.attempt == run->newest_attempt().number) {
        run->state = finish.state;
        catalog.put_run(run);
    }
    return {};
}

Status apply_attributes(Catalog& catalog, const RecordHeader& header, Bytes frame) {
    TRY_ASSIGN(const SetAttributesFrame set, SetAttributesFrame::decode(frame_body(frame)));
    TRY_ASSIGN(const std::shared_ptr<Run> run, copy_run(catalog, header, frame));
    auto attributes = std::make_shared<Attributes>(run->all_attributes());
    TRY(apply_attribute_changes(*attributes, set.changes));
    run->attributes = std::move(attributes);
    catalog.put_run(run);
    return {};
}

Status apply_restart(Catalog& catalog, const RecordHeader& header, Bytes frame) {
    TRY_ASSIGN(const RestartRunFrame restart, RestartRunFrame::decode(frame_body(frame)));
    TRY_ASSIGN(const std::shared_ptr<Run> run, copy_run(catalog, header, frame));
    if (run->find_attempt(restart.attempt) != nullptr) {
        return {};
    }
    Attempt attempt;
    attempt.number = restart.attempt;
    attempt.opened_sequence = header.sequence;
    if (const std::optional<Key> cut = restart.cut()) {
        attempt.parent_run = run->id;
        attempt.parent_attempt = run->newest_attempt().number;
        attempt.parent_cut = *cut;
    }
    run->attempts.push_back(attempt);
    run->state = RunState::kRunning;
    catalog.put_run(run);
    return {};
}

Status apply_discard(Catalog& catalog, const RecordHeader& header, Bytes frame) {
    TRY_ASSIGN(const DiscardAttemptFrame discard, DiscardAttemptFrame::decode(frame_body(frame)));
    TRY_ASSIGN(const std::shared_ptr<Run> run, copy_run(catalog, header, frame));
    const auto at = std::ranges::find(run->attempts, discard.attempt, &Attempt::number);
    if (at != run->attempts.end()) {
        at->discarded = true;
        catalog.put_run(run);
    }
    return {};
}

Status apply_delete_metrics(Catalog& catalog, const RecordHeader& header, Bytes frame) {
    TRY_ASSIGN(DeleteMetricsFrame deleted, DeleteMetricsFrame::decode(frame_body(frame)));
    TRY_ASSIGN(const std::shared_ptr<Run> run, copy_run(catalog, header, frame));
    run->deletes.push_back({header.sequence, std::make_shared<const std::vector<std::string>>(
                                                 std::move(deleted.metrics))});
    catalog.put_run(run);
    return {};
}

}  // namespace

Status check_fork(const Catalog& catalog, const OpenRunFrame& open,
                  const std::shared_ptr<const Run>& known) {
    const std::shared_ptr<const Run> parent = catalog.find_run(open.project, open.parent);
    if (known != nullptr) {
        const Attempt& first = known->attempts.front();
        if (parent != nullptr && first.parent_run == parent->id &&
            first.parent_cut == key_of_step(open.fork_step)) {
            return {};
        }
        const std::shared_ptr<const Run> its_parent = catalog.find_run(known->fork_parent());
        return make_error(ErrorCode::kAlreadyExists,
                          "run {} exists and is {}, not a fork of {}/{} at step {}", known->path(),
                          its_parent == nullptr
                              ? std::string("no fork")
                              : fmt::format("a fork of {} at {}", its_parent->path(),
                                            step_text(first.parent_cut)),
                          open.project, open.parent, open.fork_step);
    }
    if (parent == nullptr) {
        return make_error(ErrorCode::kNotFound,
                          "run {}/{} cannot be forked from {}/{}, which does not exist",
                          open.project, open.run, open.project, open.parent);
    }
    return check_depth(catalog, *parent, parent->newest_attempt().number);
}

Status check_restart(const Catalog& catalog, const Run& run, const RestartRunFrame& restart) {
    const Attempt& newest = run.newest_attempt();
    if (const Attempt* there = run.find_attempt(restart.attempt)) {
        if (there->discarded) {
            return failed_precondition(
                fmt::format("attempt {} of run {} was discarded", restart.attempt, run.path()));
        }
        const std::optional<Key> its_cut =
            there->parent_run == run.id ? std::optional<Key>(there->parent_cut) : std::nullopt;
        if (its_cut == restart.cut()) {
            return {};
        }
        return failed_precondition(fmt::format(
            "attempt {} of run {} was opened {}, not {}; all ranks restart at the same step, or "
            "take the next attempt, {}",
            restart.attempt, run.path(), restart_text(run, *there),
            restart.cut() ? "at " + step_text(*restart.cut()) : std::string("with step none"),
            newest.number + 1));
    }
    if (restart.attempt < newest.number) {
        return failed_precondition(fmt::format(
            "attempt {} of run {} was skipped and cannot be opened any more; the newest is {}",
            restart.attempt, run.path(), newest.number));
    }
    return check_depth(catalog, run, newest.number);
}

Status check_attributes(const Run& run, const SetAttributesFrame& set) {
    Attributes attributes = run.all_attributes();
    const Status applied = apply_attribute_changes(attributes, set.changes);
    return applied ? Status() : Status(applied.error().within("run " + run.path()));
}

Status check_discard(const Catalog& catalog, const Run& run, const DiscardAttemptFrame& discard) {
    const Attempt* attempt = run.find_attempt(discard.attempt);
    if (attempt == nullptr) {
        return make_error(ErrorCode::kNotFound, "run {} has no attempt {}; its newest is {}",
                          run.path(), discard.attempt, run.newest_attempt().number);
    }
    if (attempt == &run.newest_attempt()) {
        return failed_precondition(fmt::format(
            "attempt {} is the newest of run {} and cannot be discarded; restart the run first, or "
            "delete it as a whole",
            discard.attempt, run.path()));
    }
    if (!discard.refuse_if_forked) {
        return {};
    }
    std::string names;
    for (const uint64_t id : catalog.forks_of(run.id)) {
        const std::shared_ptr<const Run> fork = catalog.find_run(id);
        if (fork->attempts.front().parent_attempt == discard.attempt) {
            names += (names.empty() ? "" : ", ") + fork->path();
        }
    }
    return names.empty()
               ? Status()
               : Status(failed_precondition(fmt::format(
                     "attempt {} of run {} cannot be deleted while these forks of it exist: {}; "
                     "discarding it keeps what they read",
                     discard.attempt, run.path(), names)));
}

Status check_no_forks(const Catalog& catalog, const Run& run, std::string_view what) {
    const std::vector<uint64_t> forks = catalog.forks_of(run.id);
    if (forks.empty()) {
        return {};
    }
    constexpr size_t kNamed = 20;
    std::string names;
    for (size_t i = 0; i < std::min(forks.size(), kNamed); ++i) {
        names += (i == 0 ? "" : ", ") + catalog.find_run(forks[i])->path();
    }
    if (forks.size() > kNamed) {
        names += fmt::format(" and {} more", forks.size() - kNamed);
    }
    return failed_precondition(
        fmt::format("{} cannot be deleted while forks of the run exist: {}", what, names));
}

Status check_attempt(const Run& run, uint32_t number) {
    const Attempt* attempt = run.find_attempt(number);
    if (attempt == nullptr) {
        return failed_precondition(fmt::format("run {} has no attempt {}; its newest is {}",
                                               run.path(), number, run.newest_attempt().number));
    }
    if (attempt->discarded) {
        return failed_precondition(fmt::format(
            "attempt {} of run {} was discarded and takes no rows", number, run.path()));
    }
    return {};
}

bool changes_catalog(const Catalog& catalog, const RecordHeader& header, Bytes frame) {
    switch (static_cast<FrameType>(load_le<uint8_t>(frame.data() + 5))) {
        case FrameType::kRows:
        case FrameType::kHeartbeat:
            return false;
        case FrameType::kOpenRun:
            return catalog.find_run(header.run) == nullptr;
        case FrameType::kRestartRun: {
            const std::shared_ptr<const Run> run = catalog.find_run(header.run);
            return run == nullptr || run->find_attempt(header.attempt) == nullptr;
        }
        default:
            return true;
    }
}

Status apply_to_catalog(Catalog& catalog, const RecordHeader& header, Bytes frame) {
    TRY_ASSIGN(const FrameHeader frame_header, parse_frame_header(frame));
    switch (frame_header.type) {
        case FrameType::kSchema:
            return apply_schema(catalog, header, frame);
        case FrameType::kOpenRun:
            return apply_open_run(catalog, header, frame);
        case FrameType::kFinishRun:
            return apply_finish_run(catalog, header, frame);
        case FrameType::kSetAttributes:
            return apply_attributes(catalog, header, frame);
        case FrameType::kRestartRun:
            return apply_restart(catalog, header, frame);
        case FrameType::kHeartbeat:
            return {};
        case FrameType::kDiscardAttempt:
            return apply_discard(catalog, header, frame);
        case FrameType::kDeleteMetrics:
            return apply_delete_metrics(catalog, header, frame);
        case FrameType::kDeleteRun:
            catalog.remove_run(header.run);
            return {};
        case FrameType::kSetRetention: {
            TRY_ASSIGN(const SetRetentionFrame set, SetRetentionFrame::decode(frame_body(frame)));
            catalog.set_retention(set.project, set.age_us);
            return {};
        }
        default:
            return make_error(ErrorCode::kCorruption,
                              "record of sequence {} with a frame of type {}", header.sequence,
                              static_cast<unsigned>(frame_header.type));
    }
}

std::vector<uint64_t> expired_runs(const Catalog& catalog, const RunActivities& activities,
                                   int64_t now_us) {
    if (catalog.retention().empty()) {
        return {};
    }
    // Forks have higher ids than their parents, so one pass downwards sees them first.
    std::vector<std::shared_ptr<const Run>> runs;
    for (const auto& [project, age_us] : catalog.retention()) {
        auto at = catalog.runs().lower_bound(RunPath{project, ""});
        for (; at != catalog.runs().end() && (*at)->project == project; ++at) {
            runs.push_back(*at);
        }
    }
    std::ranges::sort(runs, std::greater(), [](const auto& run) { return run->id; });
    std::unordered_map<uint64_t, int64_t> fresh_us;  // of what reads a run
    std::vector<uint64_t> expired;
    for (const auto& run : runs) {
        int64_t last_us = std::max(activities.find(run->id).last_write_us, run->created_us);
        if (run->tags().contains(kKeepTag)) {
            last_us = std::max(last_us, now_us);
        }
        if (const auto at = fresh_us.find(run->id); at != fresh_us.end()) {
            last_us = std::max(last_us, at->second);
        }
        if (const uint64_t parent = run->fork_parent(); parent != 0) {
            const auto [at, added] = fresh_us.try_emplace(parent, last_us);
            at->second = std::max(at->second, last_us);
        }
        if (now_us - last_us > catalog.retention().find(run->project)->second) {
            expired.push_back(run->id);
        }
    }
    return expired;
}

}  // namespace stepdb
