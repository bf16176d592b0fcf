#include "engine/compaction/merge.h"

#include <algorithm>
#include <limits>
#include <set>

#include "engine/compaction/column_batch.h"
#include "engine/compaction/copied_rows.h"
#include "engine/compaction/merge_output.h"
#include "engine/compaction/merge_plan.h"
#include "engine/compaction/row_window.h"
#include "engine/compaction/source_block.h"
#include "engine/compaction/stretches.h"
#include "engine/io/pause.h"

namespace stepdb {

namespace {

struct OpenSource {
    std::shared_ptr<const SegmentMeta> segment;
    std::unique_ptr<File> file;
    size_t next = 0;  // block
};

// A source block with what the merge of the present window knows of it.
struct WindowSource {
    SourceBlock* block = nullptr;
    std::optional<RowPlaces> places;

    size_t kept_bytes() const {
        return block->kept_bytes() +
               (places ? places->places.capacity() * sizeof(places->places[0]) : 0);
    }
};

class Merge {
  public:
    explicit Merge(MergeInput input)
        : input_(std::move(input)),
          output_(*input_.files, input_.path, input_.store, input_.file_id, input_.catalog,
                  input_.turns) {}

    Task<MergeOutcome> run() {
        Status status = co_await open_sources();
        while (status) {
            const bool more = gather_attempt();
            if (!more) {
                break;
            }
            status = co_await merge_attempt();
            for (const auto& block : blocks_) {
                outcome_.bytes_read += block->bytes_read();
            }
            blocks_.clear();
        }
        if (status) {
            Result<std::shared_ptr<const SegmentMeta>> segment =
                co_await output_.finish(SyncSite::kCompactedData);
            if (segment) {
                outcome_.segment = std::move(*segment);
                outcome_.bytes_written =
                    outcome_.segment == nullptr ? 0 : outcome_.segment->file_bytes();
            } else {
                status = segment.error();
            }
        }
        if (!status) {
            co_await output_.abandon();
            outcome_.error = status.error();
        }
        outcome_.bytes_read += reader_.bytes_read();
        co_return std::move(outcome_);
    }

  private:
    Task<Status> open_sources() {
        for (const auto& segment : input_.sources) {
            Result<std::unique_ptr<File>> file =
                co_await input_.files->open(segment->path(), OpenMode::kRead);
            if (!file) {
                outcome_.unreadable = segment->file_id();
                co_return file.error();
            }
            OpenSource source;
            source.segment = segment;
            source.file = std::move(*file);
            sources_.push_back(std::move(source));
        }
        co_return Status();
    }

    // The blocks of the next (run, attempt) that still counts, in blocks_ and damaged_; false if
    // there is none.
    bool gather_attempt() {
        while (blocks_.empty() && damaged_.empty()) {
            std::optional<std::pair<uint64_t, uint32_t>> lowest;
            for (const OpenSource& source : sources_) {
                if (source.next < source.segment->blocks().size()) {
                    const BlockInfo& info = source.segment->blocks()[source.next].info;
                    const std::pair at(info.run, info.attempt);
                    lowest = std::min(lowest.value_or(at), at);
                }
            }
            if (!lowest) {
                return false;
            }
            const bool counts = input_.live->run_exists(lowest->first);
            for (OpenSource& source : sources_) {
                const std::vector<SegmentBlock>& all = source.segment->blocks();
                for (; source.next < all.size(); ++source.next) {
                    const BlockInfo& info = all[source.next].info;
                    if (std::pair(info.run, info.attempt) != *lowest) {
                        break;
                    }
                    if (counts) {
                        const StoredSchema* schema = input_.catalog->find_schema(info.schema);
                        CHECK(schema != nullptr, "schema {}", info.schema);
                        (is_damaged(source) ? damaged_ : blocks_)
                            .push_back(std::make_unique<SourceBlock>(
                                *source.segment, source.next, *source.file, *schema->schema));
                    }
                }
            }
        }
        return true;
    }

