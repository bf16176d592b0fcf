#include "engine/snapshot.h"

#include <algorithm>
#include <map>

#include "engine/base/natural_order.h"
#include "engine/bucket_scan.h"
#include "engine/kept_summaries.h"
#include "engine/piece_column.h"
#include "engine/pieces.h"
#include "engine/series_cursor.h"
#include "engine/series_summary.h"

namespace stepdb {

void Points::clear() {
    keys.clear();
    times.clear();
    values.clear();
}

Snapshot::Snapshot(std::vector<uint64_t> asked, std::shared_ptr<const SnapshotPieces> pieces)
    : asked_(std::move(asked)), pieces_(std::move(pieces)) {}

Snapshot::~Snapshot() = default;

const Catalog& Snapshot::catalog() const {
    return pieces_->catalog();
}

std::vector<std::shared_ptr<const Run>> Snapshot::runs() const {
    std::vector<std::shared_ptr<const Run>> runs;
    runs.reserve(asked_.size());
    for (const uint64_t id : asked_) {
        if (std::shared_ptr<const Run> run = catalog().find_run(id)) {
            runs.push_back(std::move(run));
        }
    }
    return runs;
}

template <typename Visit>
void Snapshot::visit_levels(RunView view, const Visit& visit) const {
    for (const LineageLevel& level : levels_of(*this, view, Axis::kStepped)) {
        if (view.own && level.run->id != view.run->id) {
            return;
        }
        const RunPieces* pieces = pieces_->find(level.run->id);
        if (pieces != nullptr && !visit(level, *pieces)) {
            return;
        }
    }
}

template <typename Visit>
void Snapshot::visit_groups(RunView view, const Visit& visit) const {
    visit_levels(view, [&](const LineageLevel& level, const RunPieces& pieces) {
        for (const GroupPieces& group : pieces.groups) {
            // Timed metrics are not inherited by a fork.
            const bool read =
                group.attempt == level.attempt &&
                (level.run->id == view.run->id || group.schema->axis() != Axis::kTimed);
            if (read && !visit(*level.run, group)) {
                return false;
            }
        }
        return true;
    });
}

RunActivity Snapshot::activity(const Run& run) const {
    return pieces_->activity(run.id);
}

std::shared_ptr<const Error> Snapshot::damage(RunView view) const {
    std::shared_ptr<const Error> found;
    if (!pieces_->has_damage()) {
        return found;
    }
    visit_levels(view, [&](const LineageLevel& level, const RunPieces& pieces) {
        if (pieces.damage != nullptr) {
            const std::string who =
                level.run->id == view.run->id
                    ? "it"
                    : fmt::format("it inherits from {}, which", level.run->path());
            found = std::make_shared<const Error>(
                pieces.damage->code(), fmt::format("{} {}", who, pieces.damage->message()));
        }
        return found == nullptr;
    });
    return found;
}

std::optional<Axis> Snapshot::find_metric(RunView view, std::string_view metric) const {
    std::optional<Axis> axis;
    visit_groups(view, [&](const Run& holder, const GroupPieces& group) {
        if (group.schema->find(metric) && group.has_rows_above(holder.deleted_through(metric))) {
            axis = group.schema->axis();
        }
        return !axis;
    });
    return axis;
}

std::optional<std::vector<const Schema*>> Snapshot::schemas(RunView view) const {
    std::vector<const Schema*> found;
    bool nothing_deleted = true;
    visit_groups(view, [&](const Run& holder, const GroupPieces& group) {
        nothing_deleted = holder.deletes.empty();
        found.push_back(group.schema.get());
        return nothing_deleted;
    });
    std::ranges::sort(found);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return nothing_deleted ? std::optional(std::move(found)) : std::nullopt;
}

std::vector<MetricInfo> Snapshot::metrics(RunView view) const {
    std::map<std::string_view, Axis> found;
    visit_groups(view, [&](const Run& holder, const GroupPieces& group) {
        const bool nothing_deleted = holder.deletes.empty();
        for (const std::string_view metric : group.schema->metrics()) {
            if (nothing_deleted || group.has_rows_above(holder.deleted_through(metric))) {
                found.emplace(metric, group.schema->axis());
            }
        }
        return true;
    });
    std::vector<std::string_view> names;
    std::vector<Axis> axes;
    for (const auto& [name, axis] : found) {
        names.push_back(name);
        axes.push_back(axis);
    }
    std::vector<MetricInfo> metrics;
    metrics.reserve(names.size());
    for (const uint32_t at : natural_order(names)) {
        metrics.push_back({std::string(names[at]), axes[at]});
    }
    return metrics;
}

struct SnapshotReader::State {
    State(FileSystem& file_system, std::shared_ptr<MemoryBudget> budget,
          std::shared_ptr<BlockCache> cache)
        : files(file_system, std::move(cache)), summaries(files, std::move(budget)) {}

