#include "tools/bench/freshness_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "engine/io/environment.h"
#include "engine/model/rows.h"

namespace stepdb {

namespace {

constexpr std::string_view kMetric = "probe/step";

// The highest step among the rows of an update.
double highest_step(const std::vector<ResultColumn>& columns,
                    const std::vector<ResultBlock>& blocks) {
    double highest = -1;
    for (const ResultBlock& block : blocks) {
        for (size_t at = 0; at < columns.size(); ++at) {
            if (columns[at].type != ColumnType::kStep) {
                continue;
            }
            for (const double step : block.column(at).doubles()) {
                highest = std::max(highest, step);
            }
        }
    }
    return highest;
}

}  // namespace

FreshnessProbe::FreshnessProbe(std::unique_ptr<Client> writer, std::unique_ptr<Client> watcher,
                               std::string query)
    : writer_(std::move(writer)), watcher_(std::move(watcher)), query_(std::move(query)) {}

Result<std::unique_ptr<FreshnessProbe>> FreshnessProbe::open(std::unique_ptr<Client> writer,
                                                             std::unique_ptr<Client> watcher,
                                                             std::string project, std::string run) {
    std::unique_ptr<FreshnessProbe> probe(
        new FreshnessProbe(std::move(writer), std::move(watcher),
                           fmt::format("{} @ {}/{} | last 1", kMetric, project, run)));
    TRY_ASSIGN(Schema schema, Schema::create(Axis::kStepped, {std::string(kMetric)}));
    probe->schema_ = std::make_shared<const Schema>(std::move(schema));
    TRY(probe->writer_->define_schema(project, *probe->schema_));
    TRY_ASSIGN(probe->run_, probe->writer_->open_run(project, run, OpenRunFrame::kCreateIfMissing));
    TRY(probe->write_row(0));  // there is a metric to be watched
    return probe;
}

std::vector<std::function<Status()>> FreshnessProbe::works(const MeasuredWindow& window) {
    const auto until_over = [this](Status (FreshnessProbe::*work)(const MeasuredWindow&),
                                   const MeasuredWindow& until) {
        Status done = (this->*work)(until);
        const std::lock_guard lock(mutex_);
        is_over_ = true;
        seen_more_.notify_all();
        return done;
    };
    return {[=, &window] { return until_over(&FreshnessProbe::write, window); },
            [=, &window] { return until_over(&FreshnessProbe::watch, window); }};
}

Status FreshnessProbe::write_row(double step) {
    RowsBuilder row(schema_);
    row.add(step, SystemClock().now_us(), {&step, 1});
    TRY_ASSIGN(const uint64_t ordinal, writer_->send_rows(run_, row));
    static_cast<void>(ordinal);
    TRY_ASSIGN(const FlushReport outcomes, writer_->flush());
    return outcomes.refused.empty() ? Status() : Status(outcomes.refused.front().error.to_error());
}

Status FreshnessProbe::write(const MeasuredWindow& window) {
    for (double step = 1; std::chrono::steady_clock::now() < window.end && !is_interrupted();
         ++step) {
        TRY(write_row(step));
        const SteadyTime acknowledged = std::chrono::steady_clock::now();
        const std::optional<SteadyTime> seen = wait_until_seen(step, window);
        if (!seen) {
            return {};
        }
        if (window.contains(acknowledged)) {
            const auto after =
                std::chrono::duration_cast<std::chrono::nanoseconds>(*seen - acknowledged);
            latencies_.add(std::max<int64_t>(0, after.count()));
        }
    }
    return {};
}

std::optional<SteadyTime> FreshnessProbe::wait_until_seen(double step,
                                                          const MeasuredWindow& window) {
    std::unique_lock lock(mutex_);
    // A row that is not seen in time counts as seen at the end.
    const bool was_seen =
        seen_more_.wait_until(lock, window.end, [&] { return seen_ >= step || is_over_; });
    if (is_over_ && seen_ < step) {
        return std::nullopt;
    }
    return was_seen ? seen_at_ : window.end;
}

Status FreshnessProbe::watch(const MeasuredWindow& window) {
    UpdateHandler handler;
    handler.on_update = [this](const std::vector<ResultColumn>& columns,
                               const std::vector<ResultBlock>& blocks, const ResultUpdate&) {
        const double highest = highest_step(columns, blocks);
        const std::lock_guard lock(mutex_);
        if (highest > seen_) {
            seen_ = highest;
            seen_at_ = std::chrono::steady_clock::now();
            seen_more_.notify_all();
        }
        return Status();
    };
    handler.should_stop = [&] {
        const std::lock_guard lock(mutex_);
        return is_over_ || std::chrono::steady_clock::now() >= window.end || is_interrupted();
    };
    return watcher_->watch(query_, handler);
}

}  // namespace stepdb
