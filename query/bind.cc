#include "query/bind.h"

#include <algorithm>
#include <limits>

#include "engine/base/natural_order.h"
#include "engine/base/text.h"
#include "query/name_matcher.h"
#include "query/run_state.h"

namespace stepdb {

namespace {

bool has_attempt(const Run& run, uint32_t number) {
    const Attempt* attempt = run.find_attempt(number);
    return attempt != nullptr && !attempt->discarded;
}

SelectedRun select(std::shared_ptr<const Run> run, std::string path, const RunPattern& pattern) {
    SelectedRun selected;
    selected.attempt = pattern.attempt ? *pattern.attempt : run->newest_attempt().number;
    selected.label =
        pattern.attempt ? fmt::format("{}#{}", path, *pattern.attempt) : std::move(path);
    selected.run = std::move(run);
    return selected;
}

// The runs whose paths begin with a prefix, which lie together.
class RunsWithPrefix {
  public:
    RunsWithPrefix(const Catalog::RunMap& runs, std::string_view prefix)
        : runs_(runs), has_slash_(prefix.find('/') != std::string_view::npos) {
        const size_t slash = std::min(prefix.find('/'), prefix.size());
        project_ = prefix.substr(0, slash);
        name_ = has_slash_ ? prefix.substr(slash + 1) : std::string_view();
    }

    Catalog::RunMap::Iterator begin() const { return runs_.lower_bound(RunPath{project_, name_}); }
    bool contains(const Run& run) const {
        return has_slash_ ? run.project == project_ && run.name.starts_with(name_)
                          : run.project.starts_with(project_);
    }

  private:
    const Catalog::RunMap& runs_;
    bool has_slash_;
    std::string_view project_;
    std::string_view name_;
};

// The runs that whoever asks may read: no others exist for the rest of this file.
class ReadableRuns {
  public:
    ReadableRuns(const Catalog::RunMap& runs, const Rights* rights)
        : runs_(runs), rights_(rights) {}

    // Calls `take` for those whose paths begin with `prefix`, in the order of their paths.
    template <typename Take>
    void for_each(std::string_view prefix, const Take& take) const {
        const RunsWithPrefix range(runs_, prefix);
        std::string_view project;  // the last one looked at
        bool is_readable = false;
        for (auto at = range.begin(); at != runs_.end() && range.contains(**at); ++at) {
            const Run& run = **at;
            if (run.project != project) {
                project = run.project;
                is_readable = may_read(rights_, project);
            }
            if (is_readable) {
                take(*at);
            }
        }
    }
    // Null if it is not there.
    const std::shared_ptr<const Run>* find(const RunPath& path) const {
        return may_read(rights_, path.project) ? runs_.find(path) : nullptr;
    }
    // A fork's parent, which is of its project.
    std::shared_ptr<const Run> find_parent(const Run& fork) const {
        const auto at = std::ranges::find_if(
            runs_, [&](const auto& run) { return run->id == fork.fork_parent(); });
        return fork.fork_parent() == 0 || at == runs_.end() ? nullptr : *at;
    }
    bool empty() const {
        if (rights_ == nullptr) {
            return runs_.empty();
        }
        bool has_any = false;
        for_each("", [&](const auto&) { has_any = true; });
        return !has_any;
    }
    // What is to be said if there is none.
    std::string_view none() const {
        return rights_ == nullptr || rights_->may_everywhere(Right::kRead)
                   ? "the store has no runs"
                   : "the store has no runs that this token may read";
    }