    bool is_damaged(const OpenSource& source) const {
        return source.segment->blocks()[source.next].damaged != nullptr ||
               input_.damaged.contains({source.segment->file_id(), source.next});
    }

    Task<Status> merge_attempt() {
        std::vector<MergeGroup> groups;
        for (const Axis axis : {Axis::kStepped, Axis::kTimed}) {
            std::set<uint64_t> schemas;
            for (const auto& block : blocks_) {
                if (block->info().axis == axis) {
                    schemas.insert(block->info().schema);
                }
            }
            if (!schemas.empty()) {
                for (const MergeGroup& group : plan_of({schemas.begin(), schemas.end()}).groups) {
                    groups.push_back(group);
                }
            }
        }
        std::ranges::sort(groups, {}, &MergeGroup::schema_id);
        for (const MergeGroup& group : groups) {
            Status status = co_await carry_damaged(group.schema_id);
            if (status) {
                status = co_await merge_group(&group);
            }
            if (!status) {
                co_return status;
            }
        }
        co_return co_await carry_damaged(std::numeric_limits<uint64_t>::max());
    }

    // Damaged blocks of the attempt up to this schema, as they are.
    Task<Status> carry_damaged(uint64_t schema_end) {
        std::ranges::stable_sort(damaged_, {},
                                 [](const auto& block) { return block->info().schema; });
        while (!damaged_.empty() && damaged_.front()->info().schema <= schema_end) {
            SourceBlock* block = damaged_.front().get();
            const Result<std::vector<std::byte>> bytes = co_await block->read_bytes();
            if (!bytes) {
                note_unreadable(*block, bytes.error());
                co_return bytes.error();
            }
            const Status status =
                co_await output_.put_damaged(block->place(), block->segment_id(), *bytes);
            if (!status) {
                co_return status;
            }
            outcome_.bytes_read += block->bytes_read();
            damaged_.erase(damaged_.begin());
        }
        co_return Status();
    }

    // What could not be read of the sources.
    void note_unreadable(const SourceBlock& block, const Error& error) {
        outcome_.unreadable = block.segment_id();
        if (error.code() == ErrorCode::kCorruption) {
            outcome_.damaged_block = block.number();
        }
    }

    // Runs of a sweep have the same schemas one after the other.
    const MergePlan& plan_of(const std::vector<uint64_t>& schemas) {
        if (planned_ != schemas) {
            plan_ = plan_merge(*input_.catalog, schemas);
            planned_ = schemas;
        }
        return plan_;
    }

    Task<Status> merge_group(const MergeGroup* group) {
        std::vector<SourceBlock*> mixed;
        std::vector<SourceBlock*> all;
        for (const auto& block : blocks_) {
            if (std::ranges::binary_search(group->source_schemas, block->info().schema)) {
                all.push_back(block.get());
            }
        }
        for (SourceBlock* block : all) {
            if (!stays_as_it_is(*group, *block, all)) {
                mixed.push_back(block);
                continue;
            }
            const Status copied = co_await copy_block(block);
            if (!copied) {
                co_return copied;
            }
            block->let_go();
        }
        has_points_ = mixed.size() != all.size();
        first_row_.reset();
        std::vector<BlockInfo> infos(mixed.size());
        std::ranges::transform(mixed, infos.begin(), &SourceBlock::info);
        for (const MergeStretch& stretch : plan_stretches(infos, rules_of(*group, infos))) {
            const Status merged = co_await merge_stretch(group, &mixed, &stretch);
            if (!merged) {
                co_return merged;
            }
        }
        if (has_points_ || !first_row_) {
            co_return Status();
        }
        // Metrics that were named and never had a value stay known by one row.
        ColumnBatch empty;
        co_return co_await write_block(taken(empty, info_of(*group, infos.front()), *first_row_));
    }

