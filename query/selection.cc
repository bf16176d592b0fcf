#include "query/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "engine/base/natural_order.h"
#include "engine/base/text.h"
#include "engine/query_memory.h"
#include "query/name_matcher.h"

namespace stepdb {

namespace {

constexpr size_t kChargeStep = 64U << 10U;
// Some 10 MB of matches at most, for runs that share their metrics.
constexpr size_t kMatchesKeptMax = 100'000;

// Selects the series of one run after the other.
class Selector {
  public:
    Selector(const BoundQuery& bound, RunScope scope, const std::vector<Pattern>& patterns,
             const SeriesSource& source, std::shared_ptr<MemoryBudget> memory)
        : bound_(bound),
          scope_(scope),
          patterns_(patterns),
          source_(source),
          charge_(std::move(memory)) {}

    Result<Selection> select();

  private:
    // A metric that a pattern matches.
    struct Match {
        std::string_view metric;  // of its schema
        Axis axis = Axis::kStepped;
        size_t pattern = 0;
        std::vector<Capture> captures;
    };
    using Schemas = std::vector<const Schema*>;

    Status add_run(size_t run);
    Status add_named(size_t run);
    Status add_listed(size_t run);
    void sort_series(size_t first);
    const std::vector<Match>& matches_of(const Schemas& schemas);
    Status add(size_t run, size_t pattern, std::string metric, Axis axis,
               const std::vector<Capture>& captured);
    std::vector<Capture> captures_of(size_t run, const std::vector<Capture>& captured) const;
    Status check_matched();
    Error metric_not_found(const Pattern& pattern) const;

