#include "query/executor.h"

#include <algorithm>

#include "query/where.h"

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

// `where` of everything but `metrics`, whose series it chooses.
const Expression* where_of_runs(const Query& query) {
    const std::optional<Expression>* where = nullptr;
    if (const auto* series = std::get_if<SeriesQuery>(&query.what)) {
        where = &series->where;
    } else if (const auto* runs = std::get_if<RunsQuery>(&query.what)) {
        where = &runs->where;
    } else if (const auto* attributes = std::get_if<AttributesQuery>(&query.what)) {
        where = &attributes->where;
    }
    return where != nullptr && *where ? &**where : nullptr;
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

std::unique_ptr<QueryExecution> QueryExecution::create(BoundQuery bound, SeriesSource& source,
                                                       int64_t now_us,
                                                       std::shared_ptr<MemoryBudget> memory,
                                                       Executor* executor) {
    return std::unique_ptr<QueryExecution>(
        new QueryExecution(std::move(bound), source, now_us, std::move(memory), executor));
}

Task<Status> QueryExecution::prepare() {
    append_notes(context_.notes, context_.bound.notes);
    Status chosen = co_await choose_runs();
    if (!chosen) {
        co_return chosen;
    }
    Result<std::unique_ptr<Answer>> answer = co_await make_answer();
    if (!answer) {
        co_return answer.error();
    }
    answer_ = *std::move(answer);
    if (context_.bound.query.explain) {
        answer_ = make_explain_answer(context_, std::move(answer_));
    }
    co_return chosen;
}

// Those for which `where` holds, if it is about runs.
Task<Status> QueryExecution::choose_runs() {
    const Expression* where = where_of_runs(context_.bound.query);
    Status chosen;
    if (where != nullptr) {
        chosen = co_await filter_runs(context_, *where);
    }
    if (chosen) {
        chosen = resolve_fork(context_.bound);
    }
    co_return chosen;
}

// The series that patterns and, of `metrics`, `where` select.
Task<Status> QueryExecution::choose_series() {
    const auto& what = context_.bound.query.what;
    const auto* series = std::get_if<SeriesQuery>(&what);
    const auto* metrics = std::get_if<MetricsQuery>(&what);
    Status chosen = check_damage(context_);
    if (!chosen) {
        co_return chosen;
    }
    Result<Selection> selection =
        select_series(context_.bound, series != nullptr ? series->metrics : metrics->metrics,
                      context_.source, context_.memory);
    if (!selection) {
        co_return selection.error();
    }
    context_.selection = *std::move(selection);
    append_notes(context_.notes, context_.selection.notes);
    if (series != nullptr) {
        chosen = bind_conditions(context_, *series);
        if (chosen) {
            chosen = drop_stepless(*series, context_);
        }
        co_return chosen;
    }
    if (metrics->where) {
        chosen = co_await filter_series(context_, *metrics->where);
    }
    co_return chosen;
}

Task<Result<std::unique_ptr<Answer>>> QueryExecution::make_answer() {
    const auto& what = context_.bound.query.what;
    if (const auto* runs = std::get_if<RunsQuery>(&what)) {
        co_return co_await make_runs_answer(context_, runs->table);
    }
    if (std::holds_alternative<AttributesQuery>(what)) {
        co_return make_attributes_answer(context_);
    }
    if (std::holds_alternative<StatsQuery>(what)) {
        co_return make_stats_answer(context_);
    }
    if (std::holds_alternative<ProjectsQuery>(what)) {
        co_return make_projects_answer(context_);
    }
    const Status chosen = co_await choose_series();
    if (!chosen) {
        co_return chosen.error();
    }
    if (const auto* metrics = std::get_if<MetricsQuery>(&what)) {
        co_return co_await make_metrics_answer(context_, metrics->table);
    }
    const auto& stages = std::get<SeriesQuery>(what).stages;
    if (!stages.empty()) {
        if (const auto* buckets = std::get_if<BucketsStage>(&stages.back().what)) {
            co_return make_buckets_answer(context_, *buckets);
        }
        if (const auto* summary = std::get_if<SummaryStage>(&stages.back().what)) {
            co_return make_summary_answer(context_, *summary);
        }
    }
    co_return make_points_answer(context_);
}

}  // namespace stepdb
