#include "engine/segment/segment_writer.h"

#include <algorithm>
#include <cstring>

#include "engine/model/limits.h"

namespace stepdb {

namespace {

// Collects bytes into large aligned writes, one after the other.
class PieceWriter {
  public:
    explicit PieceWriter(File& file) : file_(file), buffer_(kSegmentWriteBytes) {}

    // Where the next byte goes.
    uint64_t offset() const { return written_ + used_; }

    Task<Status> put(Bytes bytes) {
        while (!bytes.empty()) {
            const size_t here = std::min(bytes.size(), buffer_.size() - used_);
            std::memcpy(buffer_.data() + used_, bytes.data(), here);
            used_ += here;
            bytes = bytes.subspan(here);
            if (used_ == buffer_.size()) {
                const Status flushed = co_await flush();
                if (!flushed) {
                    co_return flushed;
                }
            }
        }
        co_return Status();
    }

    Task<Status> flush() {
        const Bytes piece = Bytes(buffer_.span()).first(used_);
        const Status status = co_await file_.write(written_, piece);
        written_ += used_;
        used_ = 0;
        co_return status;
    }

  private:
    File& file_;
    AlignedBuffer buffer_;
    uint64_t written_ = 0;
    size_t used_ = 0;
};

// Index entries of blocks that lie one behind the other after the header.
std::vector<SegmentBlock> place_blocks(
    const std::vector<std::shared_ptr<const EncodedBlock>>& blocks, const Id128& store,
    uint64_t file_id) {
    std::vector<SegmentBlock> placed;
    placed.reserve(blocks.size());
    uint64_t offset = kFileHeaderBytes;
    for (const auto& block : blocks) {
        SegmentBlock entry;
        entry.info = block->info;
        entry.offset = offset;
        entry.axis_checksum = xxh3(axis_section(*block), place_seed(store, file_id, offset));
        entry.directory_checksum =
            xxh3(directory_section(*block), place_seed(store, file_id, entry.directory_offset()));
        CHECK(block->bytes.size() == entry.info.total_bytes(), "block of {} bytes, expected {}",
              block->bytes.size(), entry.info.total_bytes());
        offset = entry.end();
        placed.push_back(entry);
    }
    return placed;
}

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

Task<Status> write_parts(File& file, const std::vector<std::byte>& header,
                         const std::vector<std::shared_ptr<const EncodedBlock>>& blocks,
                         const std::vector<std::byte>& end) {
    PieceWriter writer(file);
    const Status header_put = co_await writer.put(header);
    if (!header_put) {
        co_return header_put;
    }
    for (const auto& block : blocks) {
        const Status put = co_await writer.put(block->bytes);
        if (!put) {
            co_return put;
        }
    }
    const Status end_put = co_await writer.put(end);
    if (!end_put) {
        co_return end_put;
    }
    const Status flushed = co_await writer.flush();
    if (!flushed) {
        co_return flushed;
    }
    co_return co_await file.sync(SyncSite::kSegmentData);
}

}  // namespace

Task<Result<std::shared_ptr<const SegmentMeta>>> write_segment(
    FileSystem& files, std::string path, Id128 store, uint64_t file_id,
    std::vector<std::shared_ptr<const EncodedBlock>> blocks, SegmentNames names) {
    CHECK(!blocks.empty(), "a segment without blocks");
    std::ranges::stable_sort(
        blocks, [](const auto& a, const auto& b) { return sorts_before(a->info, b->info); });
    FileHeader fields;
    fields.store = store;
    fields.file_id = file_id;
    const std::vector<std::byte> header = encode_file_header(kSegmentFileKind, fields);
    std::vector<SegmentBlock> placed = place_blocks(blocks, store, file_id);
    SegmentFooter footer;
    const std::vector<std::byte> end = encode_end(placed, names, store, file_id, footer);

    const Result<std::unique_ptr<File>> file = co_await files.open(path, OpenMode::kCreate);
    if (!file) {
        co_return file.error();
    }
    const Status written = co_await write_parts(**file, header, blocks, end);
    if (!written) {
        co_return written.error().within(fmt::format("segment {}", path));
    }
    CHECK((*file)->size() == footer.file_bytes, "{} of {} bytes, expected {}", path,
          (*file)->size(), footer.file_bytes);
    co_return std::make_shared<const SegmentMeta>(std::move(path), store, file_id, footer,
                                                  std::move(placed));
}

}  // namespace stepdb
