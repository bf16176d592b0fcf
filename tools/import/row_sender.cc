#include "tools/import/row_sender.h"

#include <algorithm>

namespace stepdb {

RowSender::RowSender(client::Writer& writer, client::Run& run, SchemaPlan& plan, std::string path,
                     std::string_view place_word)
    : writer_(writer),
      run_(run),
      plan_(plan),
      path_(std::move(path)),
      place_word_(place_word),
      lanes_(plan.schemas().size()) {}

Status RowSender::open(uint32_t schema) {
    TRY_ASSIGN(client::RowLog log,
               run_.row_log(plan_.schemas()[schema].schema, client::ValueType::kFloat64));
    lanes_[schema].log = std::move(log);
    return {};
}

Status RowSender::send(const LogRow& row) {
    const uint32_t schema = plan_.find(row);
    if (schema >= lanes_.size()) {
        return changed();
    }
    Lane& lane = lanes_[schema];
    if (!lane.log) {
        TRY(open(schema));
    }
    const std::vector<uint32_t>& metrics = plan_.schemas()[schema].metrics;
    values_.resize(metrics.size());
    present_.assign((metrics.size() + 7) / 8, std::byte{0});
    size_t column = 0;
    for (const auto& [metric, value] : row.values) {
        while (column < metrics.size() && metrics[column] != metric) {
            ++column;
        }
        if (column == metrics.size()) {
            return changed();
        }
        values_[column] = value;
        present_[column / 8] |= std::byte{1} << (column % 8);
    }
    const bool is_full = row.values.size() == metrics.size();
    const client::Values values(values_, is_full ? Bytes() : Bytes(present_));
    if (lane.sent++ % kRowsBetweenPlaces == 0) {
        lane.places.push_back({lane.log->rows(), row.place});
    }
    TRY(row.step ? lane.log->log(*row.step, values, row.time_us)
                 : lane.log->log_timed(values, row.time_us));
    bytes_ += metrics.size() * 8 + 16;
    return bytes_ < kBytesBetweenLooks ? Status() : finish();
}

// The plan was made from the same file.
Error RowSender::changed() const {
    return make_error(ErrorCode::kFailedPrecondition,
                      "{} changed while it was imported; import it again", path_);
}

Status RowSender::finish() {
    TRY_ASSIGN(const client::Report report, writer_.flush());
    if (report.refused_frames > 0) {
        const client::Refused& first = report.refused.front();
        return first.error.within(fmt::format("{}: the server refused", shown_place(first)));
    }
    for (Lane& lane : lanes_) {
        lane.places.clear();
        lane.sent = 0;
    }
    bytes_ = 0;
    return {};
}

std::string RowSender::shown_place(const client::Refused& refused) const {
    const auto lane = std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& each) {
        return each.log && each.log->schema().hash() == refused.schema;
    });
    if (lane == lanes_.end()) {
        return path_;
    }
    const auto behind = std::find_if(lane->places.begin(), lane->places.end(),
                                     [&](const Place& at) { return at.row > refused.first_row; });
    return behind == lane->places.begin() ? path_
                                          : fmt::format("{}, rows from {} {} on", path_,
                                                        place_word_, std::prev(behind)->place);
}

}  // namespace stepdb
