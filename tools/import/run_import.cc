#include "tools/import/run_import.h"

#include <algorithm>

#include "engine/base/checksum.h"
#include "engine/model/frame.h"
#include "tools/import/point_counter.h"
#include "tools/import/row_sender.h"

namespace stepdb {

Result<PlannedFile> plan_file(std::string path, LogOpener open,
                              const std::function<void(uint64_t)>& progress) {
    PlannedFile file;
    TRY_ASSIGN(const auto log, open(path, UINT64_MAX));
    SchemaPlanner planner;
    LogRow row;
    for (;;) {
        const Result<bool> more = log->next(row);
        if (!more && log->counts().read == 0) {
            return more.error();
        }
        if (!more) {
            file.broken = more.error();
        }
        if (!more || !*more) {
            break;
        }
        planner.see(row);
        progress(log->bytes_read());
    }
    const std::vector<uint64_t>& points = planner.points();
    for (size_t metric = 0; metric < points.size(); ++metric) {
        if (points[metric] > 0) {
            file.series.insert(log->metrics()[metric]);
            file.points += points[metric];
        }
    }
    file.axis = log->axis();
    TRY_ASSIGN(file.plan, planner.plan(log->axis(), log->metrics()));
    file.bytes = log->bytes_read();
    file.path = std::move(path);
    file.open = std::move(open);
    file.counts = log->counts();
    file.facts = log->facts();
    return file;
}

Id128 import_writer() {
    return sha256_128(as_bytes("stepdb import"));
}

namespace {

Error changed(const std::string& path) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "{} changed while it was imported; import it again", path);
}

// `sent` counts on from what was sent before.
Status send_file(Client& client, const std::string& project, ClientRun& run, PlannedFile& file,
                 uint64_t& sent, const std::function<void(uint64_t)>& progress) {
    if (file.points == 0) {
        return {};
    }
    TRY_ASSIGN(const auto log, file.open(file.path, file.bytes));
    if (log->axis() != file.axis) {
        return changed(file.path);
    }
    RowSender sender(client, run, file.plan, file.path, file.place_word);
    TRY(sender.begin(project));
    LogRow row;
    uint64_t points = 0;
    // The second reading gives what the first one gave; where a file breaks off it need not look.
    while (points < file.points) {
        const Result<bool> more = log->next(row);
        if (!more || !*more || points + row.values.size() > file.points) {
            break;
        }
        points += row.values.size();
        TRY(sender.send(row));
        progress(sent + points);
    }
    TRY(sender.finish());
    if (points != file.points) {
        return changed(file.path);
    }
    sent += points;
    return {};
}

// Failed or finished, as the source says; finished if that was asked for.
Status end_run(Client& client, ClientRun& run, const LogFacts& facts, const ImportTarget& target) {
    const bool has_ended = facts.state() && *facts.state() != RunState::kRunning && target.whole;
    if (!has_ended && !target.finish) {
        return {};
    }
    TRY(client.finish_run(run, has_ended ? *facts.state() : RunState::kFinished));
    TRY_ASSIGN(const FlushReport report, client.flush());
    return report.refused_frames == 0
               ? Status()
               : Status(report.refused.front().error.to_error().within("finishing the run"));
}

Result<ClientRun> open_or_fork(Client& client, const std::string& project, const std::string& run,
                               const LogFacts& facts) {
    if (!facts.fork()) {
        return client.open_run(project, run, OpenRunFrame::kCreateIfMissing);
    }
    const LogFork& fork = *facts.fork();
    Result<ClientRun> open = client.fork_run(project, run, fork.parent, fork.step);
    return open ? std::move(open)
                : open.error().within(fmt::format("the log says that {}/{} is a fork of {} at {}",
                                                  project, run, fork.parent, fork.step));
}

Error describe_uncounted(const ImportReport& report, const PointCount& count) {
    const size_t others = count.uncounted - 1;
    return make_error(
        ErrorCode::kCorruption,
        "{}/{}: all {} points were sent, but how many of them replaced others cannot be told: {}{}",
        report.project, report.run, report.sent, count.why,
        others == 0
            ? ""
            : fmt::format(" (and so for {} other metric{})", others, others == 1 ? "" : "s"));
}

}  // namespace

Result<ImportReport> import_run(Client& client, const ImportTarget& target,
                                std::vector<PlannedFile>& files,
                                const std::function<void(uint64_t)>& progress) {
    const std::string& project = target.project;
    const std::string& run = target.run;
    ImportReport report;
    report.project = project;
    report.run = run;
    std::set<std::string> series;
    LogFacts facts;
    uint64_t points = 0;
    for (const PlannedFile& file : files) {
        facts.merge(file.facts);
        points += file.points;
        series.insert(file.series.begin(), file.series.end());
        report.read += file.counts.read;
        report.skipped += file.counts.skipped;
        for (const auto& [kind, count] : file.counts.kinds) {
            report.skipped_kinds[kind] += count;
        }
        report.is_stepped = report.is_stepped || (file.points > 0 && file.axis == Axis::kStepped);
        if (report.first_skipped.empty()) {
            report.first_skipped = file.counts.first_skipped;
        }
    }
    report.series = series.size();
    report.facts_left_out = facts.left_out();
    report.first_fact_left_out = facts.first_left_out();
    if (points == 0 && facts.empty()) {
        return report;
    }
    TRY_ASSIGN(ClientRun open, open_or_fork(client, project, run, facts));
    report.opened = true;
    report.created = open.created;
    TRY(send_facts(client, open, facts));
    PointCount before;
    if (!open.created) {
        TRY_ASSIGN(before, count_points(client, project, run, series));
    }
    for (PlannedFile& file : files) {
        TRY(send_file(client, project, open, file, report.sent, progress));
    }
    TRY(end_run(client, open, facts, target));
    TRY_ASSIGN(const PointCount after, count_points(client, project, run, series));
    if (before.uncounted != 0 || after.uncounted != 0) {
        report.uncounted = describe_uncounted(report, before.uncounted != 0 ? before : after);
        return report;
    }
    // Only somebody who deletes or writes at the same time can make it leave these bounds.
    report.stored = std::min(after.points - std::min(before.points, after.points), report.sent);
    report.replaced = report.sent - report.stored;
    return report;
}

}  // namespace stepdb
