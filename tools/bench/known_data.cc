#include "tools/bench/known_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

#include "engine/io/environment.h"
#include "engine/model/life_frame.h"
#include "engine/model/rows.h"
#include "tools/bench/frame_pool.h"
#include "tools/bench/load_values.h"
#include "tools/bench/measured.h"

namespace stepdb {

namespace {

// In natural order, so that the numbers of metrics are.
constexpr std::array<std::string_view, 10> kModules = {
    "attn/k",   "attn/norm", "attn/o",   "attn/q", "attn/v",
    "mlp/down", "mlp/gate",  "mlp/norm", "mlp/up", "resid"};
constexpr std::array<std::string_view, 10> kStatistics = {
    "act_max",   "act_mean", "act_std",  "grad_max",    "grad_mean",
    "grad_norm", "rank",     "sparsity", "update_norm", "weight_norm"};
constexpr std::array<std::string_view, 4> kOptimizers = {"adamw", "lion", "muon", "sgd"};

constexpr uint64_t kFramePoints = 64U << 10U;
constexpr uint64_t kFrameRows = 4096;

std::string layer_metric(uint32_t metric) {
    return fmt::format("layers/{}/{}/{}", metric / 100, kModules[metric / 10 % 10],
                       kStatistics[metric % 10]);
}

LoadShape load_shape(const KnownShape& shape) {
    LoadShape load;
    load.metrics = shape.metrics;
    return load;
}

std::vector<std::byte> attributes_frame(const KnownData& data, uint32_t run, uint64_t number) {
    SetAttributesFrame frame;
    frame.handle = run + 1;
    const auto change = [&frame](std::string name) -> AttributeValue& {
        AttributeChange& made = frame.changes.emplace_back();
        made.name = std::move(name);
        return made.value;
    };
    change("config/lr").emplace<double>(data.learning_rate(run));
    change("config/opt").emplace<std::string>(data.optimizer(run));
    change("config/seed").emplace<int64_t>(run);
    return encode_set_attributes_frame(frame, number);
}

// The outcome is with those of the next flush.
Status send(Client& client, const std::vector<std::byte>& frame) {
    const Result<uint64_t> sent = client.send_change(frame);
    return sent ? Status() : Status(sent.error());
}

Status take_outcomes(Client& client, std::string_view of) {
    TRY_ASSIGN(const FlushReport outcomes, client.flush());
    if (!outcomes.refused.empty()) {
        return outcomes.refused.front().error.to_error().within(fmt::format(
            "of the data set {}, {} frames were refused, the first", of, outcomes.refused_frames));
    }
    return {};
}

}  // namespace

KnownData::KnownData(KnownShape shape, std::string project, const std::string& prefix,
                     uint64_t seed)
    : shape_(std::move(shape)),
      project_(std::move(project)),
      prefix_(fmt::format("{}-{}-", prefix, shape_.name)),
      pool_rows_(std::min<uint64_t>(pool_rows(load_shape(shape_)), shape_.runs * shape_.rows)) {
    LoadValues source(load_shape(shape_), seed);
    pool_.resize(pool_rows_ * shape_.metrics);
    for (size_t row = 0; row < pool_rows_; ++row) {
        source.next_row(std::span(pool_).subspan(row * shape_.metrics, shape_.metrics));
    }
}

// --- What is known ---

std::string KnownData::run_id(uint32_t run) const {
    return fmt::format("{}{}-{}", prefix_, run < tenth() ? 'a' : 'b', run);
}

std::string KnownData::run(uint32_t run) const {
    return project_ + "/" + run_id(run);
}

std::string KnownData::metric(uint32_t run, uint32_t metric) const {
    switch (shape_.names) {
        case KnownNames::kNumbered:
            return bench_metric(metric);
        case KnownNames::kLayers:
            return layer_metric(metric);
        case KnownNames::kLayersOfRun:
            return fmt::format("model-{}/{}", run, layer_metric(metric));
    }
    return {};
}

bool KnownData::is_found(uint32_t metric) {
    const std::string_view module = kModules[metric / 10 % 10];
    return metric / 100 % 10 == 7 && (module == "attn/q" || module == "attn/k") &&
           kStatistics[metric % 10] == "grad_norm";
}

uint32_t KnownData::writer_of(uint32_t run, uint64_t step) const {
    while (shape_.forks && run > 0 && step <= fork_step(run)) {
        --run;
    }
    return run;
}

double KnownData::value(uint32_t run, uint32_t metric, uint64_t step) const {
    return pool_[pool_row(writer_of(run, step), step) * shape_.metrics + metric];
}

double KnownData::learning_rate(uint32_t run) const {
    return 1e-4 * (1 + run % 50);
}

std::string_view KnownData::optimizer(uint32_t run) const {
    return kOptimizers[run % kOptimizers.size()];
}

// --- Storing it ---

std::vector<std::string> KnownData::metrics_of(uint32_t run) const {
    std::vector<std::string> metrics;
    for (uint32_t at = 0; at < shape_.metrics; ++at) {
        metrics.push_back(metric(run, at));
    }
    return metrics;
}

Status KnownData::store(Client& client, const std::function<void(uint64_t)>& told) const {
    const int64_t time_us = SystemClock().now_us();
    std::shared_ptr<const Schema> schema;
    for (uint32_t run = 0; run < shape_.runs; ++run) {
        if (is_interrupted()) {
            return Error(ErrorCode::kCancelled, "interrupted");
        }
        if (run == 0 || shape_.names == KnownNames::kLayersOfRun) {
            TRY_ASSIGN(Schema made, Schema::create(Axis::kStepped, metrics_of(run)));
            schema = std::make_shared<const Schema>(std::move(made));
            TRY(client.define_schema(project_, *schema));
        }
        TRY(store_run(client, schema, run, time_us));
        told((run + uint64_t{1}) * shape_.metrics * shape_.rows);
    }
    return take_outcomes(client, shape_.name);
}

Status KnownData::store_run(Client& client, const std::shared_ptr<const Schema>& schema,
                            uint32_t run, int64_t time_us) const {
    // Nothing is waited for: a run that was created is in its first attempt.
    const std::string id = run_id(run);
    const std::string parent = shape_.forks && run > 0 ? run_id(run - 1) : "";
    OpenRunFrame open;
    open.handle = run + 1;
    open.mode = parent.empty() ? OpenRunFrame::kMustCreate : OpenRunFrame::kCreateIfMissing;
    open.project = project_;
    open.run = id;
    open.parent = parent;
    open.fork_step = parent.empty() ? 0 : static_cast<double>(fork_step(run));
    TRY(send(client, encode_open_run_frame(open)));
    uint64_t number = 1;
    if (shape_.has_attributes) {
        TRY(send(client, attributes_frame(*this, run, number++)));
    }
    const uint64_t frame_rows = std::clamp<uint64_t>(kFramePoints / shape_.metrics, 1, kFrameRows);
    RowsBuilder builder(schema);
    for (uint64_t step = parent.empty() ? 0 : fork_step(run) + 1; step < shape_.rows; ++step) {
        builder.add(static_cast<double>(step), time_us + static_cast<int64_t>(step),
                    std::span(pool_).subspan(pool_row(run, step) * shape_.metrics, shape_.metrics));
        if (builder.rows() == frame_rows || step + 1 == shape_.rows) {
            TRY(send(client, builder.finish(open.handle, 0, number++)));
        }
    }
    return {};
}

}  // namespace stepdb
