// Reading: a Snapshot is everything published of some runs at one moment; a SnapshotReader reads
// points of single series out of it, replaced points resolved and attempts stitched.
//
// A Snapshot is immutable, may be used on any thread and pins what it needs: tails up to their
// published row, blocks in memory, and all segments (whose files stay until the last snapshot lets
// go).
// A SnapshotReader belongs to one executor and file system, which need not be the engine's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/memory_budget.h"
#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/run_activity.h"
#include "engine/io/file_system.h"
#include "engine/model/bucket.h"
#include "engine/model/key.h"
#include "engine/model/summary.h"

namespace stepdb {

// A run as one of its attempts reads it. The run outlives this and every task that was given it.
struct RunView {
    RunView(const Run& its_run, uint32_t its_attempt, bool its_own = false)
        : run(&its_run), attempt(its_attempt), own(its_own) {}

    const Run* run;
    uint32_t attempt;
    bool own;  // without what it inherits from the runs it was forked from
};

struct MetricInfo {
    std::string name;
    Axis axis = Axis::kStepped;
};

// Points of one series in key order, at most one per key.
struct Points {
    std::vector<Key> keys;
    std::vector<int64_t> times;  // microseconds; of a timed series the keys themselves
    std::vector<double> values;

    size_t size() const { return keys.size(); }
    void clear();
};

// What is to be known of a whole series.
struct SeriesSummary {
    Axis axis = Axis::kStepped;
    Summary summary;
};

// What reading has cost so far, for `explain` and for limits.
struct ReadCost {
    uint64_t pieces = 0;  // tails and blocks looked into
    uint64_t chunks_decoded = 0;
    uint64_t vectors_decoded = 0;  // of kVectorValues values, of values and axes
    uint64_t values_decoded = 0;
    uint64_t nodes_used = 0;      // of the downsampled index
    uint64_t summaries_used = 0;  // chunks of which the summary was enough
    uint64_t bytes_read = 0;      // from files
};

class BlockCache;      // engine/block_cache.h
class KeptSummaries;   // engine/kept_summaries.h
class SummaryPlaces;   // engine/kept_summaries.h
class SnapshotPieces;  // engine/pieces.h

class Snapshot {
  public:
    // `asked`: ids of runs, of which some may not be there.
    Snapshot(std::vector<uint64_t> asked, std::shared_ptr<const SnapshotPieces> pieces);
    ~Snapshot();

    const Catalog& catalog() const;

    // The runs asked for that exist, in the order asked.
    std::vector<std::shared_ptr<const Run>> runs() const;

    // The distinct metrics that a run reads, in natural order.
    std::vector<MetricInfo> metrics(RunView view) const;

    // The schemas that name them, each once and in no order, which live as long as the snapshot;
    // nothing if one has metrics of which all points are deleted: then only metrics() tells.
    std::optional<std::vector<const Schema*>> schemas(RunView view) const;

    // The axis of one of them, if it is there; does not list the others.
    std::optional<Axis> find_metric(RunView view, std::string_view metric) const;

    // Why not all that it reads can be read: a segment that holds rows of it, or of what it
    // inherits, is damaged as a whole. Null if there is nothing of the kind; a damaged block within
    // a segment shows when it is read.
    std::shared_ptr<const Error> damage(RunView view) const;

    // When a run of the snapshot was last heard of.
    RunActivity activity(const Run& run) const;

    const SnapshotPieces& pieces() const { return *pieces_; }

  private:
    // Calls visit(level, pieces of its run) along the lineage until it returns false.
    template <typename Visit>
    void visit_levels(RunView view, const Visit& visit) const;
    // Calls visit(run, group) for all that it reads, own groups first, until it returns false.
    template <typename Visit>
    void visit_groups(RunView view, const Visit& visit) const;

    std::vector<uint64_t> asked_;
    std::shared_ptr<const SnapshotPieces> pieces_;
};

// Walks over one series in key order, a batch at a time.
class SeriesCursor {
  public:
    virtual ~SeriesCursor() = default;

    // Replaces `batch` by the next points; false at the end. A batch has at least one point.
    // kCorruption names the damaged file and block.
    virtual Task<Result<bool>> next(Points& batch) = 0;
};

// Puts the points of one series into buckets, some of them at a time.
class BucketScan {
  public:
    virtual ~BucketScan() = default;

    // How many points it has looked at now; 0 once all are in their buckets. Errors as those of
    // SeriesCursor::next; the buckets mean nothing then.
    virtual Task<Result<size_t>> next() = 0;
};

class SnapshotReader {
  public:
    // `files` outlives the reader. What reading takes is charged to `budget`, if there is one;
    // kResourceExhausted where it is used up. What other readers of the store may want too is kept
    // in `cache`, if there is one.
    SnapshotReader(FileSystem& files, std::shared_ptr<const Snapshot> snapshot,
                   std::shared_ptr<MemoryBudget> budget = nullptr,
                   std::shared_ptr<BlockCache> cache = nullptr);
    ~SnapshotReader();

    const Snapshot& snapshot() const { return *snapshot_; }

    // That the runs of all views are of this catalog: if it is the snapshot's own, none has to be
    // looked up.
    void take_views_of(const Catalog& catalog);

    // The points of `metric` as the run reads them, with keys in `range`. A metric the run does not
    // have yields no points. The reader outlives the cursor.
    std::unique_ptr<SeriesCursor> open_series(RunView view, std::string_view metric,
                                              KeyRange range);

    // Adds these points to the buckets, as bucket_of() places them (model/bucket.h). The reader and
    // what `row` names outlive the scan. Costs less than a cursor, which it uses only where pieces
    // of the series overlap.
    std::unique_ptr<BucketScan> open_buckets(RunView view, std::string_view metric, KeyRange range,
                                             const BucketRow& row);

    // What is to be known of these points, without points if there are none. Costs what chunks with
    // a summary do not tell.
    Task<Result<Summary>> summarize(RunView view, std::string_view metric, KeyRange range);

    // Of the whole series, if that is known without reading or waiting: as it is of settled series
    // that were asked about before. Else nothing, also of a metric that is not there.
    std::optional<SeriesSummary> kept_summary(RunView view, std::string_view metric);

    // The same for very many runs. Where they lie is null if the runs are not of the snapshot's
    // catalog, see take_views_of(), or if anything is damaged; it can be kept for other readers,
    // and what lies there is null for a reader of other segments.
    std::shared_ptr<const SummaryPlaces> find_summary_places(std::span<const RunView> views,
                                                             std::string_view metric);
    std::unique_ptr<KeptSummaries> kept_summaries(std::shared_ptr<const SummaryPlaces> places);

    // The smallest and largest key of the series as read, if it has a point: what `start` and `end`
    // mean. Exact, at the cost of looking into the first and last pieces. Widened by `known`, such
    // as the range of other series: pieces within it are not looked into.
    Task<Result<std::optional<KeyRange>>> key_range(RunView view, std::string_view metric,
                                                    std::optional<KeyRange> known = std::nullopt);

    const ReadCost& cost() const;

  private:
    struct State;
    std::shared_ptr<const Snapshot> snapshot_;
    std::shared_ptr<MemoryBudget> budget_;
    std::unique_ptr<State> state_;
};

}  // namespace stepdb