    const BoundQuery& bound_;
    RunScope scope_;
    const std::vector<Pattern>& patterns_;
    const SeriesSource& source_;
    std::vector<NameMatcher> matchers_;
    std::vector<bool> matched_;
    bool all_exact_ = true;
    // In natural order, each metric once, by what names the metrics of a run: the runs of a sweep
    // share it.
    std::map<Schemas, std::vector<Match>> matches_;
    size_t matches_kept_ = 0;
    size_t bytes_ = 0;
    MemoryCharge charge_;  // bytes_, in steps; goes with the selection
    Selection selection_;
};

Result<Selection> Selector::select() {
    for (const Pattern& pattern : patterns_) {
        TRY_ASSIGN(NameMatcher matcher, NameMatcher::compile(pattern, bound_.query.text));
        all_exact_ = all_exact_ && matcher.exact() != nullptr;
        matchers_.push_back(std::move(matcher));
    }
    matched_.resize(patterns_.size());
    for (size_t i = 0; i < scope_.count; ++i) {
        TRY(add_run(scope_.first + i));
    }
    TRY(check_matched());
    selection_.charge = std::move(charge_);
    return std::move(selection_);
}

Status Selector::add_run(size_t run) {
    const SelectedRun& selected = *bound_.runs[run];
    if (all_exact_) {
        return add_named(run);
    }
    const std::optional<Schemas> schemas = source_.schemas(selected.view());
    if (!schemas) {
        return add_listed(run);
    }
    for (const Match& match : matches_of(*schemas)) {
        TRY(add(run, match.pattern, std::string(match.metric), match.axis, match.captures));
    }
    return {};
}

// A chart of one metric must not list the hundred thousand others of its run.
Status Selector::add_named(size_t run) {
    const size_t before = selection_.series.size();
    for (size_t i = 0; i < matchers_.size(); ++i) {
        const std::string& name = *matchers_[i].exact();
        const auto axis = source_.find_metric(bound_.runs[run]->view(), name);
        if (axis) {
            TRY(add(run, i, name, *axis, {}));
        }
    }
    if (matchers_.size() > 1) {
        sort_series(before);
    }
    return {};
}

Status Selector::add_listed(size_t run) {
    const size_t before = selection_.series.size();
    std::vector<Capture> captured;
    for (MetricInfo& metric : source_.metrics(bound_.runs[run]->view())) {
        for (size_t i = 0; i < matchers_.size(); ++i) {
            if (matchers_[i].matches(metric.name, captured)) {
                TRY(add(run, i, metric.name, metric.axis, captured));
            }
        }
    }
    sort_series(before);
    return {};
}

// Of the series from `first` on, of one run: in natural order, each once.
void Selector::sort_series(size_t first) {
    const auto from = selection_.series.begin() + static_cast<std::ptrdiff_t>(first);
    std::stable_sort(from, selection_.series.end(), [](const Series& a, const Series& b) {
        return natural_less(a.metric, b.metric);
    });
    const auto same = [](const Series& a, const Series& b) { return a.metric == b.metric; };
    selection_.series.erase(std::unique(from, selection_.series.end(), same),
                            selection_.series.end());
}

// Names are matched once for all runs that have them.
const std::vector<Selector::Match>& Selector::matches_of(const Schemas& schemas) {
    if (const auto at = matches_.find(schemas); at != matches_.end()) {
        return at->second;
    }
    std::vector<Match> found;
    std::vector<Capture> captured;
    for (const Schema* schema : schemas) {
        for (size_t i = 0; i < matchers_.size(); ++i) {
            const std::string& literal = matchers_[i].literal();
            const auto next = [&](uint32_t column) {
                return literal.empty() ? column : schema->find_holding(literal, column);
            };
            for (uint32_t at = next(0); at < schema->width(); at = next(at + 1)) {
                const std::string_view metric = schema->metric(at);
                if (matchers_[i].matches(metric, captured)) {
                    matched_[i] = true;
                    found.push_back({metric, schema->axis(), i, captured});
                }
            }
        }
    }
    std::vector<std::string_view> names;
    names.reserve(found.size());
    for (const Match& match : found) {
        names.push_back(match.metric);
    }
    std::vector<Match> matches;
    for (const uint32_t at : natural_order(names)) {
        if (matches.empty() || matches.back().metric != found[at].metric) {
            matches.push_back(std::move(found[at]));
        }
    }
    if (matches_kept_ + matches.size() > kMatchesKeptMax) {
        matches_.clear();
        matches_kept_ = 0;
    }
    matches_kept_ += matches.size() + 1;
    return matches_.emplace(schemas, std::move(matches)).first->second;
}

Status Selector::add(size_t run, size_t pattern, std::string metric, Axis axis,
                     const std::vector<Capture>& captured) {
    matched_[pattern] = true;
    // Twice, for the array that grows.
    bytes_ += 2 * sizeof(Series) + metric.size();
    if (bytes_ > charge_.bytes()) {
        TRY(charge_query_memory(charge_, bytes_ + kChargeStep));
    }
    Series series;
    series.run = run;
    series.metric = std::move(metric);
    series.axis = axis;
    series.captures = captures_of(run, captured);
    selection_.series.push_back(std::move(series));
    return {};
}

// Those of the metric, and of its run.
std::vector<Capture> Selector::captures_of(size_t run, const std::vector<Capture>& captured) const {
    std::vector<Capture> captures = captured;
    for (const Capture& capture : bound_.runs[run]->captures) {
        if (std::ranges::find(captures, capture.name, &Capture::name) == captures.end()) {
            captures.push_back(capture);
        }
    }
    std::ranges::sort(captures, {}, &Capture::name);
    return captures;
}

Status Selector::check_matched() {
    for (size_t i = 0; i < patterns_.size(); ++i) {
        if (matched_[i] || scope_.count == 0) {
            continue;
        }
        if (matchers_[i].exact() != nullptr) {
            return metric_not_found(patterns_[i]);
        }
        selection_.notes.push_back(fmt::format("no metric of the selected runs matches '{}'",
                                               printable(patterns_[i].text)));
    }
    return {};
}

Error Selector::metric_not_found(const Pattern& pattern) const {
    // Enough runs to find the name that was meant; all of a sweep would tell the same.
    constexpr size_t kRunsAsked = 20;
    std::vector<std::string> names;
    for (size_t i = 0; i < std::min(scope_.count, kRunsAsked); ++i) {
        const SelectedRun& selected = *bound_.runs[scope_.first + i];
        for (MetricInfo& metric : source_.metrics(selected.view())) {
            names.push_back(std::move(metric.name));
        }
    }
    std::vector<const SelectedRun*> runs;
    for (size_t i = 0; i < scope_.count; ++i) {
        runs.push_back(bound_.runs[scope_.first + i]);
    }
    const std::string where = name_runs(runs);
    return query_error(bound_.query.text, pattern.span,
                       fmt::format("there is no metric '{}' in {}{}", printable(pattern.text),
                                   where, did_you_mean(pattern.text, names)),
                       ErrorCode::kNotFound);
}

}  // namespace

std::string name_runs(const std::vector<const SelectedRun*>& runs) {
    // A run may be selected by several patterns.
    std::vector<std::string_view> labels;
    for (const SelectedRun* selected : runs) {
        if (std::ranges::find(labels, selected->label) == labels.end() && labels.size() < 3) {
            labels.push_back(selected->label);
        }
    }
    return labels.size() < 3
               ? fmt::format("{}{}", labels.size() == 1 ? "run " : "", fmt::join(labels, " or "))
               : std::string("any of the runs selected");
}

const Series* Selection::first_of(Axis axis) const {
    const auto at = std::find_if(series.begin(), series.end(),
                                 [&](const Series& each) { return each.axis == axis; });
    return at == series.end() ? nullptr : &*at;
}

const std::string* Series::find_capture(std::string_view its_name) const {
    const auto at = std::ranges::find(captures, its_name, &Capture::name);
    return at == captures.end() ? nullptr : &at->text;
}

bool stands_before(const Series& a, const Series& b) {
    return a.run != b.run ? a.run < b.run : natural_less(a.shown_metric(), b.shown_metric());
}

const std::string& run_label(const BoundQuery& bound, const Series& series) {
    return series.run_label.empty() ? bound.runs[series.run]->label : series.run_label;
}

Result<Selection> select_series(const BoundQuery& bound, RunScope scope,
                                const std::vector<Pattern>& metrics, const SeriesSource& source,
                                std::shared_ptr<MemoryBudget> memory) {
    return Selector(bound, scope, metrics, source, std::move(memory)).select();
}

}  // namespace stepdb
