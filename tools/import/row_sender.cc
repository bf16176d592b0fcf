#include "tools/import/row_sender.h"

#include <algorithm>

#include "engine/model/key.h"

namespace stepdb {

RowSender::RowSender(Client& client, ClientRun& run, SchemaPlan& plan, std::string path)
    : client_(client),
      run_(run),
      plan_(plan),
      path_(std::move(path)),
      first_lines_(plan.schemas().size()) {
    for (const PlannedSchema& planned : plan_.schemas()) {
        waiting_.emplace_back(planned.schema);
    }
}

Status RowSender::begin(std::string_view project) {
    for (const PlannedSchema& planned : plan_.schemas()) {
        TRY(client_.define_schema(project, *planned.schema));
    }
    return take_outcomes();
}

Status RowSender::send(const LogRow& row) {
    const uint32_t schema = plan_.find(row);
    if (waiting_.size() > 1) {
        const Key key = row.step ? key_of_step(*row.step) : row.time_us;
        const auto at = schema_of_key_.emplace(key, schema).first;
        if (at->second != schema) {
            TRY(send_waiting());
            schema_of_key_.emplace(key, schema);
        }
    }
    RowsBuilder& rows = waiting_[schema];
    if (rows.rows() == 0) {
        order_.push_back(schema);
        first_lines_[schema] = row.line;
    }
    const PlannedSchema& planned = plan_.schemas()[schema];
    if (row.values.size() == planned.metrics.size()) {
        full_.clear();
        for (const auto& [metric, value] : row.values) {
            full_.push_back(value);
        }
        rows.add(row.step, row.time_us, full_);
    } else {
        sparse_.assign(planned.metrics.size(), std::nullopt);
        size_t column = 0;
        for (const auto& [metric, value] : row.values) {
            while (planned.metrics[column] != metric) {
                ++column;
            }
            sparse_[column] = value;
        }
        rows.add(row.step, row.time_us, sparse_);
    }
    waiting_bytes_ += planned.metrics.size() * 8 + 16;
    if (waiting_bytes_ >= kBatchBytes || rows.rows() >= kBatchRows) {
        TRY(send_waiting());
    }
    return {};
}

Status RowSender::send_waiting() {
    for (const uint32_t schema : order_) {
        TRY_ASSIGN(const uint64_t ordinal, client_.send_rows(run_, waiting_[schema]));
        sent_.push_back({ordinal, first_lines_[schema]});
    }
    order_.clear();
    schema_of_key_.clear();
    waiting_bytes_ = 0;
    return sent_.size() < kFramesUnanswered ? Status() : take_outcomes();
}

Status RowSender::take_outcomes() {
    TRY_ASSIGN(const FlushReport report, client_.flush());
    if (report.refused_frames > 0) {
        const RefusedFrame& first = report.refused.front();
        const auto at = std::find_if(sent_.begin(), sent_.end(), [&](const SentFrame& frame) {
            return frame.ordinal == first.ordinal;
        });
        const std::string place =
            at == sent_.end() ? path_
                              : fmt::format("{}, rows from line {} on", path_, at->first_line);
        return first.error.to_error().within(fmt::format("{}: the server refused", place));
    }
    sent_.clear();
    return {};
}

Status RowSender::finish() {
    TRY(send_waiting());
    return take_outcomes();
}

}  // namespace stepdb