  private:
    const Catalog::RunMap& runs_;
    const Rights* rights_;
};

Error run_not_found(const Query& query, const RunPattern& pattern, const ReadableRuns& runs) {
    std::vector<std::string> paths;
    runs.for_each("", [&](const auto& run) { paths.push_back(run->path()); });
    return query_error(query.text, pattern.path.span,
                       fmt::format("there is no run '{}'{}", printable(pattern.path.text),
                                   paths.empty() ? fmt::format("; {}", runs.none())
                                                 : did_you_mean(pattern.path.text, paths)),
                       ErrorCode::kNotFound);
}

Result<SelectedRun> select_named(const Query& query, const RunPattern& pattern,
                                 const ReadableRuns& runs) {
    const std::string& path = pattern.path.text;
    const size_t slash = path.find('/');
    const std::string_view text = path;
    const auto* found = runs.find(RunPath{text.substr(0, slash), text.substr(slash + 1)});
    if (found == nullptr) {
        return run_not_found(query, pattern, runs);
    }
    const std::shared_ptr<const Run>& run = *found;
    if (pattern.attempt && !has_attempt(*run, *pattern.attempt)) {
        const bool discarded = run->find_attempt(*pattern.attempt) != nullptr;
        return query_error(
            query.text, pattern.path.span,
            fmt::format(
                "{} attempt {}{}; its newest is {}",
                discarded ? "of run " + run->path() + "," : "run " + run->path() + " has no",
                *pattern.attempt, discarded ? " was discarded" : "", run->newest_attempt().number),
            ErrorCode::kNotFound);
    }
    return select(run, run->path(), pattern);
}

// What a selected run was forked from, as it was pinned; nothing if it was not.
std::optional<SelectedRun> parent_of(const SelectedRun& selected, const ReadableRuns& runs) {
    const Attempt& first = selected.run->attempts.front();
    SelectedRun parent;
    parent.run = runs.find_parent(*selected.run);
    if (parent.run == nullptr) {
        return std::nullopt;
    }
    parent.attempt = first.parent_attempt;
    parent.label = parent.attempt == parent.run->newest_attempt().number
                       ? parent.run->path()
                       : fmt::format("{}#{}", parent.run->path(), parent.attempt);
    return parent;
}

// Each of these runs becomes what it was forked from; those go that were not, or from an attempt
// that was discarded. If none is left, the first of them says why.
Status take_parents(const RunPattern& pattern, size_t from, const ReadableRuns& runs,
                    BoundQuery& bound, std::vector<SelectedRun>& found) {
    std::vector<SelectedRun> parents;
    std::string without;
    std::vector<std::string> discarded;
    for (size_t i = from; i < found.size(); ++i) {
        std::optional<SelectedRun> parent = parent_of(found[i], runs);
        if (parent && has_attempt(*parent->run, parent->attempt)) {
            parents.push_back(std::move(*parent));
        } else if (parent) {
            discarded.push_back(fmt::format("the parent of {} is {}, an attempt that was discarded",
                                            found[i].label, parent->label));
        } else if (without.empty()) {
            without = found[i].label;
        }
    }
    if (parents.empty() && !discarded.empty()) {
        return query_error(bound.query.text, pattern.path.span, discarded.front(),
                           ErrorCode::kNotFound);
    }
    if (parents.empty() && !without.empty()) {
        return query_error(bound.query.text, pattern.path.span,
                           fmt::format("run {} is no fork and has no parent", without),
                           ErrorCode::kFailedPrecondition);
    }
    if (!discarded.empty()) {
        bound.notes.push_back(
            discarded.front() +
            (discarded.size() == 1
                 ? std::string()
                 : fmt::format("; so {} {} more", discarded.size() == 2 ? "is" : "are",
                               discarded.size() - 1)));
    }
    found.resize(from);
    found.insert(found.end(), parents.begin(), parents.end());
    return {};
}

// Of each of these runs what it inherits is left out.
void leave_own(size_t from, std::vector<SelectedRun>& found) {
    for (size_t i = from; i < found.size(); ++i) {
        found[i].own = true;
        found[i].label = fmt::format("own({})", found[i].label);
    }
}

Status select_pattern(const RunPattern& pattern, const ReadableRuns& runs, BoundQuery& bound,
                      std::vector<SelectedRun>& found) {
    TRY_ASSIGN(const NameMatcher matcher, NameMatcher::compile(pattern.path, bound.query.text));
    if (matcher.exact() != nullptr) {
        TRY_ASSIGN(SelectedRun selected, select_named(bound.query, pattern, runs));
        found.push_back(std::move(selected));
        return {};
    }
    const size_t before = found.size();
    std::vector<Capture> captures;
    runs.for_each(matcher.prefix(), [&](const std::shared_ptr<const Run>& run) {
        std::string path = run->path();
        if (matcher.matches(path, captures) &&
            (!pattern.attempt || has_attempt(*run, *pattern.attempt))) {
            found.push_back(select(run, std::move(path), pattern));
            found.back().captures = captures;
        }
    });
    if (found.size() != before) {
        return {};
    }
    if (runs.empty()) {
        bound.notes.assign(1, std::string(runs.none()));
    } else {
        bound.notes.push_back(fmt::format("no run matches '{}'{}", printable(pattern.path.text),
                                          pattern.attempt
                                              ? fmt::format(" with an attempt {}", *pattern.attempt)
                                              : std::string()));
    }
    return {};
}

// An end of a range that is relative to a fork.
struct ForkEnd {
    const RangeEnd* end = nullptr;
    bool is_in_time = false;
};

const RangeEnd* find_fork(const Range& range) {
    for (const RangeEnd* end : {&range.from, &range.to}) {
        if (end->anchor == RangeEnd::Anchor::kFork) {
            return end;
        }
    }
    return nullptr;
}

// The first one of the text's queries of series.
ForkEnd find_fork(const Query& query) {
    ForkEnd found;
    const auto* series = std::get_if<SeriesQuery>(&query.what);
    if (series == nullptr) {
        return found;
    }
    for_each_query(*series, [&](const SeriesQuery& each) {
        for (const Stage& stage : each.then.stages) {
            const auto* steps = std::get_if<StepsStage>(&stage.what);
            const auto* time = std::get_if<TimeStage>(&stage.what);
            const Range* range = steps != nullptr  ? &steps->range
                                 : time != nullptr ? &time->range
                                                   : nullptr;
            const RangeEnd* end = range == nullptr ? nullptr : find_fork(*range);
            if (end != nullptr && found.end == nullptr) {
                found = {end, time != nullptr};
            }
        }
    });
    return found;
}

// By their labels; equal ones stay in their order.
void sort_naturally(std::vector<SelectedRun>& runs) {
    std::vector<std::string_view> labels;
    labels.reserve(runs.size());
    for (const SelectedRun& selected : runs) {
        labels.push_back(selected.label);
    }
    std::vector<SelectedRun> sorted;
    sorted.reserve(runs.size());
    for (const uint32_t at : natural_order(labels)) {
        sorted.push_back(std::move(runs[at]));
    }
    runs = std::move(sorted);
}

// The runs that the patterns select, in natural order and each once, behind those of other scopes.
Result<std::vector<SelectedRun>> select_runs(const std::vector<RunPattern>& patterns,
                                             const ReadableRuns& runs, BoundQuery& bound) {
    std::vector<SelectedRun> found;
    for (const RunPattern& pattern : patterns) {
        const size_t before = found.size();
        TRY(select_pattern(pattern, runs, bound, found));
        if (pattern.of == RunPattern::Of::kParent) {
            TRY(take_parents(pattern, before, runs, bound, found));
        } else if (pattern.of == RunPattern::Of::kOwn) {
            leave_own(before, found);
        }
    }
    for (size_t i = 0; i < found.size(); ++i) {
        found[i].order = bound.runs.size() + i;
    }
    sort_naturally(found);
    const auto same = [](const SelectedRun& a, const SelectedRun& b) { return a.label == b.label; };
    found.erase(std::unique(found.begin(), found.end(), same), found.end());
    return found;
}

// What queries are bound to.
struct BoundTo {
    ReadableRuns runs;
    std::shared_ptr<const Catalog> catalog;  // null: of no catalog, and then nothing is known
    KnownRuns* known = nullptr;
    std::string reading_key;  // Rights::reading_key()
};

void append_runs(const std::vector<SelectedRun>& found, BoundQuery& bound) {
    bound.runs.reserve(bound.runs.size() + found.size());
    for (const SelectedRun& selected : found) {
        bound.runs.push_back(&selected);
    }
}

// Of what is known already if it is.
Status find_runs(const std::vector<RunPattern>& patterns, const BoundTo& to, BoundQuery& bound) {
    const bool may_be_known = to.known != nullptr && bound.runs.empty();  // places are in one list
    if (may_be_known) {
        if (const KnownRuns::Runs known = to.known->find(to.catalog, patterns, to.reading_key)) {
            append_runs(known->runs(), bound);
            bound.list = known;
            return {};
        }
    }
    const size_t notes = bound.notes.size();
    TRY_ASSIGN(std::vector<SelectedRun> selected, select_runs(patterns, to.runs, bound));
    if (may_be_known && bound.notes.size() == notes && to.known->are_enough(selected.size())) {
        bound.list = std::make_shared<const RunList>(std::move(selected));
        append_runs(bound.list->runs(), bound);
        to.known->keep(to.catalog, patterns, bound.list, to.reading_key);
        return {};
    }
    const auto found = std::make_shared<const std::vector<SelectedRun>>(std::move(selected));
    append_runs(*found, bound);
    bound.found.push_back(found);
    return {};
}

// As the scope of that number.
Status bind_runs(const std::vector<RunPattern>& patterns, const BoundTo& to, size_t scope,
                 BoundQuery& bound) {
    const size_t first = bound.runs.size();
    TRY(find_runs(patterns, to, bound));
    bound.scopes.resize(std::max(bound.scopes.size(), scope + 1));
    bound.scopes[scope] = {first, bound.runs.size() - first};
    return {};
}

Result<BoundQuery> bind_to(Query query, const BoundTo& to) {
    BoundQuery bound;
    bound.query = std::move(query);
    const auto* series = std::get_if<SeriesQuery>(&bound.query.what);
    if (series == nullptr) {
        const auto& patterns =
            std::visit([](const auto& what) -> const std::vector<RunPattern>& { return what.runs; },
                       bound.query.what);
        TRY(bind_runs(patterns, to, 0, bound));
        return bound;
    }
    Status done;
    for_each_query(*series, [&](const SeriesQuery& each) {
        if (done) {
            done = bind_runs(each.runs, to, each.scope, bound);
        }
    });
    return done ? Result<BoundQuery>(std::move(bound)) : done.error();
}

}  // namespace

std::vector<uint64_t> BoundQuery::run_ids() const {
    if (list != nullptr && found.empty()) {
        return list->ids();
    }
    std::vector<uint64_t> ids;
    ids.reserve(runs.size());
    for (const SelectedRun* selected : runs) {
        ids.push_back(selected->run->id);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

Result<BoundQuery> bind_query(Query query, const Catalog::RunMap& runs) {
    return bind_to(std::move(query), {ReadableRuns(runs, nullptr), nullptr, nullptr, ""});
}

Result<BoundQuery> bind_query(Query query, const std::shared_ptr<const Catalog>& catalog,
                              KnownRuns& known, std::shared_ptr<const Rights> rights) {
    if (std::holds_alternative<StatsQuery>(query.what)) {
        TRY(check_store_right(rights.get(), Right::kMetrics,
                              "ask for the statistics of the store"));
    }
    const std::string key = rights == nullptr ? "" : rights->reading_key();
    Result<BoundQuery> bound = bind_to(
        std::move(query), {ReadableRuns(catalog->runs(), rights.get()), catalog, &known, key});
    if (bound) {
        bound->rights = std::move(rights);
    }
    return bound;
}

Status resolve_fork(BoundQuery& bound) {
    const ForkEnd fork = find_fork(bound.query);
    if (fork.end == nullptr) {
        return {};
    }
    if (fork.is_in_time) {
        return query_error(bound.query.text, fork.end->span,
                           "a fork has a step and no time; write `steps fork..`");
    }
    const SelectedRun* first = nullptr;
    size_t order = std::numeric_limits<size_t>::max();
    for (const SelectedRun* selected : bound.runs) {
        const std::optional<double> step = fork_step(*selected->run, selected->attempt);
        if (step && selected->order < order) {
            order = selected->order;
            bound.fork_step = step;
        }
        first = first == nullptr || selected->order < first->order ? selected : first;
    }
    if (bound.fork_step) {
        return {};
    }
    return query_error(bound.query.text, fork.end->span,
                       first == nullptr ? "no run selected has a fork"
                                        : fmt::format("run {} has no fork", first->label),
                       ErrorCode::kFailedPrecondition);
}

}  // namespace stepdb
