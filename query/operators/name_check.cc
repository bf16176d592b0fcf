#include "query/operators/name_check.h"

#include <algorithm>
#include <set>

#include "engine/base/text.h"
#include "query/expression_words.h"
#include "query/run_attributes.h"

namespace stepdb {

namespace {

// Enough runs to find the name that was meant; all of a sweep would tell the same.
constexpr size_t kRunsAsked = 20;

class NameCheck {
  public:
    NameCheck(const ExpressionPlan& plan, const ExecutionContext& context)
        : plan_(plan), context_(context) {
        for (const auto* runs : {&context.bound.runs, &context.left_out}) {
            runs_.insert(runs_.end(), runs->begin(), runs->end());
        }
    }

    Status check() const {
        for (const ExpressionSource& source : plan_.sources()) {
            if (source.is_required && !source.metric.empty() && !is_metric(source.metric)) {
                return metric_not_found(source.metric, source.span);
            }
        }
        for (const JoinedMetric& joined : plan_.joined()) {
            if (!is_metric(joined.metric)) {
                return metric_not_found(joined.metric, joined.span);
            }
        }
        for (const BoundNode& node : plan_.nodes()) {
            const bool counts = node.kind == BoundNode::Kind::kAttribute && node.is_required;
            if (counts && !is_attribute(node.attribute)) {
                return attribute_not_found(node);
            }
        }
        return {};
    }

  private:
    bool is_metric(const std::string& name) const {
        return std::ranges::any_of(runs_, [&](const SelectedRun* selected) {
            return context_.source.find_metric(selected->view(), name).has_value();
        });
    }
    bool is_attribute(const std::string& name) const {
        const auto system = system_attribute_names();
        return std::ranges::find(system, name) != system.end() ||
               std::ranges::any_of(runs_, [&](const SelectedRun* selected) {
                   return selected->run->all_attributes().contains(name);
               });
    }
    Error metric_not_found(const std::string& metric, SourceSpan span) const;
    Error attribute_not_found(const BoundNode& node) const;
    std::string hint(const BoundNode& node) const;
    std::string where() const { return name_runs(runs_); }

    const ExpressionPlan& plan_;
    const ExecutionContext& context_;
    std::vector<const SelectedRun*> runs_;  // for which `where` holds or not
};

Error NameCheck::metric_not_found(const std::string& metric, SourceSpan span) const {
    std::set<std::string> names;
    for (size_t i = 0; i < std::min(runs_.size(), kRunsAsked); ++i) {
        for (MetricInfo& each : context_.source.metrics(runs_[i]->view())) {
            names.insert(std::move(each.name));
        }
    }
    const std::vector<std::string> candidates(names.begin(), names.end());
    return query_error(plan_.query_text(), span,
                       fmt::format("there is no metric '{}' in {}{}", printable(metric), where(),
                                   did_you_mean(metric, candidates)),
                       ErrorCode::kNotFound);
}

Error NameCheck::attribute_not_found(const BoundNode& node) const {
    return query_error(plan_.query_text(), node.span,
                       fmt::format("there is no attribute '{}' in {}{}", printable(node.attribute),
                                   where(), hint(node)),
                       ErrorCode::kNotFound);
}

// What could have been meant by an attribute that is not there.
std::string NameCheck::hint(const BoundNode& node) const {
    const std::string& name = node.attribute;
    if (is_metric(name)) {
        return fmt::format(", but a metric; did you mean 'last({})'?", printable(name));
    }
    const auto functions = point_statistic_names();
    if (std::ranges::find(functions, name) != functions.end()) {
        return fmt::format("; `{}` is of a metric, as in {}(train/loss)", name, name);
    }
    std::set<std::string> names;
    for (size_t i = 0; i < std::min(runs_.size(), kRunsAsked); ++i) {
        for (const auto& attribute : runs_[i]->run->all_attributes()) {
            names.insert(attribute.first);
        }
        if (plan_.knows_metrics()) {
            for (MetricInfo& metric : context_.source.metrics(runs_[i]->view())) {
                names.insert(std::move(metric.name));
            }
        }
    }
    std::vector<std::string> candidates(names.begin(), names.end());
    for (const auto& alias : plan_.aliases()) {
        if (alias.first != name) {
            candidates.push_back(alias.first);
        }
    }
    const std::vector<std::string> fields = field_names(node.scope);
    candidates.insert(candidates.end(), fields.begin(), fields.end());
    const auto system = system_attribute_names();
    candidates.insert(candidates.end(), system.begin(), system.end());
    std::string nearest = did_you_mean(name, candidates);
    const bool is_of_point = nearest.empty() && node.scope == ExpressionScope::kPoint;
    return !is_of_point ? nearest
           : plan_.knows_metrics()
               ? "; of a point there are value, step, time and elapsed, and the metrics of its run"
               : "; of a point there are value, step and time";
}

}  // namespace

Status check_names(const ExpressionPlan& plan, const ExecutionContext& context) {
    const bool is_empty = context.bound.runs.empty() && context.left_out.empty();
    return is_empty ? Status() : NameCheck(plan, context).check();
}

}  // namespace stepdb