    // Which column of a schema has a metric. A query asks of run after run that share both.
    std::optional<uint32_t> column_of(const Schema& schema, std::string_view metric) {
        if (last_schema != &schema || last_metric != metric) {
            last_schema = &schema;
            last_metric = metric;
            last_column = schema.find(metric);
        }
        return last_column;
    }

    // By the id that blocks have, likewise.
    const Schema& schema_of(const Catalog& catalog, uint64_t id) {
        if (named_schema == nullptr || named_schema->id != id) {
            named_schema = catalog.find_schema(id);
            CHECK(named_schema != nullptr, "schema {} of a block is not in the catalog", id);
        }
        return *named_schema->schema;
    }

    SegmentFiles files;
    BlockSummaries summaries;
    ReadCost cost;
    bool views_are_current = false;
    const StoredSchema* named_schema = nullptr;  // of the snapshot's catalog
    const Schema* last_schema = nullptr;
    std::string last_metric;
    std::optional<uint32_t> last_column;
};

SnapshotReader::SnapshotReader(FileSystem& files, std::shared_ptr<const Snapshot> snapshot,
                               std::shared_ptr<MemoryBudget> budget,
                               std::shared_ptr<BlockCache> cache)
    : snapshot_(std::move(snapshot)),
      budget_(std::move(budget)),
      state_(std::make_unique<State>(files, budget_, std::move(cache))) {}

SnapshotReader::~SnapshotReader() = default;

void SnapshotReader::take_views_of(const Catalog& catalog) {
    state_->views_are_current = &catalog == &snapshot_->catalog();
}

std::unique_ptr<SeriesCursor> SnapshotReader::open_series(RunView view, std::string_view metric,
                                                          KeyRange range) {
    return make_cursor(state_->files, state_->cost, find_pieces(*snapshot_, view, metric, range),
                       budget_);
}

std::unique_ptr<BucketScan> SnapshotReader::open_buckets(RunView view, std::string_view metric,
                                                         KeyRange range, const BucketRow& row) {
    return make_bucket_scan(state_->files, state_->cost,
                            find_pieces(*snapshot_, view, metric, range), row, budget_);
}

Task<Result<Summary>> SnapshotReader::summarize(RunView view, std::string_view metric,
                                                KeyRange range) {
    return summarize_series(state_->files, state_->summaries, state_->cost,
                            find_pieces(*snapshot_, view, metric, range), budget_);
}

std::optional<SeriesSummary> SnapshotReader::kept_summary(RunView view, std::string_view metric) {
    // Of what reads of other attempts or lacks points, or lies in several places, more is to be
    // thought about.
    const SnapshotPieces& all = snapshot_->pieces();
    const std::optional<SettledBlocks> settled = all.find_settled(view.run->id);
    if (!settled) {
        return std::nullopt;
    }
    const std::shared_ptr<const Run> found_run =
        state_->views_are_current ? nullptr : all.catalog().find_run(view.run->id);
    const Run* run = state_->views_are_current ? view.run : found_run.get();
    const Attempt* attempt = run == nullptr ? nullptr : run->find_attempt(view.attempt);
    if (attempt == nullptr || attempt->parent_run != 0 || !run->deletes.empty()) {
        return std::nullopt;
    }
    std::optional<SeriesSummary> found;
    for (size_t at = 0; at < settled->count; ++at) {
        const SegmentMeta& segment = *settled->segments[at];
        const BlockInfo& info = segment.blocks()[settled->blocks[at]].info;
        if (info.attempt != view.attempt) {
            continue;
        }
        const Schema& schema = state_->schema_of(all.catalog(), info.schema);
        const std::optional<uint32_t> column = state_->column_of(schema, metric);
        if (!column || !info.may_hold(*column)) {
            continue;
        }
        const Summary* const kept =
            state_->files.summary_pages().find(segment, settled->blocks[at], *column);
        if (found || kept == nullptr) {
            return std::nullopt;
        }
        found.emplace(SeriesSummary{schema.axis(), *kept});
    }
    if (found) {
        ++state_->cost.summaries_used;
    }
    return found;
}

std::shared_ptr<const SummaryPlaces> SnapshotReader::find_summary_places(
    std::span<const RunView> views, std::string_view metric) {
    const SnapshotPieces& all = snapshot_->pieces();
    return !state_->views_are_current || all.has_damage()
               ? nullptr
               : std::make_shared<const SummaryPlaces>(views, metric, all.catalog(),
                                                       all.segments());
}

std::unique_ptr<KeptSummaries> SnapshotReader::kept_summaries(
    std::shared_ptr<const SummaryPlaces> places) {
    const SnapshotPieces& all = snapshot_->pieces();
    return !state_->views_are_current || all.has_damage() || !places->are_of(all.segments())
               ? nullptr
               : std::make_unique<KeptSummaries>(std::move(places), all, state_->files.cache(),
                                                 state_->cost);
}

namespace {

// The first and last key of what counts of a piece.
Task<Result<std::optional<KeyRange>>> keys_of(SegmentFiles& files, SeriesPiece piece,
                                              ReadCost& cost) {
    if (PieceColumn::can_load(piece)) {
        const auto column = co_await PieceColumn::load(files, piece, cost);
        if (!column) {
            co_return column.error();
        }
        if (*column == nullptr) {
            co_return std::optional<KeyRange>();
        }
        co_return (*column)->key_range();
    }
    const Result<PieceRows> rows = co_await load_piece(files, piece, cost);
    if (!rows) {
        co_return rows.error();
    }
    if (rows->keys.empty()) {
        co_return std::optional<KeyRange>();
    }
    co_return std::optional(KeyRange{rows->keys.front(), rows->keys.back()});
}

Task<Status> widen_by(SegmentFiles& files, SeriesPiece piece, ReadCost& cost,
                      std::optional<KeyRange>* range) {
    const Result<std::optional<KeyRange>> keys = co_await keys_of(files, piece, cost);
    if (!keys) {
        co_return keys.error();
    }
    if (*keys) {
        *range = range->value_or(**keys);
        (*range)->first = std::min((*range)->first, (*keys)->first);
        (*range)->last = std::max((*range)->last, (*keys)->last);
    }
    co_return Status();
}

}  // namespace

Task<Result<std::optional<KeyRange>>> SnapshotReader::key_range(RunView view,
                                                                std::string_view metric,
                                                                std::optional<KeyRange> known) {
    std::vector<SeriesPiece> pieces = find_pieces(*snapshot_, view, metric, KeyRange());
    std::optional<KeyRange> range = known;
    // A piece's bounds are those of its rows; the series may have no value in the outermost ones,
    // so pieces are looked into until none left could reach further.
    for (const SeriesPiece& piece : pieces) {
        if (range && piece.key_min >= range->first) {
            break;
        }
        const Status widened = co_await widen_by(state_->files, piece, state_->cost, &range);
        if (!widened) {
            co_return widened.error();
        }
    }
    std::ranges::sort(pieces, std::greater(), &SeriesPiece::reach);
    for (const SeriesPiece& piece : pieces) {
        if (!range || piece.reach() <= range->last) {
            break;
        }
        const Status widened = co_await widen_by(state_->files, piece, state_->cost, &range);
        if (!widened) {
            co_return widened.error();
        }
    }
    co_return range;
}

const ReadCost& SnapshotReader::cost() const {
    return state_->cost;
}

}  // namespace stepdb
