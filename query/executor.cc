#include "query/executor.h"

#include <algorithm>

namespace stepdb {

namespace {

void append_notes(std::vector<std::string>& to, const std::vector<std::string>& from) {
    to.insert(to.end(), from.begin(), from.end());
}

const Stage* find_steps_stage(const SeriesQuery& query) {
    const auto at = std::find_if(query.stages.begin(), query.stages.end(), [](const Stage& stage) {
        return std::holds_alternative<StepsStage>(stage.what);
    });
    return at == query.stages.end() ? nullptr : &*at;
}

// A range of steps leaves out what has no steps, and says so; all of it, and it is a mistake.
Status drop_stepless(const SeriesQuery& query, ExecutionContext& context) {
    std::vector<Series>& series = context.selection.series;
    const Stage* steps = find_steps_stage(query);
    const Series* timed = context.selection.first_of(Axis::kTimed);
    if (steps == nullptr || timed == nullptr) {
        return {};
    }
    if (context.selection.first_of(Axis::kStepped) == nullptr) {
        return query_error(
            context.bound.query.text, steps->span,
            fmt::format("the metric '{}' has times, no steps; use `time`", timed->metric));
    }
    const size_t before = series.size();
    const auto is_timed = [](const Series& each) { return each.axis == Axis::kTimed; };
    series.erase(std::remove_if(series.begin(), series.end(), is_timed), series.end());
    context.notes.push_back(fmt::format("`steps` left out {} series that have times, no steps",
                                        before - series.size()));
    return {};
}

// An answer that silently lacked a segment's rows would be wrong.
Status check_damage(const ExecutionContext& context) {
    for (const SelectedRun& selected : context.bound.runs) {
        if (const auto damage = context.source.damage(selected.view())) {
            return make_error(damage->code(), "run {}: {}", selected.run->path(),
                              damage->message());
        }
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<QueryExecution>> QueryExecution::create(
    BoundQuery bound, SeriesSource& source, int64_t now_us, std::shared_ptr<MemoryBudget> memory) {
    std::unique_ptr<QueryExecution> execution(
        new QueryExecution(std::move(bound), source, now_us, std::move(memory)));
    TRY(execution->prepare());
    return execution;
}

Status QueryExecution::prepare() {
    append_notes(context_.notes, context_.bound.notes);
    TRY_ASSIGN(answer_, make_answer());
    if (context_.bound.query.explain) {
        answer_ = make_explain_answer(context_, std::move(answer_));
    }
    return {};
}

Result<std::unique_ptr<Answer>> QueryExecution::make_answer() {
    const auto& what = context_.bound.query.what;
    if (std::holds_alternative<RunsQuery>(what)) {
        return make_runs_answer(context_);
    }
    if (std::holds_alternative<AttributesQuery>(what)) {
        return make_attributes_answer(context_);
    }
    if (std::holds_alternative<StatsQuery>(what)) {
        return make_stats_answer(context_);
    }
    if (std::holds_alternative<ProjectsQuery>(what)) {
        return make_projects_answer(context_);
    }
    TRY(check_damage(context_));
    const auto* series = std::get_if<SeriesQuery>(&what);
    const auto& patterns =
        series != nullptr ? series->metrics : std::get<MetricsQuery>(what).metrics;
    TRY_ASSIGN(context_.selection,
               select_series(context_.bound, patterns, context_.source, context_.memory));
    append_notes(context_.notes, context_.selection.notes);
    if (series == nullptr) {
        return make_metrics_answer(context_);
    }
    TRY(drop_stepless(*series, context_));
    if (!series->stages.empty()) {
        if (const auto* buckets = std::get_if<BucketsStage>(&series->stages.back().what)) {
            return make_buckets_answer(context_, *buckets);
        }
        if (const auto* summary = std::get_if<SummaryStage>(&series->stages.back().what)) {
            return make_summary_answer(context_, *summary);
        }
    }
    return make_points_answer(context_);
}

}  // namespace stepdb
