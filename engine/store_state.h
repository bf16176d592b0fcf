// What the engine knows, in two views: *accepted* runs ahead of the disk and judges arriving
// frames; *published* is durable and what readers see. Both are changed by the same functions, in
// log order. Engine executor only.
#pragma once

#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/catalog/catalog.h"
#include "engine/catalog/run_activity.h"
#include "engine/catalog/writer_table.h"
#include "engine/row_store.h"
#include "engine/store_memory.h"
#include "engine/wal/log_format.h"

namespace stepdb {

// The axis of every metric of a tree of forks, by the schemas that its runs have used.
class AxisRegistry {
  public:
    // Registers a schema as used; kFailedPrecondition naming the metric if another schema uses it
    // on the other axis.
    Status use(uint64_t root_run, std::string_view run_path, const StoredSchema& schema);

  private:
    struct Used {
        std::vector<StoredSchema> schemas[2];  // by axis
        std::unordered_set<uint64_t> ids;      // of all of them
    };
    std::unordered_map<uint64_t, Used> roots_;
};

// The published catalog: readers share it until it changes.
class PublishedCatalog {
  public:
    // Superseded catalogs are charged to `budget` while readers hold them.
    explicit PublishedCatalog(std::shared_ptr<MemoryBudget> budget) : budget_(std::move(budget)) {}

    std::shared_ptr<const Catalog> share() const {
        shared_ = true;
        return {current_, &current_->catalog};
    }
    const Catalog& get() const { return current_->catalog; }
    // The catalog to change: a copy if somebody may be reading the present one.
    Catalog& edit();

  private:
    struct Version {
        Catalog catalog;
        MemoryCharge charge;
    };

    std::shared_ptr<MemoryBudget> budget_;
    std::shared_ptr<Version> current_ = std::make_shared<Version>();
    mutable bool shared_ = false;
};

struct StoreState {
    StoreState(uint32_t tail_rows_max, size_t tail_bytes_max, size_t rows_bytes_max,
               size_t resident_bytes_max)
        : memory(rows_bytes_max, resident_bytes_max),
          published(memory.rows),
          rows(tail_rows_max, tail_bytes_max, memory) {}

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

// Publishes one durable record: catalog, writer numbers, rows. `group` is the rows' group, as the
// accepting side found it; null in recovery, where accepting is made up for.
Status publish_record(StoreState& state, const RecordHeader& header, Bytes frame,
                      SeriesGroup* group);

}  // namespace stepdb
