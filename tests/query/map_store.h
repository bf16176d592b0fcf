// Runs and points in maps: the data of query tests, and the plainest thing a query can run on.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "query/series_source.h"
#include "tests/query/script_store.h"

namespace stepdb {

// The plainest buckets: those of the points of a cursor, one by one.
std::unique_ptr<BucketScan> bucket_points(std::unique_ptr<SeriesCursor> points,
                                          const BucketRow& row);

class MapStore final : public ScriptStore, public SeriesSource {
  public:
    struct Point {
        int64_t time_us = 0;
        double value = 0;
    };
    struct StoredSeries {
        Axis axis = Axis::kStepped;
        std::map<Key, Point> points;
    };

    // Cursors give at most this many points at a time.
    explicit MapStore(size_t batch_points = 3) : batch_points_(batch_points) {}

    const Catalog::RunMap& runs() const { return runs_; }
    void add_point(const std::string& project, const std::string& run, const std::string& metric,
                   Axis axis, Key key, Point point);

    Status add_row(const ScriptRow& row) override;
    Status set_attributes(const std::string& project, const std::string& run,
                          const std::vector<AttributeChange>& changes) override;
    Status finish(const std::string& project, const std::string& run, RunState state) override;
    Status flush() override { return {}; }
    Status reopen() override { return {}; }
    Result<AnswerLines> ask(const QueryText& asked, int64_t now_us) override;

    std::vector<MetricInfo> metrics(RunView view) const override;
    std::optional<Axis> find_metric(RunView view, std::string_view metric) const override;
    std::unique_ptr<SeriesCursor> open_series(RunView view, std::string_view metric,
                                              KeyRange range) override;
    std::unique_ptr<BucketScan> open_buckets(RunView view, std::string_view metric, KeyRange range,
                                             const BucketRow& row) override {
        return bucket_points(open_series(view, metric, range), row);
    }
    Task<Result<Summary>> summarize(RunView view, std::string_view metric, KeyRange range) override;
    Task<Result<std::optional<KeyRange>>> key_range(RunView view, std::string_view metric,
                                                    std::optional<KeyRange> known) override;
    ReadCost cost() const override { return cost_; }
    std::vector<ProjectInfo> projects() const override;

  private:
    uint64_t ensure_run(const std::string& project, const std::string& run);
    const StoredSeries* find(uint64_t run, std::string_view metric) const;

    size_t batch_points_;
    Catalog::RunMap runs_;
    std::map<uint64_t, std::map<std::string, StoredSeries, std::less<>>> series_;
    ReadCost cost_;
};

}  // namespace stepdb
