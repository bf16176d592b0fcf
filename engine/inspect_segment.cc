// inspect_file for a segment: footer, names, block index, and the inside of one block.
#include "engine/base/zeros.h"
#include "engine/inspect_parts.h"
#include "engine/segment/block_directory.h"
#include "engine/segment/chunk.h"
#include "engine/segment/segment_format.h"
#include "engine/segment/summary_section.h"

namespace stepdb {

namespace {

Error mismatch(std::string_view what, uint64_t offset, uint64_t found, uint64_t expected) {
    return make_error(ErrorCode::kCorruption, "byte {}: {}: checksum {:016x}, expected {:016x}",
                      offset, what, found, expected);
}

// What is known of a segment by its file alone.
struct Segment {
    Segment() = default;

    Status check(std::string_view what, uint64_t offset, uint64_t bytes, uint64_t expected) const {
        return check(what, offset, bytes, expected, place_seed(store, file_id, offset));
    }
    // A section of a block.
    Status check(std::string_view what, const SegmentBlock& block, uint64_t offset, uint64_t bytes,
                 uint64_t expected) const {
        return check(what, offset, bytes, expected, block.section_seed(store, file_id, offset));
    }
    Status check(std::string_view what, uint64_t offset, uint64_t bytes, uint64_t expected,
                 uint64_t seed) const {
        const uint64_t found = xxh3(file.subspan(offset, bytes), seed);
        return found == expected ? Status() : Status(mismatch(what, offset, found, expected));
    }

