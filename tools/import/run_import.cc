#include "tools/import/run_import.h"

#include <algorithm>
#include <memory>

#include "engine/base/checksum.h"
#include "engine/model/frame.h"
#include "engine/model/limits.h"
#include "tools/import/point_counter.h"
#include "tools/import/row_sender.h"

namespace stepdb {

Result<PlannedFile> plan_file(std::string path, LogOpener open, RestartFinder* restarts,
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
        if (restarts != nullptr && row.step) {
            restarts->see(row, log->metrics());
        }
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

std::string split_run_id(const std::string& run, size_t part) {
    return part == 0 ? run : fmt::format("{}.restart{}", run, part);
}

namespace {

Error changed(const std::string& path) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "{} changed while it was imported; import it again", path);
}

std::string shown_place(const PlannedFile& file, const LogRestart& restart) {
    return fmt::format("{}: {} {}, step {} after step {}", file.path, file.place_word,
                       restart.place, restart.step, restart.before);
}

// Reports of one run have this in common.
ImportReport describe(const ImportTarget& target, const std::vector<PlannedFile>& files) {
    ImportReport report;
    report.project = target.project;
    report.run = target.run;
    for (const PlannedFile& file : files) {
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
    report.restarts = target.restarts.size();
    if (!target.restarts.empty()) {
        const LogRestart& first = target.restarts.front();
        report.first_restart = shown_place(files[first.file], first);
    }
    return report;
}

class RunImport {
  public:
    RunImport(client::Writer& writer, Client& reader, const ImportTarget& target,
              std::vector<PlannedFile>& files, const std::function<void(uint64_t)>& progress)
        : writer_(writer),
          reader_(reader),
          target_(target),
          files_(files),
          progress_(progress),
          report_(describe(target, files)) {
        for (const PlannedFile& file : files) {
            facts_.merge(file.facts);
            points_ += file.points;
            series_.insert(file.series.begin(), file.series.end());
        }
        report_.series = series_.size();
        report_.facts_left_out = facts_.left_out();
        report_.first_fact_left_out = facts_.first_left_out();
    }

    Result<std::vector<ImportReport>> run() {
        if (points_ == 0 && facts_.empty()) {
            reports_.push_back(std::move(report_));
            return std::move(reports_);
        }
        TRY(check_restarts());
        TRY(open());
        for (size_t file = 0; file < files_.size(); ++file) {
            TRY(send_file(file));
        }
        TRY(close(true));
        return std::move(reports_);
    }

  private:
    bool has_attempts() const {
        return target_.restart_mode == RestartMode::kAttempt && !target_.restarts.empty();
    }
    bool is_split() const {
        return target_.restart_mode == RestartMode::kSplit && !target_.restarts.empty();
    }

    Status check_restarts() const {
        if (target_.restart_mode != RestartMode::kMerge &&
            target_.restarts.size() >= kLineageDepthMax) {
            return make_error(
                ErrorCode::kResourceExhausted,
                "{}/{}: the log jumps back {} times as a whole, and a run has {} attempts at most; "
                "if its steps begin anew with every epoch, `--axis index` numbers the rows, else "
                "`--restarts merge` lets the later point of a step stand; the first: {}",
                target_.project, target_.run, target_.restarts.size(), kLineageDepthMax,
                report_.first_restart);
        }
        return is_split() ? check_id("run", split_run_id(target_.run, target_.restarts.size()))
                          : Status();
    }

    // Opens the run of the current part.
    Status open() {
        report_.run = split_run_id(target_.run, is_split() ? part_ : 0);
        TRY_ASSIGN(client::Run run, open_or_fork());
        run_ = std::move(run);
        report_.opened = true;
        report_.created = run_->created();
        newest_ = run_->attempt();
        TRY(send_facts(*run_, facts_));
        before_ = PointCount();
        return run_->created() && !facts_.fork() ? Status() : count(before_);
    }

    // The source speaks of the first part.
    Result<client::Run> open_or_fork() {
        if (!facts_.fork() || (is_split() && part_ > 0)) {
            return writer_.open_run(target_.project, report_.run);
        }
        const LogFork& fork = *facts_.fork();
        Result<client::Run> open =
            writer_.fork_run(target_.project, report_.run, fork.parent, fork.step);
        return open ? std::move(open)
                    : open.error().within(fmt::format("the log says that {}/{} is a fork of {} at "
                                                      "{}",
                                                      target_.project, report_.run, fork.parent,
                                                      fork.step));
    }

    // What the series of the import have in all parts of the run that it writes to.
    Status count(PointCount& counted) {
        if (!has_attempts()) {
            return count_points(reader_, target_.project, report_.run, CountedPart(), series_,
                                counted);
        }
        for (uint32_t attempt = 0; attempt <= std::min<size_t>(newest_, target_.restarts.size());
             ++attempt) {
            CountedPart part;
            part.attempt = attempt;
            if (attempt > 0) {
                part.first_step = target_.restarts[attempt - 1].step;
            }
            TRY(count_points(reader_, target_.project, report_.run, part, series_, counted));
        }
        return {};
    }

    // Ends the run of the current part, and its report.
    Status close(bool is_last) {
        TRY(end_run(is_last));
        PointCount after;
        newest_ = std::max(newest_, has_attempts() ? static_cast<uint32_t>(part_) : 0U);
        TRY(count(after));
        if (is_split()) {
            report_.series = sent_series_.size();
            report_.read = report_.sent + report_.skipped;
        }
        if (before_.uncounted != 0 || after.uncounted != 0) {
            report_.uncounted = describe_uncounted(before_.uncounted != 0 ? before_ : after);
        } else {
            // Only somebody who deletes or writes at the same time can make it leave these bounds.
            const uint64_t added = after.points - std::min(before_.points, after.points);
            report_.stored = std::min(added, report_.sent);
            report_.replaced = report_.sent - report_.stored;
        }
        reports_.push_back(std::move(report_));
        return {};
    }

    // Failed or finished, as the source says; finished if that was asked for. The source speaks of
    // the last part.
    Status end_run(bool is_last) {
        const bool has_ended = is_last && target_.whole &&
                               facts_.state().value_or(RunState::kRunning) != RunState::kRunning;
        if (!has_ended && !target_.finish) {
            return {};
        }
        if (has_attempts()) {  // the last rows may have been of an older one
            run_->set_attempt(static_cast<uint32_t>(std::max<size_t>(newest_, part_)));
        }
        const Status finished = run_->finish(has_ended ? *facts_.state() : RunState::kFinished);
        return finished ? Status() : Status(finished.error().within("finishing the run"));
    }

    Error describe_uncounted(const PointCount& counted) const {
        const size_t others = counted.uncounted - 1;
        return make_error(ErrorCode::kCorruption,
                          "{}/{}: all {} points were sent, but how many of them replaced others "
                          "cannot be told: {}{}",
                          report_.project, report_.run, report_.sent, counted.why,
                          others == 0 ? ""
                                      : fmt::format(" (and so for {} other metric{})", others,
                                                    others == 1 ? "" : "s"));
    }

    // --- Rows ---

    // Of the file being sent.
    struct Sending {
        Sending() = default;

        size_t file = 0;
        std::unique_ptr<LogSource> log;
        std::optional<RowSender> sender;
        uint64_t rows = 0;
        uint64_t points = 0;
        std::vector<uint8_t> is_sent;  // by metric, of the part
    };

    void begin_sending(Sending& sending) {
        PlannedFile& file = files_[sending.file];
        sending.sender.emplace(writer_, *run_, file.plan, file.path, file.place_word);
        sending.is_sent.clear();
    }

    Status end_sending(Sending& sending) {
        for (size_t metric = 0; metric < sending.is_sent.size(); ++metric) {
            if (sending.is_sent[metric] != 0) {
                sent_series_.insert(sending.log->metrics()[metric]);
            }
        }
        return sending.sender->finish();
    }

    Status send_file(size_t index) {
        PlannedFile& file = files_[index];
        if (file.points == 0) {
            return {};
        }
        Sending sending;
        sending.file = index;
        TRY_ASSIGN(sending.log, file.open(file.path, file.bytes));
        if (sending.log->axis() != file.axis) {
            return changed(file.path);
        }
        begin_sending(sending);
        LogRow row;
        // The second reading gives what the first one gave; where a file breaks off it need not
        // look.
        while (sending.points < file.points) {
            const Result<bool> more = sending.log->next(row);
            if (!more || !*more || sending.points + row.values.size() > file.points) {
                break;
            }
            TRY(pass_restarts(sending));
            TRY(send_row(sending, row));
        }
        TRY(end_sending(sending));
        return sending.points == file.points ? Status() : Status(changed(file.path));
    }

    Status send_row(Sending& sending, const LogRow& row) {
        if (has_attempts()) {
            sending.sender->go_to_attempt(attempt_of(row));
        }
        if (is_split()) {
            sending.is_sent.resize(sending.log->metrics().size());
            for (const auto& [metric, value] : row.values) {
                sending.is_sent[metric] = 1;
            }
        }
        TRY(sending.sender->send(row));
        ++sending.rows;
        sending.points += row.values.size();
        report_.sent += row.values.size();
        sent_ += row.values.size();
        progress_(sent_);
        return {};
    }

    uint32_t attempt_of(const LogRow& row) const {
        size_t attempt = row.step ? part_ : 0;
        while (attempt > 0 && *row.step < target_.restarts[attempt - 1].step) {
            --attempt;
        }
        return static_cast<uint32_t>(attempt);
    }

    // What begins with the next row.
    Status pass_restarts(Sending& sending) {
        const std::vector<LogRestart>& restarts = target_.restarts;
        while (part_ < restarts.size() && restarts[part_].file == sending.file &&
               restarts[part_].row == sending.rows) {
            ++part_;
            if (has_attempts()) {
                TRY(sending.sender->finish());
                TRY(open_attempt());
            } else if (is_split()) {
                TRY(end_sending(sending));
                TRY(close(false));
                report_ = ImportReport();
                report_.project = target_.project;
                report_.is_stepped = true;
                sent_series_.clear();
                TRY(open());
                begin_sending(sending);
            }
        }
        return {};
    }

    // Of the current part. Nothing changes if it is open.
    Status open_attempt() {
        const LogRestart& restart = target_.restarts[part_ - 1];
        const Status opened = run_->restart(restart.cut, static_cast<uint32_t>(part_));
        return opened ? Status()
                      : Status(opened.error().within(fmt::format(
                            "{}; `--restarts merge` opens no attempts: opening attempt {} of "
                            "{}/{}",
                            shown_place(files_[restart.file], restart), part_, target_.project,
                            target_.run)));
    }

    client::Writer& writer_;
    Client& reader_;
    const ImportTarget& target_;
    std::vector<PlannedFile>& files_;
    const std::function<void(uint64_t)>& progress_;
    LogFacts facts_;
    std::set<std::string> series_;
    uint64_t points_ = 0;
    uint64_t sent_ = 0;
    size_t part_ = 0;                    // of the log
    std::optional<client::Run> run_;     // that is open
    uint32_t newest_ = 0;                // its newest attempt
    PointCount before_;                  // in it
    ImportReport report_;                // of it
    std::set<std::string> sent_series_;  // to it, if the log is split
    std::vector<ImportReport> reports_;
};

}  // namespace

Result<std::vector<ImportReport>> import_run(client::Writer& writer, Client& reader,
                                             const ImportTarget& target,
                                             std::vector<PlannedFile>& files,
                                             const std::function<void(uint64_t)>& progress) {
    return RunImport(writer, reader, target, files, progress).run();
}

}  // namespace stepdb
