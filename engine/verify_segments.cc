// The part of verify_store that reads segments: every byte of them, and that their blocks are of
// runs and schemas that exist.
#include <algorithm>
#include <bit>
#include <set>

#include "engine/base/zeros.h"
#include "engine/segment/block_directory.h"
#include "engine/segment/chunk.h"
#include "engine/segment/summary_section.h"
#include "engine/store_verifier.h"

namespace stepdb {

namespace {

constexpr std::string_view kRestoreSegment =
    "restore this file from a backup; queries that need what is damaged fail until then, others "
    "go on";

std::string checksum_words(std::string_view what, uint64_t stored, uint64_t computed) {
    return fmt::format("{}: checksum {:016x}, expected {:016x}", what, computed, stored);
}

// A page that was read as the header of this file.
Status check_header(const FileKind& kind, Bytes page, const Id128& store, uint64_t file_id) {
    TRY_ASSIGN(const FileHeader header, decode_file_header(kind, page));
    return check_file_owner(kind, header, store, file_id);
}

}  // namespace

struct StoreVerifier::OpenSegment {
    OpenSegment() = default;

    uint64_t place_seed(uint64_t offset) const { return stepdb::place_seed(store, id, offset); }
    std::string describe(size_t block) const {
        const BlockInfo& info = blocks[block].info;
        const auto& damaged = blocks[block].damaged;
        return fmt::format("block {} (run {}, attempt {}, schema {}{})", block, info.run,
                           info.attempt, info.schema,
                           damaged == nullptr
                               ? std::string()
                               : fmt::format("; damaged already at offset {} of {}, before it was "
                                             "merged",
                                             damaged->offset, segment_file_name(damaged->file_id)));
    }

