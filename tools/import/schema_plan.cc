#include "tools/import/schema_plan.h"

#include <algorithm>

#include "engine/base/bytes.h"

namespace stepdb {

namespace {

bool is_set_of(const LogRow& row, const std::vector<uint32_t>& metrics) {
    return std::equal(row.values.begin(), row.values.end(), metrics.begin(), metrics.end(),
                      [](const auto& entry, uint32_t metric) { return entry.first == metric; });
}

std::vector<uint32_t> metrics_of(const LogRow& row) {
    std::vector<uint32_t> metrics;
    metrics.reserve(row.values.size());
    for (const auto& [metric, value] : row.values) {
        metrics.push_back(metric);
    }
    return metrics;
}

std::string set_key(const std::vector<uint32_t>& metrics) {
    return std::string(as_text(std::as_bytes(std::span(metrics))));
}

Result<PlannedSchema> make_planned(Axis axis, const std::vector<std::string>& names,
                                   std::vector<uint32_t> metrics) {
    std::vector<std::string> columns;
    columns.reserve(metrics.size());
    for (const uint32_t metric : metrics) {
        columns.push_back(names[metric]);
    }
    PlannedSchema planned;
    TRY_ASSIGN(Schema schema, Schema::create(axis, std::move(columns)));
    planned.schema = std::make_shared<const Schema>(std::move(schema));
    planned.metrics = std::move(metrics);
    return planned;
}

}  // namespace

uint32_t SchemaPlan::find(const LogRow& row) {
    if (!is_set_of(row, schemas_[last_].metrics)) {
        const auto at = schema_of_set_.find(set_key(metrics_of(row)));
        last_ = at == schema_of_set_.end() ? shared_ : at->second;
    }
    return last_;
}

void SchemaPlanner::see(const LogRow& row) {
    ++rows_;
    const uint32_t highest = row.values.back().first;
    if (highest >= points_.size()) {
        points_.resize(highest + size_t{1});
        uncounted_.resize(highest + size_t{1});
    }
    for (const auto& [metric, value] : row.values) {
        ++points_[metric];
    }
    if (last_ < sets_.size() && is_set_of(row, sets_[last_].metrics)) {
        ++sets_[last_].rows;
        return;
    }
    std::vector<uint32_t> metrics = metrics_of(row);
    std::string key = set_key(metrics);
    const auto at = ids_.find(key);
    if (at != ids_.end()) {
        last_ = at->second;
        ++sets_[last_].rows;
    } else if (sets_.empty() || (sets_.size() < kSetsCountedMax &&
                                 set_metrics_ + metrics.size() <= kSetMetricsMax)) {
        set_metrics_ += metrics.size();
        last_ = sets_.size();
        ids_.emplace(std::move(key), last_);
        sets_.push_back({std::move(metrics), 1});
    } else {
        has_uncounted_ = true;
        for (const uint32_t metric : metrics) {
            uncounted_[metric] = 1;
        }
    }
}

Result<SchemaPlan> SchemaPlanner::plan(Axis axis, const std::vector<std::string>& metrics) const {
    SchemaPlan plan;
    std::vector<uint8_t> is_shared = uncounted_;
    bool has_shared = has_uncounted_;
    for (const Set& set : sets_) {
        if (sets_.size() <= kFewSets || set.rows >= kOftenRows) {
            TRY_ASSIGN(PlannedSchema planned, make_planned(axis, metrics, set.metrics));
            plan.schema_of_set_.emplace(set_key(set.metrics),
                                        static_cast<uint32_t>(plan.schemas_.size()));
            plan.schemas_.push_back(std::move(planned));
            continue;
        }
        has_shared = true;
        for (const uint32_t metric : set.metrics) {
            is_shared[metric] = 1;
        }
    }
    if (has_shared) {
        std::vector<uint32_t> shared;
        for (uint32_t metric = 0; metric < is_shared.size(); ++metric) {
            if (is_shared[metric] != 0) {
                shared.push_back(metric);
            }
        }
        TRY_ASSIGN(PlannedSchema planned, make_planned(axis, metrics, std::move(shared)));
        plan.shared_ = static_cast<uint32_t>(plan.schemas_.size());
        plan.schemas_.push_back(std::move(planned));
    }
    return plan;
}

}  // namespace stepdb
