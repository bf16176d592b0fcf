#include "engine/segment/segment_writer.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "engine/model/limits.h"

namespace stepdb {

namespace {

// Four pieces of 1 MiB keep the disk busy (LIMITS.md section 2), and delay a group of the log that
// comes behind them by no more than these.
constexpr size_t kPiecesUnderWayMax = 4;

// Room for a block is reserved from so many bytes on: what is under way is waited for then.
constexpr uint64_t kReservedBytesMin = 4 * kSegmentWriteBytes;

// Names, index, padding and footer: everything behind the blocks.
std::vector<std::byte> encode_end(const std::vector<SegmentBlock>& blocks,
                                  const SegmentNames& names, const Id128& store, uint64_t file_id,
                                  SegmentFooter& footer) {
    std::vector<std::byte> out = encode_segment_names(names);
    const std::vector<std::byte> index = encode_block_index(blocks);
    footer.blocks = blocks.size();
    footer.names_offset = blocks.back().end();
    footer.names_bytes = out.size();
    footer.names_checksum = xxh3(out, place_seed(store, file_id, footer.names_offset));
    footer.index_offset = footer.names_offset + footer.names_bytes;
    footer.index_bytes = index.size();
    footer.index_checksum = xxh3(index, place_seed(store, file_id, footer.index_offset));
    const uint64_t end = footer.index_offset + footer.index_bytes;
    footer.file_bytes = round_up(end, kPageBytes) + kPageBytes;
    out.insert(out.end(), index.begin(), index.end());
    out.resize(out.size() + (footer.footer_offset() - end));
    const std::vector<std::byte> page = encode_segment_footer(footer, store, file_id);
    out.insert(out.end(), page.begin(), page.end());
    return out;
}

BlockInfo info_in_file(BlockInfo info, size_t summary_rows_min) {
    if (info.rows < summary_rows_min) {
        info.summaries_bytes = 0;
    }
    return info;
}

}  // namespace

struct SegmentWriter::Output {
    Output() = default;

