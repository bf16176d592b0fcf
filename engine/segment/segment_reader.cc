#include "engine/segment/segment_reader.h"

#include <algorithm>

#include "engine/segment/block_directory.h"
#include "engine/segment/chunk.h"
#include "engine/segment/summary_section.h"

namespace stepdb {

namespace {

// Reads `bytes` at `offset` and checks them. The caller has checked that they lie in the file.
Task<Result<std::vector<std::byte>>> read_checked(File& file, uint64_t offset, uint64_t bytes,
                                                  uint64_t seed, uint64_t checksum) {
    std::vector<std::byte> read(bytes);
    const Status status = co_await file.read(offset, read);
    if (!status) {
        co_return status.error();
    }
    const uint64_t computed = xxh3(read, seed);
    if (computed != checksum) {
        co_return make_error(ErrorCode::kCorruption,
                             "{} bytes at offset {}: checksum {:016x}, expected {:016x}", bytes,
                             offset, computed, checksum);
    }
    co_return read;
}

Task<Result<std::vector<std::byte>>> read_block_section(File& file, const SegmentMeta& segment,
                                                        const SegmentBlock& block, uint64_t offset,
                                                        uint64_t bytes, uint64_t checksum) {
    co_return co_await read_checked(file, offset, bytes,
                                    block.section_seed(segment.store(), segment.file_id(), offset),
                                    checksum);
}

Task<Result<std::vector<std::byte>>> read_section(File& file, const SegmentMeta& segment,
                                                  uint64_t offset, uint64_t bytes,
                                                  uint64_t checksum) {
    co_return co_await read_checked(
        file, offset, bytes, place_seed(segment.store(), segment.file_id(), offset), checksum);
}

Task<Result<std::shared_ptr<const SegmentMeta>>> read_meta(File& file, std::string path,
                                                           Id128 store, uint64_t file_id) {
    const uint64_t size = file.size();
    if (size < 2 * kPageBytes || size % kPageBytes != 0) {
        co_return make_error(ErrorCode::kCorruption,
                             "a file of {} bytes; a segment has a multiple of {}, at least {}",
                             size, kPageBytes, 2 * kPageBytes);
    }
    std::vector<std::byte> page(kPageBytes);
    const Status header_read = co_await file.read(0, page);
    if (!header_read) {
        co_return header_read.error();
    }
    const Result<FileHeader> header = decode_file_header(kSegmentFileKind, page);
    if (!header) {
        co_return header.error();
    }
    const Status owner = check_file_owner(kSegmentFileKind, *header, store, file_id);
    if (!owner) {
        co_return owner.error();
    }
    const Status footer_read = co_await file.read(size - kPageBytes, page);
    if (!footer_read) {
        co_return footer_read.error();
    }
    const Result<SegmentFooter> footer = decode_segment_footer(page, store, file_id, size);
    if (!footer) {
        co_return footer.error();
    }
    const SegmentMeta empty(path, store, file_id, *footer, {});
    const Result<std::vector<std::byte>> index = co_await read_section(
        file, empty, footer->index_offset, footer->index_bytes, footer->index_checksum);
    if (!index) {
        co_return index.error().within("block index");
    }
    Result<std::vector<SegmentBlock>> blocks =
        decode_block_index(*index, footer->blocks, footer->names_offset);
    if (!blocks) {
        co_return blocks.error();
    }
    co_return std::make_shared<const SegmentMeta>(std::move(path), store, file_id, *footer,
                                                  *std::move(blocks));
}

// Every strip of a block: checksum, and each of its chunks decoded.
Task<Status> verify_strips(File& file, const SegmentMeta& segment, size_t index, Bytes section) {
    const SegmentBlock& block = segment.blocks()[index];
    const Result<BlockDirectory> directory = BlockDirectory::read(section, block.info);
    if (!directory) {
        co_return directory.error();
    }
    const uint64_t seed = content_seed(block.info);
    for (size_t i = 0; i < directory->strips().size(); ++i) {
        const Strip& strip = directory->strips()[i];
        const Result<std::vector<std::byte>> bytes = co_await read_checked(
            file, block.strips_offset() + strip.offset, strip.bytes, seed, strip.checksum);
        if (!bytes) {
            co_return bytes.error().within(fmt::format("strip {}", i));
        }
        const Result<std::vector<ChunkPlace>> places = directory->places(i);
        if (!places) {
            co_return places.error();
        }
        for (size_t column = 0; column < places->size(); ++column) {
            const ChunkPlace& place = (*places)[column];
            if (place.bytes == 0) {
                continue;
            }
            const Bytes chunk = Bytes(*bytes).subspan(place.offset - strip.offset, place.bytes);
            const Result<size_t> verified = verify_chunk(chunk, block.info.rows);
            if (!verified) {
                co_return verified.error().within(
                    fmt::format("column {}", strip.first_column + column));
            }
        }
    }
    co_return Status();
}

Task<Status> verify_blocks(File& file, const SegmentMeta& segment) {
    for (size_t block = 0; block < segment.blocks().size(); ++block) {
        const Result<AxisColumns> axis = co_await read_axis(file, segment, block);
        if (!axis) {
            co_return axis.error();
        }
        const Result<std::vector<std::byte>> directory =
            co_await read_directory(file, segment, block);
        if (!directory) {
            co_return directory.error();
        }
        const Result<std::vector<ColumnSummary>> summaries =
            co_await read_summaries(file, segment, block);
        if (!summaries) {
            co_return summaries.error();
        }
        const Status strips = co_await verify_strips(file, segment, block, *directory);
        if (!strips) {
            co_return strips.error().within(segment.describe(block));
        }
    }
    co_return Status();
}

Task<Status> verify_padding(File& file, const SegmentMeta& segment) {
    const SegmentFooter& footer = segment.footer();
    const uint64_t from = footer.index_offset + footer.index_bytes;
    std::vector<std::byte> padding(footer.footer_offset() - from);
    if (padding.empty()) {
        co_return Status();
    }
    const Status status = co_await file.read(from, padding);
    if (!status) {
        co_return status.error();
    }
    if (std::ranges::any_of(padding, [](std::byte byte) { return byte != std::byte{0}; })) {
        co_return make_error(ErrorCode::kCorruption, "{}: padding from {} to {} is not all zeros",
                             segment.describe(), from, footer.footer_offset());
    }
    co_return Status();
}

}  // namespace

SegmentMeta::SegmentMeta(std::string path, const Id128& store, uint64_t file_id,
                         const SegmentFooter& footer, std::vector<SegmentBlock> blocks)
    : path_(std::move(path)),
      store_(store),
      file_id_(file_id),
      footer_(footer),
      blocks_(std::move(blocks)) {}

SegmentMeta::~SegmentMeta() {
    if (unused_) {
        unused_();
    }
}

std::pair<size_t, size_t> SegmentMeta::blocks_of_run(uint64_t run) const {
    const auto run_of = [](const SegmentBlock& block) { return block.info.run; };
    const auto first = std::ranges::lower_bound(blocks_, run, {}, run_of);
    // Most runs have few.
    auto last = first;
    for (size_t step = 1; last != blocks_.end() && run_of(*last) == run; step *= 2) {
        const auto ahead =
            last + std::min<ptrdiff_t>(static_cast<ptrdiff_t>(step), blocks_.end() - last);
        if (run_of(*(ahead - 1)) == run) {
            last = ahead;
        } else {
            last = std::ranges::upper_bound(last, ahead, run, {}, run_of);
            break;
        }
    }
    return {static_cast<size_t>(first - blocks_.begin()),
            static_cast<size_t>(last - blocks_.begin())};
}

size_t SegmentMeta::memory_bytes() const {
    return sizeof(*this) + path_.capacity() + blocks_.capacity() * sizeof(SegmentBlock);
}

std::string SegmentMeta::describe() const {
    return fmt::format("segment {}", path_);
}

std::string SegmentMeta::describe(size_t block) const {
    const BlockInfo& info = blocks_[block].info;
    const auto& damaged = blocks_[block].damaged;
    return fmt::format("segment {} block {} (run {}, attempt {}, schema {}{})", path_, block,
                       info.run, info.attempt, info.schema,
                       damaged == nullptr ? std::string()
                                          : fmt::format("; damaged already at offset {} of "
                                                        "segment-{:06}, before it was merged",
                                                        damaged->offset, damaged->file_id));
}

Task<Result<std::shared_ptr<const SegmentMeta>>> open_segment(FileSystem& files, std::string path,
                                                              Id128 store, uint64_t file_id) {
    Result<std::unique_ptr<File>> file = co_await files.open(path, OpenMode::kRead);
    if (!file) {
        co_return file.error();
    }
    Result<std::shared_ptr<const SegmentMeta>> meta =
        co_await read_meta(**file, path, store, file_id);
    if (!meta) {
        co_return meta.error().within(fmt::format("segment {}", path));
    }
    co_return meta;
}

Task<Result<SegmentNames>> read_names(File& file, const SegmentMeta& segment) {
    const SegmentFooter& footer = segment.footer();
    const Result<std::vector<std::byte>> section = co_await read_section(
        file, segment, footer.names_offset, footer.names_bytes, footer.names_checksum);
    if (!section) {
        co_return section.error().within("names").within(segment.describe());
    }
    Result<SegmentNames> names = decode_segment_names(*section);
    if (!names) {
        co_return names.error().within(segment.describe());
    }
    co_return names;
}

Task<Result<std::vector<std::byte>>> read_axis_section(File& file, const SegmentMeta& segment,
                                                       size_t index) {
    CHECK(index < segment.blocks().size(), "block {} of {}", index, segment.blocks().size());
    const SegmentBlock& block = segment.blocks()[index];
    Result<std::vector<std::byte>> section = co_await read_block_section(
        file, segment, block, block.offset, block.info.axis_bytes, block.axis_checksum);
    if (!section) {
        co_return section.error().within("axis").within(segment.describe(index));
    }
    co_return section;
}

Task<Result<AxisColumns>> read_axis(File& file, const SegmentMeta& segment, size_t index) {
    const Result<std::vector<std::byte>> section = co_await read_axis_section(file, segment, index);
    if (!section) {
        co_return section.error();
    }
    Result<AxisColumns> axis = decode_axis(*section, segment.blocks()[index].info);
    if (!axis) {
        co_return axis.error().within(segment.describe(index));
    }
    co_return axis;
}

Task<Result<std::vector<std::byte>>> read_directory(File& file, const SegmentMeta& segment,
                                                    size_t index) {
    CHECK(index < segment.blocks().size(), "block {} of {}", index, segment.blocks().size());
    const SegmentBlock& block = segment.blocks()[index];
    Result<std::vector<std::byte>> section =
        co_await read_block_section(file, segment, block, block.directory_offset(),
                                    block.info.directory_bytes, block.directory_checksum);
    if (!section) {
        co_return section.error().within("directory").within(segment.describe(index));
    }
    co_return section;
}

Task<Result<ColumnValues>> read_column_at(File& file, const SegmentMeta& segment, size_t block,
                                          ChunkPlace place) {
    if (place.bytes == 0) {
        co_return ColumnValues();
    }
    const Result<std::vector<std::byte>> strip =
        co_await read_strip_of(file, segment, block, place);
    if (!strip) {
        co_return strip.error();
    }
    const Bytes chunk = Bytes(*strip).subspan(place.offset - place.strip_offset, place.bytes);
    Result<ColumnValues> values = decode_chunk(chunk, segment.blocks()[block].info);
    if (!values) {
        co_return values.error().within(segment.describe(block));
    }
    co_return values;
}

Task<Result<std::vector<std::byte>>> read_strip_of(File& file, const SegmentMeta& segment,
                                                   size_t index, ChunkPlace place) {
    CHECK(index < segment.blocks().size(), "block {} of {}", index, segment.blocks().size());
    const SegmentBlock& block = segment.blocks()[index];
    Result<std::vector<std::byte>> strip =
        co_await read_checked(file, block.strips_offset() + place.strip_offset, place.strip_bytes,
                              content_seed(block.info), place.strip_checksum);
    if (!strip) {
        co_return strip.error().within("strip").within(segment.describe(index));
    }
    co_return strip;
}

Task<Result<ColumnValues>> read_column(File& file, const SegmentMeta& segment, size_t block,
                                       uint32_t column) {
    const Result<std::vector<std::byte>> directory = co_await read_directory(file, segment, block);
    if (!directory) {
        co_return directory.error();
    }
    const BlockInfo& info = segment.blocks()[block].info;
    CHECK(column < info.columns, "column {} of {}", column, info.columns);
    const Result<ChunkPlace> place = find_chunk(*directory, info, column);
    if (!place) {
        co_return place.error().within(segment.describe(block));
    }
    co_return co_await read_column_at(file, segment, block, *place);
}

Task<Result<std::vector<std::byte>>> read_summaries_section(File& file, const SegmentMeta& segment,
                                                            size_t index) {
    CHECK(index < segment.blocks().size(), "block {} of {}", index, segment.blocks().size());
    const SegmentBlock& block = segment.blocks()[index];
    if (block.info.summaries_bytes == 0) {
        co_return std::vector<std::byte>();
    }
    Result<std::vector<std::byte>> section =
        co_await read_block_section(file, segment, block, block.summaries_offset(),
                                    block.info.summaries_bytes, block.summaries_checksum);
    if (!section) {
        co_return section.error().within("summaries").within(segment.describe(index));
    }
    co_return section;
}

Task<Result<std::vector<ColumnSummary>>> read_summaries(File& file, const SegmentMeta& segment,
                                                        size_t index) {
    const Result<std::vector<std::byte>> section =
        co_await read_summaries_section(file, segment, index);
    if (!section) {
        co_return section.error();
    }
    if (section->empty()) {
        co_return std::vector<ColumnSummary>();
    }
    Result<std::vector<ColumnSummary>> summaries =
        decode_summaries(*section, segment.blocks()[index].info);
    if (!summaries) {
        co_return summaries.error().within(segment.describe(index));
    }
    co_return summaries;
}

Task<Status> verify_segment(FileSystem& files, std::string path, Id128 store, uint64_t file_id) {
    const Result<std::shared_ptr<const SegmentMeta>> meta =
        co_await open_segment(files, path, store, file_id);
    if (!meta) {
        co_return meta.error();
    }
    const SegmentMeta& segment = **meta;
    const Result<std::unique_ptr<File>> file = co_await files.open(path, OpenMode::kRead);
    if (!file) {
        co_return file.error();
    }
    const Result<SegmentNames> names = co_await read_names(**file, segment);
    if (!names) {
        co_return names.error();
    }
    const Status padding = co_await verify_padding(**file, segment);
    if (!padding) {
        co_return padding;
    }
    co_return co_await verify_blocks(**file, segment);
}

}  // namespace stepdb
