#include "engine/store_state.h"

#include <algorithm>

#include "engine/catalog/lineage.h"
#include "engine/catalog_changes.h"
#include "engine/model/frame.h"
#include "engine/model/rows.h"

namespace stepdb {

namespace {

// A metric that both schemas name, if there is one.
std::optional<std::string_view> common_metric(const Schema& a, const Schema& b) {
    const Schema& small = a.width() <= b.width() ? a : b;
    const Schema& large = a.width() <= b.width() ? b : a;
    for (const std::string_view metric : small.metrics()) {
        if (large.find(metric)) {
            return metric;
        }
    }
    return std::nullopt;
}

Status publish_rows(StoreState& state, const RecordHeader& header, const LoggedFrame& logged,
                    SeriesGroup* group) {
    const Bytes frame = logged.bytes;
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
    state.rows.append(*group, rows, header.sequence, header.receive_time_us, logged.group);
    return {};
}

}  // namespace

bool AxisRegistry::Used::contains(const StoredSchema& schema) const {
    const std::vector<StoredSchema>& of_axis = schemas[static_cast<size_t>(schema.schema->axis())];
    return std::ranges::binary_search(of_axis, schema.id, {}, &StoredSchema::id);
}

void AxisRegistry::Used::add(const StoredSchema& schema) {
    std::vector<StoredSchema>& of_axis = schemas[static_cast<size_t>(schema.schema->axis())];
    // At the end mostly: ids ascend.
    of_axis.insert(std::ranges::upper_bound(of_axis, schema.id, {}, &StoredSchema::id), schema);
}

std::vector<uint64_t> AxisRegistry::Used::ids() const {
    std::vector<uint64_t> all;
    for (const std::vector<StoredSchema>& of_axis : schemas) {
        for (const StoredSchema& schema : of_axis) {
            all.push_back(schema.id);
        }
    }
    return all;
}

size_t AxisRegistry::Used::memory_bytes() const {
    constexpr size_t kNodes = 160;  // of the map of those that are shared, with its key
    return sizeof(*this) + kNodes +
           (schemas[0].capacity() + schemas[1].capacity()) * sizeof(StoredSchema);
}

void AxisRegistry::forget(uint64_t root_run) {
    const auto at = roots_.find(root_run);
    if (at != roots_.end()) {
        std::shared_ptr<Used> used = std::move(at->second);
        roots_.erase(at);
        let_go(std::move(used));
    }
}

void AxisRegistry::let_go(std::shared_ptr<Used> used) {
    const bool is_shared = used != nullptr && used->size() <= kSharedMax;
    if (is_shared && used.use_count() == 2) {  // here and in shared_
        used_bytes_ -= used->memory_bytes();
        shared_.erase(used->ids());
    } else if (used != nullptr && !is_shared) {
        used_bytes_ -= used->memory_bytes();
    }
}

// Runs of a sweep use the same few schemas, so small sets of them are shared by all roots that use
// them; a large one belongs to its root and grows.
std::shared_ptr<AxisRegistry::Used> AxisRegistry::with(std::shared_ptr<Used> used,
                                                       const StoredSchema& schema) {
    if (used != nullptr && used->size() > kSharedMax) {
        used_bytes_ -= used->memory_bytes();
        used->add(schema);
        used_bytes_ += used->memory_bytes();
        return used;
    }
    Used more = used == nullptr ? Used() : *used;
    more.add(schema);
    let_go(std::move(used));
    if (more.size() <= kSharedMax) {
        std::shared_ptr<Used>& there = shared_[more.ids()];
        if (there == nullptr) {
            there = std::make_shared<Used>(std::move(more));
            used_bytes_ += there->memory_bytes();
        }
        return there;
    }
    auto own = std::make_shared<Used>(std::move(more));
    used_bytes_ += own->memory_bytes();
    return own;
}

Status AxisRegistry::use(uint64_t root_run, std::string_view run_path, const StoredSchema& schema) {
    const auto at = roots_.find(root_run);
    std::shared_ptr<Used> used = at == roots_.end() ? nullptr : at->second;
    if (used != nullptr && used->contains(schema)) {
        return {};
    }
    const auto axis = static_cast<size_t>(schema.schema->axis());
    const std::vector<StoredSchema> none;
    for (const StoredSchema& other : used == nullptr ? none : used->schemas[1 - axis]) {
        if (const auto metric = common_metric(*schema.schema, *other.schema)) {
            const bool stepped = schema.schema->axis() == Axis::kStepped;
            return make_error(ErrorCode::kFailedPrecondition,
                              "metric '{}' of run {} is {} and cannot be logged as {}; the first "
                              "schema that names a metric fixes its axis",
                              *metric, run_path, stepped ? "timed" : "stepped",
                              stepped ? "stepped" : "timed");
        }
    }
    if (at != roots_.end()) {
        at->second.reset();
    }
    roots_[root_run] = with(std::move(used), schema);
    return {};
}

uint64_t take_keys(SeriesGroup& group, const RowsView& rows, int64_t receive_time_us) {
    const bool stepped = group.schema->axis() == Axis::kStepped;
    uint64_t late = 0;
    for (uint32_t row = 0; row < rows.rows(); ++row) {
        const Key key = stepped            ? key_of_step(rows.step(row))
                        : rows.has_times() ? rows.time(row)
                                           : receive_time_us;
        if (group.has_accepted && key <= group.highest_accepted) {
            late += stepped ? 1 : 0;
        } else {
            group.highest_accepted = key;
            group.has_accepted = true;
        }
    }
    return late;
}

Catalog& PublishedCatalog::edit() {
    if (editable_ == nullptr) {
        auto copy = std::make_shared<Catalog>(*current_);
        editable_ = copy.get();
        current_ = std::move(copy);
    }
    return *editable_;
}

void StoreState::count_resident() {
    // Accepted and published catalog share nearly all they have.
    memory.set_resident(accepted.memory_bytes() + writers.memory_bytes() +
                        activities.memory_bytes() + axes.memory_bytes() + rows.resident_bytes());
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

Status publish_record(StoreState& state, const RecordHeader& header, const LoggedFrame& logged,
                      const AcceptedEffect* accepted) {
    const Bytes frame = logged.bytes;
    const auto type = static_cast<FrameType>(load_le<uint8_t>(frame.data() + 5));
    if (type == FrameType::kRows) {
        TRY(publish_rows(state, header, logged, accepted == nullptr ? nullptr : accepted->group));
    } else if (accepted != nullptr) {
        if (accepted->catalog != nullptr) {
            state.published.set(accepted->catalog);
        }
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
        state.axes.forget(header.run);
    } else {
        note_activity(state, header, type, new_writer);
    }
    return {};
}

}  // namespace stepdb
