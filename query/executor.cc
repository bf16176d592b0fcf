#include "query/executor.h"

#include <algorithm>
#include <utility>

#include "query/resolve.h"
#include "query/where.h"

namespace stepdb {

namespace {

void append_notes(std::vector<std::string>& to, const std::vector<std::string>& from) {
    to.insert(to.end(), from.begin(), from.end());
}

// `where` of what is about runs; of series queries and `metrics` see choose_runs().
const Expression* where_of_runs(const Query& query) {
    const std::optional<Expression>* where = nullptr;
    if (const auto* runs = std::get_if<RunsQuery>(&query.what)) {
        where = &runs->where;
    } else if (const auto* attributes = std::get_if<AttributesQuery>(&query.what)) {
        where = &attributes->where;
    }
    return where != nullptr && *where ? &**where : nullptr;
}

// An answer that silently lacked a segment's rows would be wrong.
Status check_damage(const ExecutionContext& context) {
    for (const SelectedRun* selected : context.bound.runs) {
        if (const auto damage = context.source.damage(selected->view())) {
            return make_error(damage->code(), "run {}: {}", selected->run->path(),
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

Status QueryExecution::watch(double width) {
    if (context_.bound.query.explain) {
        return Error(ErrorCode::kInvalidArgument,
                     "`explain` tells how one answer is computed, which is another each time; "
                     "watch the query without it");
    }
    context_.watched_width = width;
    return {};
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
    const Query& query = context_.bound.query;
    Status chosen;
    if (const auto* series = std::get_if<SeriesQuery>(&query.what)) {
        std::vector<const SeriesQuery*> all;
        for_each_query(*series, [&](const SeriesQuery& each) { all.push_back(&each); });
        for (const SeriesQuery* each : all) {
            if (chosen && each->where) {
                chosen = co_await filter_runs(context_, *each->where, each->scope);
            }
        }
    } else if (const Expression* where = where_of_runs(query)) {
        chosen = co_await filter_runs(context_, *where, 0);
    }
    if (chosen) {
        chosen = resolve_fork(context_.bound);
    }
    co_return chosen;
}

// The series that a series query or `metrics` selects, and what is done with their points.
Task<Status> QueryExecution::choose_series() {
    const auto& what = context_.bound.query.what;
    Status chosen = check_damage(context_);
    if (!chosen) {
        co_return chosen;
    }
    if (const auto* query = std::get_if<SeriesQuery>(&what)) {
        Result<ResolvedSeries> resolved = co_await resolve_series(context_, *query);
        if (!resolved) {
            co_return resolved.error();
        }
        context_.selection.series = std::move(resolved->series);
        context_.plan = std::move(resolved->plan);
        co_return chosen;
    }
    const auto& metrics = std::get<MetricsQuery>(what);
    Result<Selection> selection = select_series(context_.bound, context_.bound.scopes[0],
                                                metrics.metrics, context_.source, context_.memory);
    if (!selection) {
        co_return selection.error();
    }
    context_.selection = *std::move(selection);
    append_notes(context_.notes, context_.selection.notes);
    if (metrics.where) {
        chosen = co_await filter_series(context_, *metrics.where);
    }
    co_return chosen;
}

Task<Result<bool>> QueryExecution::next(ResultBlock& block) {
    Result<bool> more = co_await answer_->next(block);
    if (more && !*more) {
        append_left_out();
    }
    co_return more;
}

void QueryExecution::append_left_out() {
    const LeftOutPoints left_out = std::exchange(context_.left_out_points, LeftOutPoints());
    if (left_out.without_x > 0) {
        context_.notes.push_back(fmt::format("`x` left out {} that {} none, or none that is finite",
                                             counted(left_out.without_x, "point"),
                                             left_out.without_x == 1 ? "has" : "have"));
    }
    if (left_out.not_positive > 0) {
        context_.notes.push_back(fmt::format("`log-x` left out {} at or below 0",
                                             counted(left_out.not_positive, "point")));
    }
}

Task<Result<std::unique_ptr<Answer>>> QueryExecution::make_answer() {
    const auto& what = context_.bound.query.what;
    if (const auto* runs = std::get_if<RunsQuery>(&what)) {
        co_return co_await make_runs_answer(context_, runs->table);
    }
    if (const auto* attributes = std::get_if<AttributesQuery>(&what)) {
        if (attributes->notes_alone) {
            co_return make_notes_answer(context_);
        }
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
    co_return co_await make_series_answer(context_, std::get<SeriesQuery>(what).then);
}

}  // namespace stepdb
