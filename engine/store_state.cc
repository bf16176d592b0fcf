#include "engine/store_state.h"

#include <algorithm>

#include "engine/catalog/lineage.h"
#include "engine/catalog_changes.h"
#include "engine/model/frame.h"
#include "engine/model/rows.h"

namespace stepdb {

namespace {

// A metric that both schemas name, if there is one.
const std::string* common_metric(const Schema& a, const Schema& b) {
    const Schema& small = a.width() <= b.width() ? a : b;
    const Schema& large = a.width() <= b.width() ? b : a;
    for (const std::string& metric : small.metrics()) {
        if (large.find(metric)) {
            return &metric;
        }
    }
    return nullptr;
}

Status publish_rows(StoreState& state, const RecordHeader& header, Bytes frame,
                    SeriesGroup* group) {
    const bool recovering = group == nullptr;
    if (recovering) {
        const StoredSchema* schema = state.published.get().find_schema(header.schema);
        if (schema == nullptr) {
            return make_error(ErrorCode::kCorruption,
                              "rows of schema {}, which is not in the catalog", header.schema);
        }
        group = &state.rows.group(header.run, header.attempt, *schema);
    }
    if (recovering) {
        // In operation the accepting side has found the schema by this hash.
        TRY_ASSIGN(const RowsView::Head head, RowsView::decode_head(frame_body(frame)));
        if (head.schema != group->schema->hash()) {
            return make_error(ErrorCode::kCorruption,
                              "rows of schema {} in a record that calls it {}, which is {}",
                              head.schema.to_hex(), header.schema, group->schema->hash().to_hex());
        }
    }
    RowPosition bad;
    TRY_ASSIGN(const RowsView rows, RowsView::decode(frame_body(frame), *group->schema, bad));
    if (recovering) {
        const std::shared_ptr<const Run> run = state.published.get().find_run(header.run);
        if (run == nullptr) {
            return make_error(ErrorCode::kCorruption, "rows of run {}, which is not in the catalog",
                              header.run);
        }
        TRY(state.axes.use(fork_root(state.published.get(), run->id), run->path(),
                           StoredSchema{header.schema, group->schema}));
        take_keys(*group, rows, header.receive_time_us);
    }
    state.rows.append(*group, rows, header.sequence, header.receive_time_us);
    return {};
}

}  // namespace

Status AxisRegistry::use(uint64_t root_run, std::string_view run_path, const StoredSchema& schema) {
    Used& used = roots_[root_run];
    const auto axis = static_cast<size_t>(schema.schema->axis());
    if (used.ids.contains(schema.id)) {
        return {};
    }
    for (const StoredSchema& other : used.schemas[1 - axis]) {
        if (const std::string* metric = common_metric(*schema.schema, *other.schema)) {
            const bool stepped = schema.schema->axis() == Axis::kStepped;
            return make_error(ErrorCode::kFailedPrecondition,
                              "metric '{}' of run {} is {} and cannot be logged as {}; the first "
                              "schema that names a metric fixes its axis",
                              *metric, run_path, stepped ? "timed" : "stepped",
                              stepped ? "stepped" : "timed");
        }
    }
    used.schemas[axis].push_back(schema);
    used.ids.insert(schema.id);
    return {};
}

uint64_t take_keys(SeriesGroup& group, const RowsView& rows, int64_t receive_time_us) {
    const bool stepped = group.schema->axis() == Axis::kStepped;
    uint64_t late = 0;
    for (uint32_t row = 0; row < rows.rows(); ++row) {
        const Key key = stepped            ? key_of_step(rows.step(row))
                        : rows.has_times() ? rows.time(row)
                                           : receive_time_us;
        if (group.highest_accepted && key <= *group.highest_accepted) {
            late += stepped ? 1 : 0;
        } else {
            group.highest_accepted = key;
        }
    }
    return late;
}

Catalog& PublishedCatalog::edit() {
    if (shared_) {
        const std::shared_ptr<Version> old = current_;
        current_ = std::make_shared<Version>();
        current_->catalog = old->catalog;
        // Here and by whoever else holds it: if that is nobody, it goes with this function.
        old->charge = MemoryCharge(budget_, old->catalog.index_bytes());
        shared_ = false;
    }
    return current_->catalog;
}

void StoreState::count_resident() {
    // Accepted and published catalog share runs and schemas, not the maps over them. A flush
    // encodes the catalog, which takes its content once more.
    const Catalog& catalog = published.get();
    const size_t catalogs = 2 * catalog.index_bytes() + 2 * catalog.content_bytes();
    memory.resident.store(
        catalogs + writers.memory_bytes() + activities.memory_bytes() + rows.resident_bytes(),
        std::memory_order_relaxed);
}

namespace {

// What readers are told of when a run was last heard of.
void note_activity(StoreState& state, const RecordHeader& header, FrameType type, bool new_writer) {
    RunActivity& activity = state.activities.of(header.run);
    activity.writers += new_writer ? 1 : 0;
    const bool writes = type == FrameType::kRows;
    if (writes) {
        activity.last_write_us = std::max(activity.last_write_us, header.receive_time_us);
    }
    if (writes || type == FrameType::kHeartbeat || type == FrameType::kRestartRun ||
        activity.last_sign_us == 0) {
        activity.last_sign_us = std::max(activity.last_sign_us, header.receive_time_us);
    }
}

}  // namespace

Status publish_record(StoreState& state, const RecordHeader& header, Bytes frame,
                      SeriesGroup* group) {
    const auto type = static_cast<FrameType>(load_le<uint8_t>(frame.data() + 5));
    if (type == FrameType::kRows) {
        TRY(publish_rows(state, header, frame, group));
    } else if (changes_catalog(state.published.get(), header, frame)) {
        TRY(apply_to_catalog(state.published.edit(), header, frame));
    }
    if (header.run == 0) {
        return {};
    }
    bool new_writer = false;
    if (!header.writer.is_zero()) {
        WriterState& writer = state.writers.get_or_add({header.writer, header.run});
        new_writer = !writer.published;
        writer.published = true;
        writer.published_number = std::max(writer.published_number, header.frame_number);
        writer.accepted_number = std::max(writer.accepted_number, writer.published_number);
        writer.last_frame_us = std::max(writer.last_frame_us, header.receive_time_us);
    }
    if (type == FrameType::kDeleteRun) {
        state.rows.drop_run(header.run);
        state.activities.remove(header.run);
    } else {
        note_activity(state, header, type, new_writer);
    }
    return {};
}

}  // namespace stepdb
