// What the engine knows, in two views: *accepted* runs ahead of the disk and judges arriving
// frames; *published* is durable and what readers see. Both are changed by the same functions, in
// log order. Engine executor only.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/catalog/catalog.h"
#include "engine/catalog/run_activity.h"
#include "engine/catalog/writer_table.h"
#include "engine/row_store.h"
#include "engine/store_memory.h"
#include "engine/wal/log_writer.h"

namespace stepdb {

// The axis of every metric of a tree of forks, by the schemas that its runs have used.
class AxisRegistry {
  public:
    // Registers a schema as used; kFailedPrecondition naming the metric if another schema uses it
    // on the other axis.
    Status use(uint64_t root_run, std::string_view run_path, const StoredSchema& schema);
    // The tree of forks has been deleted, whose last run is its root.
    void forget(uint64_t root_run);

    size_t memory_bytes() const { return roots_.size() * kRootBytes + used_bytes_; }

  private:
    struct Used {
        std::vector<StoredSchema> schemas[2];  // by axis, sorted by id

        size_t size() const { return schemas[0].size() + schemas[1].size(); }
        bool contains(const StoredSchema& schema) const;
        void add(const StoredSchema& schema);
        std::vector<uint64_t> ids() const;
        size_t memory_bytes() const;
    };

    static constexpr size_t kSharedMax = 8;   // schemas of a set that is shared
    static constexpr size_t kRootBytes = 48;  // with its place in the map

    std::shared_ptr<Used> with(std::shared_ptr<Used> used, const StoredSchema& schema);
    // A root does not use the set any more.
    void let_go(std::shared_ptr<Used> used);

    std::unordered_map<uint64_t, std::shared_ptr<Used>> roots_;
    std::map<std::vector<uint64_t>, std::shared_ptr<Used>> shared_;  // by ids
    size_t used_bytes_ = 0;
};

// The published catalog, which readers share. In operation it is the accepted one as it was after
// the frame that is published; while the log is replayed it is changed in place.
class PublishedCatalog {
  public:
    std::shared_ptr<const Catalog> share() const {
        editable_ = nullptr;
        return current_;
    }
    const Catalog& get() const { return *current_; }
    void set(std::shared_ptr<const Catalog> catalog) {
        editable_ = nullptr;
        current_ = std::move(catalog);
    }
    // The catalog to change: a copy if somebody may be reading the present one.
    Catalog& edit();

  private:
    std::shared_ptr<const Catalog> current_ = std::make_shared<const Catalog>();
    mutable Catalog* editable_ = nullptr;  // the current one, while nobody else has it
};

struct StoreState {
    StoreState(uint32_t tail_rows_max, size_t tail_bytes_max, size_t rows_bytes_max,
               size_t resident_bytes_max)
        : memory(rows_bytes_max, resident_bytes_max), rows(tail_rows_max, tail_bytes_max, memory) {
        accepted.charge_replaced_to(memory.rows);
    }

    // Counts what stays in memory anew, for memory.resident.
    void count_resident();

    StoreMemory memory;
    Id128 store;
    Catalog accepted;
    PublishedCatalog published;
    WriterTable writers;
    RunActivities activities;  // published
    AxisRegistry axes;
    RowStore rows;
};

// Moves the group's highest key forward over accepted rows; returns how many are late: stepped rows
// at or below the highest step logged before them for the same (run, attempt, schema).
uint64_t take_keys(SeriesGroup& group, const RowsView& rows, int64_t receive_time_us);

// What accepting a frame has led to.
struct AcceptedEffect {
    AcceptedEffect() = default;

    SeriesGroup* group = nullptr;            // that its rows belong to
    std::shared_ptr<const Catalog> catalog;  // after it; null if it has changed nothing there
};

// Publishes one durable record: catalog, writer numbers, rows. `accepted` is null in recovery,
// where accepting is made up for. Of rows that are many in a frame the tail holds on to the frame's
// group, if it has one, instead of copying them.
Status publish_record(StoreState& state, const RecordHeader& header, const LoggedFrame& logged,
                      const AcceptedEffect* accepted);

}  // namespace stepdb