    StretchRules rules_of(const MergeGroup& group, const std::vector<BlockInfo>& blocks) const {
        StretchRules rules;
        rules.schema = group.schema_id;
        rules.limits = input_.limits;
        if (!blocks.empty()) {
            rules.last_key = last_key(blocks.front());
            for (const uint32_t column : group.columns) {
                rules.dead_through = std::max(
                    rules.dead_through,
                    input_.live->dead_through(blocks.front().run, group.schema->metric(column)));
            }
        }
        return rules;
    }

    Task<Status> merge_stretch(const MergeGroup* group, const std::vector<SourceBlock*>* blocks,
                               const MergeStretch* stretch) {
        std::vector<SourceBlock*> members;
        std::vector<std::vector<SourceBlock*>> tiles;
        for (const Tile& tile : stretch->tiles) {
            tiles.emplace_back();
            for (const size_t i : tile) {
                tiles.back().push_back((*blocks)[i]);
                members.push_back((*blocks)[i]);
            }
        }
        if (stretch->copied) {
            const Result<bool> copied = co_await copy_rows(group, std::move(tiles));
            for (SourceBlock* block : members) {
                block->let_go();
            }
            if (!copied) {
                co_return copied.error();
            }
            if (*copied) {
                co_return Status();
            }
        }
        co_return co_await merge_rows(group, std::move(members));
    }

    // False if they cannot be copied after all.
    Task<Result<bool>> copy_rows(const MergeGroup* group,
                                 std::vector<std::vector<SourceBlock*>> tiles) {
        CopiedRows rows(std::move(tiles), *group, input_.limits, reader_);
        const Result<bool> opened = co_await rows.open();
        if (!opened) {
            note_unreadable(*rows.failed(), opened.error());
            co_return opened.error();
        }
        if (!*opened) {
            co_return false;
        }
        while (true) {
            const Result<const CopiedBlock*> next = co_await rows.next();
            if (!next) {
                note_unreadable(*rows.failed(), next.error());
                co_return next.error();
            }
            if (*next == nullptr) {
                break;
            }
            Status status = co_await output_.put_copied(*next);
            if (status) {
                status = co_await take_turns();
            }
            if (!status) {
                co_return status.error();
            }
            outcome_.rows_copied += (*next)->info.rows;
            has_points_ = true;
        }
        co_return true;
    }

    // Rows of blocks that may overlap.
    Task<Status> merge_rows(const MergeGroup* group, std::vector<SourceBlock*> blocks) {
        RowWindow window(blocks, input_.limits.rows, last_key(blocks.front()->info()));
        while (true) {
            const Result<bool> more = co_await window.next();
            if (!more) {
                note_unreadable(*window.failed(), more.error());
                co_return more.error();
            }
            if (!*more) {
                break;
            }
            if (!first_row_) {
                first_row_ = first_row_of(window.axis());
            }
            const Status merged = co_await merge_window(group, &window);
            if (!merged) {
                co_return merged;
            }
        }
        co_return Status();
    }

    std::shared_ptr<const EncodedBlock> taken(ColumnBatch& batch, const BlockInfo& info,
                                              const AxisColumns& axis) const {
        return batch.take(info, axis, input_.limits.summary_values);
    }

    static AxisColumns first_row_of(const AxisColumns& axis) {
        AxisColumns row;
        row.keys = {axis.keys.front()};
        row.times = {axis.times.front()};
        row.sequences = {axis.sequences.front()};
        return row;
    }

    static BlockInfo info_of(const MergeGroup& group, const BlockInfo& like) {
        BlockInfo info;
        info.run = like.run;
        info.attempt = like.attempt;
        info.axis = like.axis;
        info.schema = group.schema_id;
        info.columns = group.schema->width();
        return info;
    }

    Key last_key(const BlockInfo& info) const {
        return input_.live->kept_through(info.run, info.attempt, info.axis).value_or(kKeyMax);
    }

