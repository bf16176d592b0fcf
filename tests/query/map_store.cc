#include "tests/query/map_store.h"

#include <algorithm>

#include "engine/base/text.h"
#include "query/parser.h"
#include "tests/support/sim_executor.h"

namespace stepdb {

namespace {

class MapCursor final : public SeriesCursor {
  public:
    MapCursor(const MapStore::StoredSeries* series, KeyRange range, size_t batch_points,
              ReadCost& cost)
        : range_(range), batch_points_(batch_points), cost_(cost) {
        if (series != nullptr && !range.empty()) {
            at_ = series->points.lower_bound(range.first);
            end_ = series->points.end();
        }
    }

    Task<Result<bool>> next(Points& batch) override {
        batch = Points();
        while (at_ != end_ && range_.contains(at_->first) && batch.size() < batch_points_) {
            batch.keys.push_back(at_->first);
            batch.times.push_back(at_->second.time_us);
            batch.values.push_back(at_->second.value);
            ++at_;
        }
        cost_.values_decoded += batch.size();
        co_return batch.size() > 0;
    }

  private:
    KeyRange range_;
    size_t batch_points_;
    ReadCost& cost_;
    std::map<Key, MapStore::Point>::const_iterator at_;
    std::map<Key, MapStore::Point>::const_iterator end_;
};

class CursorBuckets final : public BucketScan {
  public:
    CursorBuckets(std::unique_ptr<SeriesCursor> points, const BucketRow& row)
        : points_(std::move(points)), row_(row) {}

    Task<Result<size_t>> next() override {
        const Result<bool> more = co_await points_->next(batch_);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            co_return size_t{0};
        }
        for (size_t i = 0; i < batch_.size(); ++i) {
            size_t bucket = 0;
            while (bucket + 1 < row_.buckets.size() && row_.edges[bucket + 1] <= batch_.keys[i]) {
                ++bucket;
            }
            row_.buckets[bucket].add(batch_.keys[i], batch_.values[i]);
        }
        co_return batch_.size();
    }

  private:
    std::unique_ptr<SeriesCursor> points_;
    BucketRow row_;
    Points batch_;
};

}  // namespace

std::unique_ptr<BucketScan> bucket_points(std::unique_ptr<SeriesCursor> points,
                                          const BucketRow& row) {
    return std::make_unique<CursorBuckets>(std::move(points), row);
}

uint64_t MapStore::ensure_run(const std::string& project, const std::string& run) {
    if (const auto* there = runs_.find(RunPath{project, run})) {
        return (*there)->id;
    }
    auto created = std::make_shared<Run>();
    created->id = runs_.size() + 1;
    created->project = project;
    created->name = run;
    created->attempts.emplace_back();
    const uint64_t id = created->id;
    runs_.put(std::move(created));
    return id;
}

void MapStore::add_point(const std::string& project, const std::string& run,
                         const std::string& metric, Axis axis, Key key, Point point) {
    StoredSeries& series = series_[ensure_run(project, run)][metric];
    series.axis = axis;
    series.points[key] = point;
}

Status MapStore::add_row(const ScriptRow& row) {
    const Axis axis = row.step ? Axis::kStepped : Axis::kTimed;
    const Key key = row.step ? key_of_step(*row.step) : row.time_us;
    for (const auto& [metric, value] : row.values) {
        add_point(row.project, row.run, metric, axis, key, {row.time_us, value});
    }
    return {};
}

Status MapStore::set_attributes(const std::string& project, const std::string& run,
                                const std::vector<AttributeChange>& changes) {
    ensure_run(project, run);
    auto changed = std::make_shared<Run>(**runs_.find(RunPath{project, run}));
    Attributes attributes = changed->all_attributes();
    TRY(apply_attribute_changes(attributes, changes));
    changed->attributes = std::make_shared<const Attributes>(std::move(attributes));
    runs_.put(std::move(changed));
    return {};
}

Status MapStore::finish(const std::string& project, const std::string& run, RunState state) {
    ensure_run(project, run);
    auto changed = std::make_shared<Run>(**runs_.find(RunPath{project, run}));
    changed->state = state;
    runs_.put(std::move(changed));
    return {};
}

Result<AnswerLines> MapStore::ask(const QueryText& asked, int64_t now_us) {
    TRY_ASSIGN(Query query, parse_query(asked.text, asked.parameters));
    TRY_ASSIGN(BoundQuery bound, bind_query(std::move(query), runs_));
    const auto execution = QueryExecution::create(std::move(bound), *this, now_us);
    SimExecutor executor;
    return run_task(executor, collect_lines(*execution));
}

std::vector<MetricInfo> MapStore::metrics(RunView view) const {
    std::vector<MetricInfo> found;
    const auto at = series_.find(view.run->id);
    if (at != series_.end()) {
        for (const auto& [name, series] : at->second) {
            MetricInfo info;
            info.name = name;
            info.axis = series.axis;
            found.push_back(std::move(info));
        }
    }
    std::sort(found.begin(), found.end(), [](const MetricInfo& a, const MetricInfo& b) {
        return natural_less(a.name, b.name);
    });
    return found;
}

std::vector<ProjectInfo> MapStore::projects() const {
    std::vector<ProjectInfo> found;
    for (const auto& run : runs_) {
        if (found.empty() || found.back().name != run->project) {
            found.emplace_back().name = run->project;
        }
        ++found.back().runs;
    }
    return found;
}

const MapStore::StoredSeries* MapStore::find(uint64_t run, std::string_view metric) const {
    const auto at = series_.find(run);
    if (at == series_.end()) {
        return nullptr;
    }
    const auto found = at->second.find(metric);
    return found == at->second.end() ? nullptr : &found->second;
}

std::optional<Axis> MapStore::find_metric(RunView view, std::string_view metric) const {
    const StoredSeries* series = find(view.run->id, metric);
    return series == nullptr ? std::nullopt : std::optional(series->axis);
}

std::unique_ptr<SeriesCursor> MapStore::open_series(RunView view, std::string_view metric,
                                                    KeyRange range) {
    ++cost_.pieces;
    return std::make_unique<MapCursor>(find(view.run->id, metric), range, batch_points_, cost_);
}

Task<Result<Summary>> MapStore::summarize(RunView view, std::string_view metric, KeyRange range) {
    Points points;
    const StoredSeries* series = find(view.run->id, metric);
    if (series != nullptr) {
        for (const auto& [key, point] : series->points) {
            if (range.contains(key)) {
                points.keys.push_back(key);
                points.times.push_back(point.time_us);
                points.values.push_back(point.value);
            }
        }
    }
    co_return stepdb::summarize(points.keys, points.times, points.values);
}

Task<Result<std::optional<KeyRange>>> MapStore::key_range(RunView view, std::string_view metric,
                                                          std::optional<KeyRange> known) {
    std::optional<KeyRange> range = known;
    const StoredSeries* series = find(view.run->id, metric);
    if (series != nullptr && !series->points.empty()) {
        const Key first = series->points.begin()->first;
        const Key last = series->points.rbegin()->first;
        range = known ? KeyRange{std::min(known->first, first), std::max(known->last, last)}
                      : KeyRange{first, last};
    }
    co_return range;
}

}  // namespace stepdb