    uint64_t id = 0;
    Id128 store;
    std::string name;
    std::unique_ptr<File> file;
    SegmentFooter footer;
    std::vector<SegmentBlock> blocks;
};

Task<void> StoreVerifier::verify_segments() {
    for (const auto& [id, bytes] : manifest_.segments) {
        const std::string name = segment_file_name(id);
        Result<std::unique_ptr<File>> file = co_await files_.open(path(name), OpenMode::kRead);
        if (!file) {
            problem(name, std::nullopt,
                    fmt::format("{}cannot be opened: {}",
                                from_files_ ? "" : "named by the manifest and ",
                                file.error().message()),
                    kRestoreSegment);
            continue;
        }
        if (!from_files_ && (*file)->size() != bytes) {
            problem(name, std::nullopt,
                    fmt::format("has {} bytes, the manifest says {}", (*file)->size(), bytes),
                    kRestoreSegment);
        }
        OpenSegment segment;
        segment.id = id;
        segment.store = store_;
        segment.name = name;
        segment.file = std::move(*file);
        const bool readable = co_await read_segment_head(&segment);
        if (readable) {
            ++report_.segments;
            co_await read_segment_names(&segment);
            co_await verify_blocks(&segment);
        }
    }
}

// Header, footer, index, and the zeros between index and footer.
Task<bool> StoreVerifier::read_segment_head(OpenSegment* segment) {
    const uint64_t size = segment->file->size();
    if (size < 2 * kPageBytes || size % kPageBytes != 0) {
        problem(segment->name, std::nullopt,
                fmt::format("has {} bytes; a segment has a multiple of {}, at least {}", size,
                            kPageBytes, 2 * kPageBytes),
                kRestoreSegment);
        co_return false;
    }
    std::vector<std::byte> page(kPageBytes);
    const Status header_read = co_await segment->file->read(0, page);
    const Status header =
        header_read ? check_header(kSegmentFileKind, page, store_, segment->id) : header_read;
    if (!header) {
        problem(segment->name, 0, header.error().message(), kRestoreSegment);
    }
    // The footer is tried in any case: what follows needs no header.
    const Status footer_read = co_await segment->file->read(size - kPageBytes, page);
    if (!footer_read) {
        problem(segment->name, size - kPageBytes, footer_read.error().message(), kRestoreSegment);
        co_return false;
    }
    const Result<SegmentFooter> footer = decode_segment_footer(page, store_, segment->id, size);
    if (!footer) {
        problem(segment->name, size - kPageBytes, footer.error().message(), kRestoreSegment);
        co_return false;
    }
    segment->footer = *footer;
    const uint64_t end = footer->footer_offset();
    std::vector<std::byte> tail(end - footer->index_offset);
    const Status tail_read = co_await segment->file->read(footer->index_offset, tail);
    if (!tail_read) {
        problem(segment->name, footer->index_offset, tail_read.error().message(), kRestoreSegment);
        co_return false;
    }
    const Bytes index = Bytes(tail).first(footer->index_bytes);
    const Bytes padding = Bytes(tail).subspan(footer->index_bytes);
    if (const auto stray = find_nonzero(padding)) {
        note(segment->name,
             fmt::format("byte {}: padding that should be zero is not",
                         footer->index_offset + footer->index_bytes + *stray),
             "nothing to do, for nothing is stored there; but what changed it may change more");
    }
    const uint64_t computed = xxh3(index, segment->place_seed(footer->index_offset));
    if (computed != footer->index_checksum) {
        problem(segment->name, footer->index_offset,
                checksum_words("block index", footer->index_checksum, computed), kRestoreSegment);
        co_return false;
    }
    Result<std::vector<SegmentBlock>> blocks =
        decode_block_index(index, footer->blocks, footer->names_offset);
    if (!blocks) {
        problem(segment->name, footer->index_offset, blocks.error().message(), kRestoreSegment);
        co_return false;
    }
    segment->blocks = std::move(*blocks);
    progress(2 * kPageBytes + tail.size());
    co_return true;
}

Task<void> StoreVerifier::read_segment_names(OpenSegment* segment) {
    const SegmentFooter& footer = segment->footer;
    std::vector<std::byte> section(footer.names_bytes);
    const Status read = co_await segment->file->read(footer.names_offset, section);
    if (!read) {
        problem(segment->name, footer.names_offset, read.error().message(), kRestoreSegment);
        co_return;
    }
    progress(section.size());
    const uint64_t computed = xxh3(section, segment->place_seed(footer.names_offset));
    if (computed != footer.names_checksum) {
        problem(segment->name, footer.names_offset,
                checksum_words("names", footer.names_checksum, computed), kRestoreSegment);
        co_return;
    }
    const Result<SegmentNames> names = decode_segment_names(section);
    if (!names) {
        problem(segment->name, footer.names_offset, names.error().message(), kRestoreSegment);
        co_return;
    }
    check_segment_names(*segment, *names);
}

// The names cover the blocks and agree with the catalog.
void StoreVerifier::check_segment_names(const OpenSegment& segment, const SegmentNames& names) {
    std::set<uint64_t> runs;
    std::set<uint64_t> schemas;
    for (const SegmentBlock& block : segment.blocks) {
        runs.insert(block.info.run);
        schemas.insert(block.info.schema);
    }
    const uint64_t at = segment.footer.names_offset;
    for (const SegmentNames::Run& named : names.runs) {
        runs.erase(named.id);
        const std::shared_ptr<const Run> run = catalog_.find_run(named.id);
        if (has_catalog_ && run != nullptr &&
            (run->project != named.project || run->name != named.name)) {
            problem(segment.name, at,
                    fmt::format("calls run {} {}/{}, the catalog calls it {}", named.id,
                                named.project, named.name, run->path()),
                    kRestoreSegment);
        }
    }
    for (const SegmentNames::NamedSchema& named : names.schemas) {
        schemas.erase(named.id);
        const StoredSchema* schema = catalog_.find_schema(named.id);
        if (has_catalog_ && schema != nullptr && schema->schema->hash() != named.schema->hash()) {
            problem(segment.name, at,
                    fmt::format("schema {} is {}, in the catalog {}", named.id,
                                named.schema->hash().to_hex(), schema->schema->hash().to_hex()),
                    kRestoreSegment);
        }
    }
    for (const uint64_t run : runs) {
        problem(segment.name, at, fmt::format("has blocks of run {}, which it does not name", run),
                kRestoreSegment);
    }
    for (const uint64_t schema : schemas) {
        problem(segment.name, at,
                fmt::format("has blocks of schema {}, which it does not name", schema),
                kRestoreSegment);
    }
}

Task<void> StoreVerifier::verify_blocks(OpenSegment* segment) {
    for (size_t index = 0; index < segment->blocks.size(); ++index) {
        const SegmentBlock& block = segment->blocks[index];
        ++report_.blocks;
        check_block_owner(*segment, index);
        std::vector<std::byte> bytes(block.info.total_bytes());
        const Status read = co_await segment->file->read(block.offset, bytes);
        if (!read) {
            problem(segment->name, block.offset,
                    fmt::format("{}: {}", segment->describe(index), read.error().message()),
                    kRestoreSegment);
            continue;
        }
        verify_block(*segment, index, bytes);
        progress(bytes.size());
    }
}

// What the index says of it, against the catalog and the manifest.
void StoreVerifier::check_block_owner(const OpenSegment& segment, size_t index) {
    const BlockInfo& info = segment.blocks[index].info;
    const uint64_t at = segment.footer.index_offset;
    const auto wrong = [&](std::string what) {
        problem(segment.name, at, fmt::format("{}: {}", segment.describe(index), what),
                kRestoreSegment);
    };
    if (!from_files_ && info.sequence_max > manifest_.checkpoint_sequence) {
        wrong(fmt::format("sequences up to {}, the checkpoint is {}", info.sequence_max,
                          manifest_.checkpoint_sequence));
    }
    if (!has_catalog_) {
        seen_runs_.insert(info.run);
        seen_schemas_.insert(info.schema);
        return;
    }
    const std::shared_ptr<const Run> run = catalog_.find_run(info.run);
    const StoredSchema* schema = catalog_.find_schema(info.schema);
    // A run that is not there but had its id given out has been deleted.
    if (run == nullptr && info.run >= catalog_.next_run_id()) {
        wrong("the catalog does not know the run");
    } else if (run != nullptr && run->find_attempt(info.attempt) == nullptr) {
        wrong("the catalog does not know the attempt");
    }
    if (schema == nullptr) {
        wrong("the catalog does not know the schema");
        return;
    }
    if (schema->schema->width() != info.columns || schema->schema->axis() != info.axis) {
        wrong(fmt::format("{} columns of axis {}, the schema has {} of axis {}", info.columns,
                          static_cast<unsigned>(info.axis), schema->schema->width(),
                          static_cast<unsigned>(schema->schema->axis())));
    }
    if (run != nullptr) {
        const Status axis = axes_.use(info.run, run->path(), *schema);
        if (!axis) {
            wrong(axis.error().message());
        }
    }
}

// One that a merge carried along is still what it was. What of it is damaged is told as of others.
void StoreVerifier::verify_damaged_block(const OpenSegment& segment, size_t index, Bytes bytes) {
    const SegmentBlock& block = segment.blocks[index];
    const DamagedOrigin& origin = *block.damaged;
    const uint64_t computed = xxh3(bytes, segment.place_seed(block.offset));
    if (computed != origin.checksum) {
        problem(segment.name, block.offset,
                segment.describe(index) + " " +
                    checksum_words("damaged block", origin.checksum, computed),
                kRestoreSegment);
    }
}

void StoreVerifier::verify_block(const OpenSegment& segment, size_t index, Bytes bytes) {
    const SegmentBlock& block = segment.blocks[index];
    if (block.damaged != nullptr) {
        verify_damaged_block(segment, index, bytes);
    }
    const Bytes axis = bytes.first(block.info.axis_bytes);
    const Bytes directory = bytes.subspan(axis.size(), block.info.directory_bytes);
    const Bytes strips = bytes.subspan(axis.size() + directory.size(), block.info.strips_bytes);
    const uint64_t axis_computed =
        xxh3(axis, block.section_seed(segment.store, segment.id, block.offset));
    const bool axis_intact = axis_computed == block.axis_checksum;
    std::optional<AxisColumns> rows;
    if (!axis_intact) {
        problem(segment.name, block.offset,
                segment.describe(index) + " " +
                    checksum_words("axis", block.axis_checksum, axis_computed),
                kRestoreSegment);
    } else {
        rows = check_block_axis(segment, index, axis);
    }
    const uint64_t at = block.directory_offset();
    const uint64_t directory_computed =
        xxh3(directory, block.section_seed(segment.store, segment.id, at));
    const bool directory_intact = directory_computed == block.directory_checksum;
    check_block_summaries(segment, index, bytes, axis_intact && directory_intact);
    if (!directory_intact) {
        problem(segment.name, at,
                segment.describe(index) + " " +
                    checksum_words("directory", block.directory_checksum, directory_computed),
                kRestoreSegment);
        return;
    }
    check_block_strips(segment, index, directory, strips, rows);
}

// decode_axis checks order and ranges. None if there is no telling.
std::optional<AxisColumns> StoreVerifier::check_block_axis(const OpenSegment& segment, size_t index,
                                                           Bytes section) {
    const SegmentBlock& block = segment.blocks[index];
    Result<AxisColumns> axis = decode_axis(section, block.info);
    if (!axis) {
        problem(segment.name, block.offset,
                fmt::format("{}: {}", segment.describe(index), axis.error().message()),
                kRestoreSegment);
        return std::nullopt;
    }
    count_rows(block.info, *axis);
    if (std::ranges::find(axis->sequences, uint64_t{0}) != axis->sequences.end()) {
        problem(segment.name, block.offset,
                segment.describe(index) + ": a row of sequence 0, which no row has",
                kRestoreSegment);
        return std::nullopt;
    }
    return *std::move(axis);
}

// No value may be twice in the store. A row may be in several blocks, of other columns or where
// merges have left out what was deleted; so the first column of the block that has values stands
// for all, by which the same block or a copy of its rows is found again.
void StoreVerifier::check_rows_come_once(const OpenSegment& segment, size_t index, uint32_t column,
                                         Bytes chunk, const AxisColumns& axis) {
    const SegmentBlock& block = segment.blocks[index];
    if (from_files_ || block.info.sequence_max > manifest_.checkpoint_sequence) {
        // Reported, and no bound for a set of them. Without a manifest, what a flush that was cut
        // short left cannot be told from what it was then written to again.
        return;
    }
    const Result<ColumnValues> values = decode_chunk(chunk, block.info);
    if (!values) {
        return;  // told with the chunk
    }
    SequenceSet& seen = sequences_[{block.info.schema, column}];
    for (size_t row = 0; row < axis.sequences.size(); ++row) {
        const bool is_present =
            values->presence.empty() || ((values->presence[row / 64] >> (row % 64)) & 1U) != 0;
        if (is_present && !seen.insert(axis.sequences[row])) {
            problem(segment.name, block.offset,
                    fmt::format("{}: sequence {} is in the store before", segment.describe(index),
                                axis.sequences[row]),
                    kRestoreSegment);
            return;
        }
    }
}

// They say what the columns hold. Where these cannot be read, others tell; if the axis or the
// directory is damaged, that has been told, and the columns are not read by it.
void StoreVerifier::check_block_summaries(const OpenSegment& segment, size_t index, Bytes bytes,
                                          bool can_compare) {
    const SegmentBlock& block = segment.blocks[index];
    const BlockInfo& info = block.info;
    if (info.summaries_bytes == 0) {
        return;
    }
    const uint64_t at = block.summaries_offset();
    const auto wrong = [&](std::string what) {
        problem(segment.name, at, fmt::format("{}: {}", segment.describe(index), what),
                kRestoreSegment);
    };
    const Bytes section = bytes.last(info.summaries_bytes);
    const uint64_t computed = xxh3(section, block.section_seed(segment.store, segment.id, at));
    if (computed != block.summaries_checksum) {
        wrong(checksum_words("summaries", block.summaries_checksum, computed));
        return;
    }
    const Result<std::vector<ColumnSummary>> summaries = decode_summaries(section, info);
    if (!summaries) {
        wrong(summaries.error().message());
        return;
    }
    if (!can_compare) {
        return;
    }
    const Result<AxisColumns> axis = decode_axis(bytes.first(info.axis_bytes), info);
    const Bytes directory = bytes.subspan(info.axis_bytes, info.directory_bytes);
    const Bytes strips = bytes.subspan(info.axis_bytes + info.directory_bytes, info.strips_bytes);
    for (const ColumnSummary& stored : *summaries) {
        const Result<ChunkPlace> place = find_chunk(directory, info, stored.column);
        if (!axis || !place) {
            return;
        }
        const Bytes strip = strips.subspan(place->strip_offset, place->strip_bytes);
        if (xxh3(strip, content_seed(info)) != place->strip_checksum) {
            continue;  // reported with its strip
        }
        const Result<ColumnValues> values =
            decode_chunk(strips.subspan(place->offset, place->bytes), info);
        if (values && !agrees(stored.summary, summarize_column(*axis, *values))) {
            wrong(fmt::format("the summary of column {} is not that of its values", stored.column));
        }
    }
}

void StoreVerifier::count_rows(const BlockInfo& info, const AxisColumns& axis) {
    RunTotals& totals = totals_[info.run];
    if (!from_files_ && info.sequence_max > manifest_.checkpoint_sequence) {
        // Reported, and again no bound for a set.
        totals.rows += info.first_column == 0 ? info.rows : 0U;
        return;
    }
    for (const uint64_t sequence : axis.sequences) {
        totals.rows += counted_.insert(sequence) ? 1U : 0U;
    }
}

void StoreVerifier::check_block_strips(const OpenSegment& segment, size_t index, Bytes section,
                                       Bytes strips, const std::optional<AxisColumns>& rows) {
    const SegmentBlock& block = segment.blocks[index];
    bool is_first = true;  // of the columns that have values
    const auto wrong = [&](uint64_t offset, std::string what) {
        problem(segment.name, offset, fmt::format("{}: {}", segment.describe(index), what),
                kRestoreSegment);
    };
    const Result<BlockDirectory> directory = BlockDirectory::read(section, block.info);
    if (!directory) {
        wrong(block.directory_offset(), directory.error().message());
        return;
    }
    for (size_t i = 0; i < directory->strips().size(); ++i) {
        const Strip& strip = directory->strips()[i];
        const uint64_t at = block.strips_offset() + strip.offset;
        const uint64_t computed =
            xxh3(strips.subspan(strip.offset, strip.bytes), content_seed(block.info));
        if (computed != strip.checksum) {
            wrong(at, checksum_words(fmt::format("strip {} (columns {} to {})", i,
                                                 strip.first_column, directory->columns_end(i) - 1),
                                     strip.checksum, computed));
            continue;
        }
        const Result<std::vector<ChunkPlace>> places = directory->places(i);
        if (!places) {
            wrong(block.directory_offset(), places.error().message());
            continue;
        }
        for (size_t column = 0; column < places->size(); ++column) {
            const ChunkPlace& place = (*places)[column];
            if (place.bytes == 0) {
                continue;
            }
            const Bytes chunk = strips.subspan(place.offset, place.bytes);
            if (std::exchange(is_first, false) && rows) {
                const auto number = static_cast<uint32_t>(strip.first_column + column);
                check_rows_come_once(segment, index, number, chunk, *rows);
            }
            const Result<size_t> values = verify_chunk(chunk, block.info.rows);
            if (!values) {
                wrong(block.strips_offset() + place.offset,
                      fmt::format("column {}: {}", strip.first_column + column,
                                  values.error().message()));
                continue;
            }
            totals_[block.info.run].points += *values;
        }
    }
}

}  // namespace stepdb
