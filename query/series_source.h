// Where a query reads: the little of a snapshot that execution needs, so that its tests can hold
// their data in a map.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/kept_summaries.h"
#include "engine/snapshot.h"

namespace stepdb {

class RunList;  // query/known_runs.h

// What is known of a project as a whole.
struct ProjectInfo {
    ProjectInfo() = default;

    std::string name;
    uint64_t runs = 0;
    int64_t retention_us = 0;  // since the last write; 0: runs are kept
};

// Contracts are those of Snapshot and SnapshotReader. Used on one executor, outlives the execution.
class SeriesSource {
  public:
    virtual ~SeriesSource() = default;

    virtual std::vector<MetricInfo> metrics(RunView view) const = 0;
    // The schemas that name them, if all metrics of these are the run's; they outlive the source's
    // reader. A source that does not know says nothing.
    virtual std::optional<std::vector<const Schema*>> schemas(RunView view) const {
        static_cast<void>(view);
        return std::nullopt;
    }
    // The axis of a metric, if the run has it.
    virtual std::optional<Axis> find_metric(RunView view, std::string_view metric) const = 0;
    virtual std::unique_ptr<SeriesCursor> open_series(RunView view, std::string_view metric,
                                                      KeyRange range) = 0;
    virtual std::unique_ptr<BucketScan> open_buckets(RunView view, std::string_view metric,
                                                     KeyRange range, const BucketRow& row) = 0;
    virtual Task<Result<Summary>> summarize(RunView view, std::string_view metric,
                                            KeyRange range) = 0;
    virtual std::optional<SeriesSummary> kept_summary(RunView view, std::string_view metric) {
        static_cast<void>(view);
        static_cast<void>(metric);
        return std::nullopt;
    }
    // Those of one metric of all runs of a list, which outlives them; null if nothing is known that
    // could make it quicker than one by one, or as long as `may_look` is false and it is not known
    // at once.
    virtual std::unique_ptr<KeptSummaries> kept_summaries(const RunList& list,
                                                          const std::string& metric,
                                                          bool may_look) {
        static_cast<void>(list);
        static_cast<void>(metric);
        static_cast<void>(may_look);
        return nullptr;
    }
    virtual Task<Result<std::optional<KeyRange>>> key_range(RunView view, std::string_view metric,
                                                            std::optional<KeyRange> known) = 0;
    virtual ReadCost cost() const = 0;
    // Of another run, such as a parent; null if it is not there.
    virtual std::shared_ptr<const Run> find_run(uint64_t id) const {
        static_cast<void>(id);
        return nullptr;
    }
    // Those that have runs or a retention, by name.
    virtual std::vector<ProjectInfo> projects() const { return {}; }
    // When a run was last heard of.
    virtual RunActivity activity(const Run& run) const {
        static_cast<void>(run);
        return {};
    }
    // Why not all of a run can be read, if that is known before reading.
    virtual std::shared_ptr<const Error> damage(RunView view) const {
        static_cast<void>(view);
        return nullptr;
    }
};

}  // namespace stepdb