    Bytes file;
    Id128 store;
    uint64_t file_id = 0;
    SegmentFooter footer;
    std::vector<SegmentBlock> blocks;
    SegmentNames names;
};

Status read_footer(Segment& segment, InspectSink& sink) {
    const uint64_t size = segment.file.size();
    if (size < 2 * kPageBytes || size % kPageBytes != 0) {
        return make_error(ErrorCode::kCorruption,
                          "byte {}: the file ends here; a segment has a multiple of {} bytes, at "
                          "least {}",
                          size, kPageBytes, 2 * kPageBytes);
    }
    const uint64_t at = size - kPageBytes;
    const auto footer =
        decode_segment_footer(segment.file.subspan(at), segment.store, segment.file_id, size);
    if (!footer) {
        return footer.error().within(fmt::format("byte {}", at));
    }
    segment.footer = *footer;
    InspectRecord record("footer");
    record.number("byte", at)
        .number("blocks", footer->blocks)
        .number("names at", footer->names_offset)
        .number("names bytes", footer->names_bytes)
        .number("index at", footer->index_offset)
        .number("index bytes", footer->index_bytes)
        .show(sink);
    return {};
}

Status read_names(Segment& segment, InspectSink& sink) {
    const SegmentFooter& footer = segment.footer;
    TRY(segment.check("names", footer.names_offset, footer.names_bytes, footer.names_checksum));
    TRY_ASSIGN(segment.names,
               decode_segment_names(segment.file.subspan(footer.names_offset, footer.names_bytes)));
    InspectTable runs("runs", {{"id", ColumnType::kUint64}, {"run", ColumnType::kText}});
    for (const SegmentNames::Run& run : segment.names.runs) {
        runs.number(run.id).text(run.project + "/" + run.name);
    }
    runs.show(sink);
    InspectTable schemas = schema_table();
    for (const SegmentNames::NamedSchema& named : segment.names.schemas) {
        add_schema(schemas, named.id, *named.schema);
    }
    schemas.show(sink);
    return {};
}

Status read_index(Segment& segment, InspectSink& sink) {
    const SegmentFooter& footer = segment.footer;
    TRY(segment.check("block index", footer.index_offset, footer.index_bytes,
                      footer.index_checksum));
    TRY_ASSIGN(segment.blocks,
               decode_block_index(segment.file.subspan(footer.index_offset, footer.index_bytes),
                                  footer.blocks, footer.names_offset));
    InspectTable table("blocks", {{"block", ColumnType::kUint64},
                                  {"byte", ColumnType::kUint64},
                                  {"bytes", ColumnType::kUint64},
                                  {"run", ColumnType::kUint64},
                                  {"attempt", ColumnType::kUint64},
                                  {"schema", ColumnType::kUint64},
                                  {"rows", ColumnType::kUint64},
                                  {"columns", ColumnType::kUint64},
                                  {"first column", ColumnType::kUint64},
                                  {"end column", ColumnType::kUint64},
                                  {"first key", ColumnType::kText},
                                  {"last key", ColumnType::kText},
                                  {"first time", ColumnType::kTime},
                                  {"last time", ColumnType::kTime},
                                  {"first sequence", ColumnType::kUint64},
                                  {"last sequence", ColumnType::kUint64}});
    uint64_t number = 0;
    for (const SegmentBlock& block : segment.blocks) {
        const BlockInfo& info = block.info;
        table.number(number++).number(block.offset).number(info.total_bytes());
        table.number(info.run).number(info.attempt).number(info.schema).number(info.rows);
        table.number(info.columns).number(info.first_column).number(info.end_column);
        table.text(key_text(info.axis, info.key_min))
            .text(key_text(info.axis, info.key_max))
            .time(info.time_min)
            .time(info.time_max);
        table.number(info.sequence_min).number(info.sequence_max);
    }
    table.show(sink);
    return {};
}

// The zeros between index and footer, which nothing reads.
void note_padding(const Segment& segment, InspectSink& sink) {
    const uint64_t at = segment.footer.index_offset + segment.footer.index_bytes;
    if (const auto stray =
            find_nonzero(segment.file.subspan(at, segment.footer.footer_offset() - at))) {
        InspectNotes notes;
        notes.add_padding(at + *stray);
        notes.show(sink);
    }
}

// --- One block ---

std::string describe_values(const ChunkForm& form) {
    std::string words = form.form.constant ? "constant" : "";
    const auto add = [&](size_t count, std::string_view what) {
        if (count != 0) {
            words += fmt::format("{}{} {}", words.empty() ? "" : ", ", count, what);
        }
    };
    add(form.constants, "constant");
    add(form.vectors.image, "image");
    add(form.vectors.decimal, "decimal");
    add(form.vectors.raw, "raw");
    return words;
}

void add_column(InspectTable& table, const Segment& segment, const SegmentBlock& block,
                uint32_t column, const ChunkPlace& place, const ChunkForm& form) {
    std::string metric;
    for (const SegmentNames::NamedSchema& named : segment.names.schemas) {
        if (named.id == block.info.schema && column < named.schema->width()) {
            metric = named.schema->metric(column);
        }
    }
    table.number(column).text(metric).number(block.strips_offset() + place.offset);
    table.number(place.bytes).number(form.values).text(form.presence);
    table.text(form.form.float64 ? "float64" : "float32").text(describe_values(form));
}

// The chunks of one strip; the first damage among them is the result.
Status inspect_strip(const Segment& segment, const SegmentBlock& block,
                     const BlockDirectory& directory, size_t index, InspectTable& columns) {
    const Strip& strip = directory.strips()[index];
    const uint64_t at = block.strips_offset() + strip.offset;
    const uint64_t found = xxh3(segment.file.subspan(at, strip.bytes), content_seed(block.info));
    if (found != strip.checksum) {
        return mismatch(fmt::format("strip {}, columns {} to {}", index, strip.first_column,
                                    directory.columns_end(index) - 1),
                        at, found, strip.checksum);
    }
    TRY_ASSIGN(const auto places, directory.places(index));
    Status status;
    uint32_t column = strip.first_column;
    for (const ChunkPlace& place : places) {
        if (place.bytes != 0) {
            const uint64_t chunk_at = block.strips_offset() + place.offset;
            const Bytes chunk = segment.file.subspan(chunk_at, place.bytes);
            const auto decoded = decode_chunk_bytes(chunk, block.info.rows);
            const auto form = describe_chunk(chunk, block.info.rows);
            if (decoded && form) {
                add_column(columns, segment, block, column, place, *form);
            } else {
                keep_first(status, decoded
                                       ? form.error()
                                       : decoded.error().within(fmt::format("byte {}", chunk_at)));
            }
        }
        ++column;
    }
    return status;
}

Status inspect_summaries(const Segment& segment, const SegmentBlock& block, InspectSink& sink) {
    const BlockInfo& info = block.info;
    if (info.summaries_bytes == 0) {
        return {};
    }
    const uint64_t at = block.summaries_offset();
    TRY(segment.check("summaries", block, at, info.summaries_bytes, block.summaries_checksum));
    TRY_ASSIGN(const auto summaries,
               decode_summaries(segment.file.subspan(at, info.summaries_bytes), info));
    InspectTable table("summaries", {{"column", ColumnType::kUint64},
                                     {"finite", ColumnType::kUint64},
                                     {"nan", ColumnType::kUint64},
                                     {"pinf", ColumnType::kUint64},
                                     {"ninf", ColumnType::kUint64},
                                     {"first key", ColumnType::kText},
                                     {"last key", ColumnType::kText},
                                     {"min", ColumnType::kText},
                                     {"max", ColumnType::kText},
                                     {"mean", ColumnType::kText},
                                     {"variance", ColumnType::kText}});
    for (const auto& [column, summary] : summaries) {
        table.number(column).number(summary.count).number(summary.nan);
        table.number(summary.positive_infinity).number(summary.negative_infinity);
        table.text(key_text(info.axis, summary.first.key));
        table.text(key_text(info.axis, summary.last.key));
        const bool finite = summary.count != 0;
        table.text(finite ? format_value(summary.min.value) : "");
        table.text(finite ? format_value(summary.max.value) : "");
        table.text(finite ? format_value(summary.mean()) : "");
        table.text(finite ? format_value(summary.variance()) : "");
    }
    table.show(sink);
    return {};
}

Status inspect_block(const Segment& segment, uint64_t number, InspectSink& sink) {
    if (number >= segment.blocks.size()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "there is no block {}: the segment has {}, counted from 0", number,
                          segment.blocks.size());
    }
    const SegmentBlock& block = segment.blocks[number];
    const BlockInfo& info = block.info;
    InspectRecord record("block");
    record.number("block", number)
        .number("axis at", block.offset)
        .number("axis bytes", info.axis_bytes)
        .number("directory at", block.directory_offset())
        .number("directory bytes", info.directory_bytes)
        .number("strips at", block.strips_offset())
        .number("strips bytes", info.strips_bytes)
        .number("summaries at", block.summaries_offset())
        .number("summaries bytes", info.summaries_bytes)
        .show(sink);
    Status status =
        segment.check("axis", block, block.offset, info.axis_bytes, block.axis_checksum);
    if (status) {
        const auto axis = decode_axis(segment.file.subspan(block.offset, info.axis_bytes), info);
        status =
            axis ? Status() : Status(axis.error().within(fmt::format("byte {}", block.offset)));
    }
    const Bytes section = segment.file.subspan(block.directory_offset(), info.directory_bytes);
    const Status intact = segment.check("directory", block, block.directory_offset(),
                                        info.directory_bytes, block.directory_checksum);
    if (!intact) {
        keep_first(status, intact);
        return status;
    }
    TRY_ASSIGN(const BlockDirectory directory, BlockDirectory::read(section, info));
    InspectTable strips("strips", {{"strip", ColumnType::kUint64},
                                   {"byte", ColumnType::kUint64},
                                   {"bytes", ColumnType::kUint64},
                                   {"first column", ColumnType::kUint64},
                                   {"last column", ColumnType::kUint64}});
    InspectTable columns("columns", {{"column", ColumnType::kUint64},
                                     {"metric", ColumnType::kText},
                                     {"byte", ColumnType::kUint64},
                                     {"bytes", ColumnType::kUint64},
                                     {"values", ColumnType::kUint64},
                                     {"presence", ColumnType::kText},
                                     {"words", ColumnType::kText},
                                     {"vectors", ColumnType::kText}});
    for (size_t i = 0; i < directory.strips().size(); ++i) {
        const Strip& strip = directory.strips()[i];
        strips.number(i).number(block.strips_offset() + strip.offset).number(strip.bytes);
        strips.number(strip.first_column).number(directory.columns_end(i) - 1);
        keep_first(status, inspect_strip(segment, block, directory, i, columns));
    }
    strips.show(sink);
    columns.show(sink);
    keep_first(status, inspect_summaries(segment, block, sink));
    return status;
}

// Blocks with damage, each with the first of it, so that nobody has to look into all of them.
Status find_damage(const Segment& segment, InspectSink& sink) {
    InspectTable damaged("damaged blocks",
                         {{"block", ColumnType::kUint64}, {"what", ColumnType::kText}});
    SilentSink silent;
    Status first;
    for (uint64_t number = 0; number < segment.blocks.size(); ++number) {
        const Status status = inspect_block(segment, number, silent);
        if (!status) {
            damaged.number(number).text(status.error().message());
            keep_first(first, status.error().within(fmt::format("block {}", number)));
        }
    }
    if (!first) {
        damaged.show(sink);
    }
    return first;
}

}  // namespace

Status inspect_segment(Bytes file, const FileHeader& header, const InspectOptions& options,
                       InspectSink& sink) {
    Segment segment;
    segment.file = file;
    segment.store = header.store;
    segment.file_id = header.file_id;
    SilentSink silent;
    InspectSink& listing = options.block ? static_cast<InspectSink&>(silent) : sink;
    TRY(read_footer(segment, listing));
    Status status = read_names(segment, listing);
    const Status index = read_index(segment, listing);
    keep_first(status, index);
    if (index) {
        keep_first(status, options.block ? inspect_block(segment, *options.block, sink)
                                         : find_damage(segment, sink));
    }
    note_padding(segment, listing);
    return status;
}

}  // namespace stepdb