    // A large block of this schema alone that shares no key with another of the group's columns and
    // of which nothing is dead is copied without being decoded.
    bool stays_as_it_is(const MergeGroup& group, const SourceBlock& block,
                        const std::vector<SourceBlock*>& all) const {
        const BlockInfo& info = block.info();
        const uint64_t width = info.end_column - info.first_column;
        // Few rows are enough if there are so many columns that they have been shared out.
        const bool is_share =
            2 * width <= group.columns.size() && width * info.rows >= input_.limits.values / 2;
        if (info.schema != group.schema_id || info.key_max > last_key(info) ||
            (info.rows < input_.limits.rows / 2 && !is_share)) {
            return false;
        }
        const auto first =
            std::lower_bound(group.columns.begin(), group.columns.end(), info.first_column);
        const auto end = std::lower_bound(first, group.columns.end(), info.end_column);
        if (static_cast<uint64_t>(end - first) != width) {
            return false;  // some of its columns go elsewhere
        }
        for (auto column = first; column != end; ++column) {
            if (input_.live->dead_through(info.run, group.schema->metric(*column)) >=
                info.sequence_min) {
                return false;
            }
        }
        return std::ranges::none_of(all, [&](const SourceBlock* other) {
            const BlockInfo& theirs = other->info();
            const bool shares_columns =
                theirs.schema != info.schema ||
                (theirs.first_column < info.end_column && info.first_column < theirs.end_column);
            return other != &block && shares_columns && theirs.key_min <= info.key_max &&
                   info.key_min <= theirs.key_max;
        });
    }

    Task<Status> copy_block(SourceBlock* block) {
        const Result<std::vector<std::byte>> axis = co_await block->read_axis_section();
        if (!axis) {
            note_unreadable(*block, axis.error());
            co_return axis.error();
        }
        const Result<std::vector<std::byte>> directory = co_await block->read_directory_section();
        if (!directory) {
            note_unreadable(*block, directory.error());
            co_return directory.error();
        }
        const Status parsed = co_await block->read_directory();
        if (!parsed) {
            note_unreadable(*block, parsed.error());
            co_return parsed;
        }
        const Result<std::vector<std::byte>> summaries = co_await block->read_summaries_section();
        if (!summaries) {
            note_unreadable(*block, summaries.error());
            co_return summaries.error();
        }
        Status status = co_await output_.begin_block(block->info(), *axis, *directory, *summaries);
        for (size_t strip = 0; status && strip < block->directory().strips().size(); ++strip) {
            const Result<std::vector<std::byte>> bytes = co_await block->read_strip(strip);
            if (!bytes) {
                note_unreadable(*block, bytes.error());
                co_return bytes.error();
            }
            status = co_await output_.put_rest(*bytes);
        }
        if (status) {
            status = co_await output_.put_rest(*summaries);
        }
        outcome_.rows_copied += block->info().rows;
        if (status) {
            status = co_await take_turns();
        }
        co_return status;
    }

    // All columns of the group in one window of rows.
    Task<Status> merge_window(const MergeGroup* group, RowWindow* window) {
        sources_of_window_.clear();
        for (SourceBlock* block : window->blocks()) {
            sources_of_window_.push_back({block, std::nullopt});
        }
        ColumnBatch batch;
        const BlockInfo info = info_of(*group, window->blocks().front()->info());
        for (const uint32_t column : group->columns) {
            const std::string_view metric = group->schema->metric(column);
            ColumnPoints points;
            const Status gathered = co_await gather(group, column, window, &points);
            if (!gathered) {
                co_return gathered;
            }
            has_points_ = has_points_ || points.size() != 0;
            sort_points(points, window->rows());
            drop_replaced(points, window->axis(), input_.live->dead_through(info.run, metric));
            if (points.size() == 0) {
                continue;
            }
            if (!batch.has_room(points, input_.limits.values)) {
                const Status written = co_await write_block(taken(batch, info, window->axis()));
                if (!written) {
                    co_return written;
                }
            }
            batch.add(column, std::move(points));
        }
        if (!batch.empty()) {
            const Status written = co_await write_block(taken(batch, info, window->axis()));
            if (!written) {
                co_return written;
            }
        }
        keep_within_bound(0);
        co_return Status();
    }

