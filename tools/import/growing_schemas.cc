#include "tools/import/growing_schemas.h"

#include <algorithm>
#include <utility>

#include "engine/base/bytes.h"

namespace stepdb {

namespace {

constexpr uint32_t kNone = UINT32_MAX;

std::string key_of(const std::vector<uint32_t>& metrics) {
    return std::string(as_text(std::as_bytes(std::span(metrics))));
}

}  // namespace

Result<uint32_t> GrowingSchemas::add(std::vector<uint32_t> metrics,
                                     const std::vector<std::string>& names) {
    std::vector<std::string> columns;
    columns.reserve(metrics.size());
    for (const uint32_t metric : metrics) {
        columns.push_back(names[metric]);
    }
    PlannedSchema made;
    TRY_ASSIGN(Schema schema, Schema::create(axis_, std::move(columns)));
    made.schema = std::make_shared<const Schema>(std::move(schema));
    made.metrics = std::move(metrics);
    schemas_.push_back(std::move(made));
    return static_cast<uint32_t>(schemas_.size() - 1);
}

void GrowingSchemas::see(const std::vector<uint32_t>& metrics) {
    const size_t highest = metrics.back();
    if (highest >= is_seen_.size()) {
        is_seen_.resize(highest + 1);
        is_shared_.resize(highest + 1);
        schema_of_.resize(highest + 1, kNone);
    }
    for (const uint32_t metric : metrics) {
        seen_ += is_seen_[metric] == 0 ? 1U : 0U;
        is_seen_[metric] = 1;
    }
}

Status GrowingSchemas::share(const std::vector<std::string>& names) {
    std::vector<uint32_t> all;
    all.reserve(seen_);
    for (uint32_t metric = 0; metric < is_seen_.size(); ++metric) {
        if (is_seen_[metric] != 0) {
            all.push_back(metric);
        }
    }
    is_shared_ = is_seen_;
    TRY_ASSIGN(shared_, add(std::move(all), names));
    return {};
}

Result<std::vector<uint32_t>> GrowingSchemas::find(const std::vector<uint32_t>& metrics,
                                                   const std::vector<std::string>& names) {
    const std::string key = key_of(metrics);
    if (const auto at = schema_of_set_.find(key); at != schema_of_set_.end()) {
        return std::vector<uint32_t>{at->second};
    }
    see(metrics);
    if (schema_of_set_.size() < kSetsMax) {
        TRY_ASSIGN(const uint32_t schema, add(metrics, names));
        schema_of_set_.emplace(key, schema);
        return std::vector<uint32_t>{schema};
    }
    const size_t width = shared_ == kNone ? 0 : schemas_[shared_].metrics.size();
    if (seen_ - width >= std::max<size_t>(width, 1)) {
        TRY(share(names));
    }
    std::vector<uint32_t> found;
    for (const uint32_t metric : metrics) {
        if (is_shared_[metric] != 0) {
            if (found.empty() || found.front() != shared_) {
                found.insert(found.begin(), shared_);
            }
            continue;
        }
        if (schema_of_[metric] == kNone) {
            TRY_ASSIGN(schema_of_[metric], add({metric}, names));
        }
        found.push_back(schema_of_[metric]);
    }
    return found;
}

}  // namespace stepdb