    std::unique_ptr<File> file;
    std::vector<std::unique_ptr<AlignedBuffer>> spare;
    size_t under_way = 0;
    std::optional<Error> error;  // the first
    Signal piece_ended;
};

SegmentWriter::SegmentWriter(FileSystem& files, std::string path, Id128 store, uint64_t file_id,
                             WriteTurns* turns)
    : files_(files),
      path_(std::move(path)),
      store_(store),
      file_id_(file_id),
      turns_(turns),
      output_(std::make_shared<Output>()),
      buffer_(std::make_unique<AlignedBuffer>(kSegmentWriteBytes)) {}

Task<Status> SegmentWriter::create(uint64_t expected_bytes) {
    Result<std::unique_ptr<File>> file = co_await files_.open(path_, OpenMode::kCreate);
    if (!file) {
        co_return file.error();
    }
    output_->file = std::move(*file);
    const Status reserved = co_await reserve(expected_bytes);
    if (!reserved) {
        co_return reserved;
    }
    FileHeader fields;
    fields.store = store_;
    fields.file_id = file_id_;
    const std::vector<std::byte> header = encode_file_header(kSegmentFileKind, fields);
    co_return co_await put(header);
}

Task<Status> SegmentWriter::reserve(uint64_t bytes) {
    if (bytes <= reserved_) {
        co_return Status();
    }
    reserved_ = bytes;
    const Status reserved = co_await output_->file->allocate(bytes);
    if (!reserved) {
        co_return reserved.error().within(fmt::format("segment {}", path_));
    }
    co_return Status();
}

void SegmentWriter::check_order(const BlockInfo& info) const {
    CHECK(placed_.empty() || placed_.back().end() == bytes(), "{}: block {} ends at {}, not {}",
          path_, placed_.size() - 1, bytes(), placed_.back().end());
    CHECK(placed_.empty() || !sorts_before(info, placed_.back().info),
          "{}: block {} sorts before the one before", path_, placed_.size());
}

Task<Status> SegmentWriter::begin_block(BlockInfo info, Bytes axis, Bytes directory,
                                        Bytes summaries) {
    check_order(info);
    CHECK(axis.size() == info.axis_bytes && directory.size() == info.directory_bytes &&
              summaries.size() == info.summaries_bytes,
          "{}: sections of {}, {} and {} bytes, expected {}, {} and {}", path_, axis.size(),
          directory.size(), summaries.size(), info.axis_bytes, info.directory_bytes,
          info.summaries_bytes);
    SegmentBlock entry;
    entry.info = info;
    entry.offset = bytes();
    entry.axis_checksum = xxh3(axis, place_seed(store_, file_id_, entry.offset));
    entry.directory_checksum =
        xxh3(directory, place_seed(store_, file_id_, entry.directory_offset()));
    if (info.summaries_bytes != 0) {
        entry.summaries_checksum =
            xxh3(summaries, place_seed(store_, file_id_, entry.summaries_offset()));
    }
    placed_.push_back(entry);
    if (info.total_bytes() >= kReservedBytesMin) {
        const Status reserved = co_await reserve(entry.end());
        if (!reserved) {
            co_return reserved;
        }
    }
    const Status axis_put = co_await put(axis);
    if (!axis_put) {
        co_return axis_put;
    }
    co_return co_await put(directory);
}

Task<Status> SegmentWriter::put_rest(Bytes bytes) {
    return put(bytes);
}

Task<Status> SegmentWriter::put_pieces(std::span<const Bytes> pieces) {
    for (const Bytes piece : pieces) {
        if (piece.size() < buffer_->size() - used_) {
            std::memcpy(buffer_->data() + used_, piece.data(), piece.size());
            used_ += piece.size();
            continue;
        }
        const Status status = co_await put(piece);
        if (!status) {
            co_return status;
        }
    }
    co_return Status();
}

Task<Status> SegmentWriter::put_block(std::shared_ptr<const EncodedBlock> block,
                                      size_t summary_rows_min) {
    const BlockInfo info = info_in_file(block->info, summary_rows_min);
    const Bytes summaries = summaries_section(*block).first(info.summaries_bytes);
    const Status begun =
        co_await begin_block(info, axis_section(*block), directory_section(*block), summaries);
    if (!begun) {
        co_return begun;
    }
    const Status strips_put = co_await put(strips_section(*block));
    if (!strips_put) {
        co_return strips_put;
    }
    co_return co_await put(summaries);
}

Task<Status> SegmentWriter::put_damaged(SegmentBlock block, uint64_t file_id, Bytes bytes) {
    check_order(block.info);
    CHECK(bytes.size() == block.info.total_bytes(), "{}: {} bytes of a block of {}", path_,
          bytes.size(), block.info.total_bytes());
    DamagedOrigin origin;
    // One that has been carried along before lay somewhere else at first.
    origin.file_id = block.damaged != nullptr ? block.damaged->file_id : file_id;
    origin.offset = block.damaged != nullptr ? block.damaged->offset : block.offset;
    block.offset = this->bytes();
    origin.checksum = xxh3(bytes, place_seed(store_, file_id_, block.offset));
    block.damaged = std::make_shared<const DamagedOrigin>(origin);
    placed_.push_back(std::move(block));
    return put(bytes);
}

Task<Status> SegmentWriter::put(Bytes bytes) {
    while (!bytes.empty()) {
        const size_t here = std::min(bytes.size(), buffer_->size() - used_);
        std::memcpy(buffer_->data() + used_, bytes.data(), here);
        used_ += here;
        bytes = bytes.subspan(here);
        if (used_ == buffer_->size()) {
            const Status written = co_await write_out();
            if (!written) {
                co_return written;
            }
        }
    }
    co_return Status();
}

Task<Status> SegmentWriter::write_out() {
    if (turns_ != nullptr) {
        co_await turns_->next();
    }
    ++output_->under_way;
    start(write_piece(output_, std::move(buffer_), written_, used_), [] {});
    written_ += used_;
    used_ = 0;
    const Status status = co_await wait_for_room(kPiecesUnderWayMax - 1);
    if (output_->spare.empty()) {
        buffer_ = std::make_unique<AlignedBuffer>(kSegmentWriteBytes);
    } else {
        buffer_ = std::move(output_->spare.back());
        output_->spare.pop_back();
    }
    co_return status;
}

Task<void> SegmentWriter::write_piece(std::shared_ptr<Output> output,
                                      std::unique_ptr<AlignedBuffer> piece, uint64_t offset,
                                      size_t bytes) {
    const Status status = co_await output->file->write(offset, Bytes(piece->span()).first(bytes));
    --output->under_way;
    output->spare.push_back(std::move(piece));
    if (!status && !output->error) {
        output->error = status.error();
    }
    output->piece_ended.fire();
}

Task<Status> SegmentWriter::wait_for_room(size_t pieces) {
    // After an error nothing may be under way any more when the caller hears of it and removes the
    // file.
    Output& output = *output_;
    while (output.under_way > (output.error ? 0 : pieces)) {
        co_await output.piece_ended;
    }
    if (output.error) {
        co_return output.error->within(fmt::format("segment {}", path_));
    }
    co_return Status();
}

Task<void> SegmentWriter::abandon() {
    const Status status = co_await wait_for_room(0);
    static_cast<void>(status);  // the file is given up in any case
}

Task<Result<std::shared_ptr<const SegmentMeta>>> SegmentWriter::finish(SegmentNames names,
                                                                       SyncSite site) {
    CHECK(!placed_.empty() && placed_.back().end() == bytes(), "{}: {} blocks end before {}", path_,
          placed_.size(), bytes());
    SegmentFooter footer;
    const std::vector<std::byte> end = encode_end(placed_, names, store_, file_id_, footer);
    const Status end_put = co_await put(end);
    if (!end_put) {
        co_return end_put.error();
    }
    const Status started = co_await write_out();
    if (!started) {
        co_return started.error();
    }
    const Status written = co_await wait_for_room(0);
    if (!written) {
        co_return written.error();
    }
    const Status synced = co_await output_->file->sync(site);
    if (!synced) {
        co_return synced.error().within(fmt::format("segment {}", path_));
    }
    CHECK(output_->file->size() == footer.file_bytes, "{} of {} bytes, expected {}", path_,
          output_->file->size(), footer.file_bytes);
    co_return std::make_shared<const SegmentMeta>(path_, store_, file_id_, footer,
                                                  std::move(placed_));
}

Task<Result<std::shared_ptr<const SegmentMeta>>> write_segment(
    FileSystem& files, std::string path, Id128 store, uint64_t file_id,
    std::vector<std::shared_ptr<const EncodedBlock>> blocks, SegmentNames names,
    WriteTurns* turns) {
    CHECK(!blocks.empty(), "a segment without blocks");
    std::ranges::stable_sort(
        blocks, [](const auto& a, const auto& b) { return sorts_before(a->info, b->info); });
    SegmentWriter writer(files, std::move(path), store, file_id, turns);
    uint64_t blocks_bytes = kPageBytes;  // with the header
    for (const auto& block : blocks) {
        blocks_bytes += info_in_file(block->info, kSummaryValuesMin).total_bytes();
    }
    const Status created = co_await writer.create(blocks_bytes);
    if (!created) {
        co_return created.error();
    }
    for (const auto& block : blocks) {
        const Status put = co_await writer.put_block(block, kSummaryValuesMin);
        if (!put) {
            co_return put.error();
        }
    }
    co_return co_await writer.finish(std::move(names), SyncSite::kSegmentData);
}

}  // namespace stepdb