    // The points of a column in the window, in any order.
    Task<Status> gather(const MergeGroup* group, uint32_t column, RowWindow* window,
                        ColumnPoints* points) {
        const std::string_view metric = group->schema->metric(column);
        const Schema* schema = nullptr;
        std::optional<uint32_t> theirs;
        for (WindowSource& source : sources_of_window_) {
            if (schema != &source.block->schema()) {
                schema = &source.block->schema();
                theirs = schema == group->schema.get() ? column : schema->find(metric);
            }
            if (!theirs || !source.block->info().may_hold(*theirs)) {
                continue;
            }
            const Result<ColumnValues> values = co_await source.block->read_column(*theirs);
            if (!values) {
                note_unreadable(*source.block, values.error());
                co_return values.error();
            }
            if (values->values.empty()) {
                continue;
            }
            if (!source.places) {
                Result<RowPlaces> places = co_await window->places_of(source.block);
                if (!places) {
                    note_unreadable(*source.block, places.error());
                    co_return places.error();
                }
                source.places = std::move(*places);
            }
            append(*values, *source.places, *points);
        }
        keep_within_bound(input_.limits.kept_bytes);
        co_return co_await take_turns();
    }

    static void append(const ColumnValues& values, const RowPlaces& rows, ColumnPoints& points) {
        if (values.presence.empty()) {
            const auto first = values.values.begin() + rows.first_row;
            points.values.insert(points.values.end(), first,
                                 first + static_cast<ptrdiff_t>(rows.places.size()));
            points.places.insert(points.places.end(), rows.places.begin(), rows.places.end());
            return;
        }
        size_t value = 0;
        const size_t end = rows.first_row + rows.places.size();
        for (size_t row = 0; row < end; ++row) {
            if ((values.presence[row / 64] >> (row % 64) & 1U) == 0) {
                continue;
            }
            if (row >= rows.first_row) {
                points.places.push_back(rows.places[row - rows.first_row]);
                points.values.push_back(values.values[value]);
            }
            ++value;
        }
    }

    // Strips and places are kept from column to column as long as they are not too many.
    void keep_within_bound(size_t bytes_max) {
        size_t kept = 0;
        for (const WindowSource& source : sources_of_window_) {
            kept += source.kept_bytes();
        }
        if (kept > bytes_max) {
            for (WindowSource& source : sources_of_window_) {
                source.block->let_go();
                source.places.reset();
            }
        }
    }

    Task<Status> write_block(std::shared_ptr<const EncodedBlock> block) {
        outcome_.rows_encoded += block->info.rows;
        return output_.put_block(std::move(block));
    }

    Task<Status> take_turns() {
        co_await Pause(*input_.executor);
        if (input_.cancelled->load(std::memory_order_relaxed)) {
            co_return Error(ErrorCode::kCancelled, "the merge was ended");
        }
        co_return Status();
    }

    MergeInput input_;
    MergeOutput output_;
    MergeOutcome outcome_;
    std::vector<OpenSource> sources_;
    std::vector<std::unique_ptr<SourceBlock>> blocks_;   // of the present attempt
    std::vector<std::unique_ptr<SourceBlock>> damaged_;  // likewise, still to be carried along
    std::vector<WindowSource> sources_of_window_;
    bool has_points_ = false;               // the present group
    std::optional<AxisColumns> first_row_;  // of what is decoded of it
    RangeReader reader_;
    std::vector<uint64_t> planned_;
    MergePlan plan_;
};

Task<MergeOutcome> run_merge(std::unique_ptr<Merge> merge) {
    co_return co_await merge->run();
}

}  // namespace

Task<MergeOutcome> merge_segments(MergeInput input) {
    return run_merge(std::make_unique<Merge>(std::move(input)));
}

}  // namespace stepdb
