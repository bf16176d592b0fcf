#include "query/snapshot_query.h"

#include <map>

namespace stepdb {

class SnapshotQuery::Source final : public SeriesSource {
  public:
    Source(FileSystem& files, const PreparedQuery& prepared)
        : reader_(files, prepared.snapshot, prepared.memory, prepared.cache),
          rights_(prepared.bound.rights) {
        reader_.take_views_of(*prepared.catalog);
    }

    std::vector<MetricInfo> metrics(RunView view) const override {
        return reader_.snapshot().metrics(view);
    }
    std::optional<std::vector<const Schema*>> schemas(RunView view) const override {
        return reader_.snapshot().schemas(view);
    }
    std::optional<Axis> find_metric(RunView view, std::string_view metric) const override {
        return reader_.snapshot().find_metric(view, metric);
    }
    std::unique_ptr<SeriesCursor> open_series(RunView view, std::string_view metric,
                                              KeyRange range) override {
        return reader_.open_series(view, metric, range);
    }
    std::unique_ptr<BucketScan> open_buckets(RunView view, std::string_view metric, KeyRange range,
                                             const BucketRow& row) override {
        return reader_.open_buckets(view, metric, range, row);
    }
    Task<Result<Summary>> summarize(RunView view, std::string_view metric,
                                    KeyRange range) override {
        return reader_.summarize(view, metric, range);
    }
    std::optional<SeriesSummary> kept_summary(RunView view, std::string_view metric) override {
        return reader_.kept_summary(view, metric);
    }
    std::unique_ptr<KeptSummaries> kept_summaries(const RunList& list, const std::string& metric,
                                                  bool may_look) override {
        if (const auto known = list.find_summaries(metric)) {
            if (auto kept = reader_.kept_summaries(known)) {
                return kept;
            }
        }
        if (!may_look) {
            return nullptr;
        }
        std::vector<RunView> views;
        views.reserve(list.runs().size());
        for (const SelectedRun& selected : list.runs()) {
            views.push_back(selected.view());
        }
        auto found = reader_.find_summary_places(views, metric);
        if (found == nullptr) {
            return nullptr;
        }
        list.keep_summaries(metric, found);
        return reader_.kept_summaries(std::move(found));
    }
    Task<Result<std::optional<KeyRange>>> key_range(RunView view, std::string_view metric,
                                                    std::optional<KeyRange> known) override {
        return reader_.key_range(view, metric, known);
    }
    ReadCost cost() const override { return reader_.cost(); }
    std::shared_ptr<const Run> find_run(uint64_t id) const override {
        return reader_.snapshot().catalog().find_run(id);
    }
    std::vector<ProjectInfo> projects() const override {
        const Catalog& catalog = reader_.snapshot().catalog();
        std::map<std::string, ProjectInfo> projects;
        for (const auto& run : catalog.runs()) {
            ++projects[run->project].runs;
        }
        for (const auto& [name, age_us] : catalog.retention()) {
            projects[name].retention_us = age_us;
        }
        std::erase_if(projects, [this](const auto& project) {
            return !may_read(rights_.get(), project.first);
        });
        std::vector<ProjectInfo> listed;
        listed.reserve(projects.size());
        for (auto& [name, project] : projects) {
            project.name = name;
            listed.push_back(std::move(project));
        }
        return listed;
    }
    RunActivity activity(const Run& run) const override { return reader_.snapshot().activity(run); }
    std::shared_ptr<const Error> damage(RunView view) const override {
        return reader_.snapshot().damage(view);
    }

  private:
    SnapshotReader reader_;
    const std::shared_ptr<const Rights> rights_;
};

void tell_store(const Engine& engine, const QueryFacts& queries, PreparedQuery& prepared) {
    if (!prepared.bound.wants_store()) {
        return;
    }
    const EngineStats stats = engine.stats();
    prepared.bound.store = list_store_facts(stats, queries);
    for (std::string& trouble : list_store_troubles(stats)) {
        prepared.notes.push_back(std::move(trouble));
    }
}

Result<PreparedQuery> prepare_query(Query query, const Engine& engine, KnownRuns* known) {
    PreparedQuery prepared;
    prepared.catalog = engine.catalog();
    TRY_ASSIGN(prepared.bound, known == nullptr
                                   ? bind_query(std::move(query), prepared.catalog->runs())
                                   : bind_query(std::move(query), prepared.catalog, *known));
    prepared.snapshot = engine.snapshot(prepared.bound.run_ids());
    tell_store(engine, QueryFacts(), prepared);
    return prepared;
}

SnapshotQuery::SnapshotQuery(std::unique_ptr<Source> source) : source_(std::move(source)) {}
SnapshotQuery::~SnapshotQuery() = default;

std::unique_ptr<SnapshotQuery> SnapshotQuery::create(PreparedQuery prepared, FileSystem& files,
                                                     int64_t now_us, Executor* executor) {
    std::unique_ptr<SnapshotQuery> query(
        new SnapshotQuery(std::make_unique<Source>(files, prepared)));
    std::vector<std::string>& notes = prepared.bound.notes;
    notes.insert(notes.end(), prepared.notes.begin(), prepared.notes.end());
    query->execution_ = QueryExecution::create(std::move(prepared.bound), *query->source_, now_us,
                                               std::move(prepared.memory), executor);
    query->execution_->set_limits(prepared.limits);
    return query;
}

}  // namespace stepdb
