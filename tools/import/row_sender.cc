#include "tools/import/row_sender.h"

#include <algorithm>

#include "engine/model/key.h"

namespace stepdb {

RowSender::RowSender(Client& client, ClientRun& run, SchemaPlan& plan, std::string path,
                     std::string_view place_word)
    : client_(client),
      run_(run),
      plan_(plan),
      path_(std::move(path)),
      place_word_(place_word),
      first_places_(plan.schemas().size()) {
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
    if (schema >= waiting_.size()) {
        return changed();
    }
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
        first_places_[schema] = row.place;
    }
    const PlannedSchema& planned = plan_.schemas()[schema];
    sparse_.assign(planned.metrics.size(), std::nullopt);
    full_.clear();
    size_t column = 0;
    for (const auto& [metric, value] : row.values) {
        while (column < planned.metrics.size() && planned.metrics[column] != metric) {
            ++column;
        }
        if (column == planned.metrics.size()) {
            return changed();
        }
        sparse_[column] = value;
        full_.push_back(value);
    }
    if (full_.size() == planned.metrics.size()) {
        rows.add(row.step, row.time_us, full_);
    } else {
        rows.add(row.step, row.time_us, sparse_);
    }
    waiting_bytes_ += planned.metrics.size() * 8 + 16;
    if (waiting_bytes_ >= kBatchBytes || rows.rows() >= kBatchRows) {
        TRY(send_waiting());
    }
    return {};
}

// The plan was made from the same file.
Error RowSender::changed() const {
    return make_error(ErrorCode::kFailedPrecondition,
                      "{} changed while it was imported; import it again", path_);
}

Status RowSender::send_waiting() {
    for (const uint32_t schema : order_) {
        TRY_ASSIGN(const uint64_t ordinal, client_.send_rows(run_, waiting_[schema]));
        sent_.push_back({ordinal, first_places_[schema]});
        if (waiting_.size() > kBuildersKept) {
            // An emptied builder keeps its memory: of thousands that were once full, too much.
            waiting_[schema] = RowsBuilder(plan_.schemas()[schema].schema);
        }
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
        const std::string place = at == sent_.end() ? path_
                                                    : fmt::format("{}, rows from {} {} on", path_,
                                                                  place_word_, at->first_place);
        return first.error.to_error().within(fmt::format("{}: the server refused", place));
    }
    sent_.clear();
    return {};
}

Status RowSender::go_to_attempt(uint32_t attempt) {
    if (attempt != run_.attempt) {
        TRY(send_waiting());
        run_.attempt = attempt;
    }
    return {};
}

Status RowSender::finish() {
    TRY(send_waiting());
    return take_outcomes();
}

}  // namespace stepdb
