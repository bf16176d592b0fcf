#include "engine/segment/segment_copy.h"

#include <vector>

#include "engine/model/limits.h"
#include "engine/segment/block_directory.h"

namespace stepdb {

namespace {

// Bytes that one checksum covers.
struct CheckedRange {
    uint64_t bytes = 0;
    uint64_t seed = 0;
    uint64_t checksum = 0;
    size_t block = 0;  // that it belongs to; past the last one: to none
};

class SegmentCopy {
  public:
    SegmentCopy(File& from, const SegmentMeta& segment, PacedWriter& to)
        : from_(from), segment_(segment), to_(to) {}

    Task<Status> run();

  private:
    Task<Status> copy_header();
    Task<Status> plan_block(size_t index);
    Task<Status> copy_end();
    // Copies what is planned: pieces of it that are long enough, or all.
    Task<Status> copy_planned(bool all);
    Status check(Bytes bytes, const CheckedRange& range, uint64_t offset) const;
    uint64_t place(uint64_t offset) const {
        return place_seed(segment_.store(), segment_.file_id(), offset);
    }
    void plan(const CheckedRange& range) {
        planned_.push_back(range);
        planned_bytes_ += range.bytes;
    }

    File& from_;
    const SegmentMeta& segment_;
    PacedWriter& to_;
    std::vector<CheckedRange> planned_;  // what follows what has been copied
    uint64_t planned_bytes_ = 0;
    std::vector<std::byte> piece_;
};

Task<Status> SegmentCopy::run() {
    const Status header = co_await copy_header();
    if (!header) {
        co_return header;
    }
    for (size_t block = 0; block < segment_.blocks().size(); ++block) {
        const Status planned = co_await plan_block(block);
        if (!planned) {
            co_return planned;
        }
        const Status copied = co_await copy_planned(false);
        if (!copied) {
            co_return copied;
        }
    }
    const SegmentFooter& footer = segment_.footer();
    plan({footer.names_bytes, place(footer.names_offset), footer.names_checksum,
          segment_.blocks().size()});
    plan({footer.index_bytes, place(footer.index_offset), footer.index_checksum,
          segment_.blocks().size()});
    const Status copied = co_await copy_planned(true);
    if (!copied) {
        co_return copied;
    }
    co_return co_await copy_end();
}

Task<Status> SegmentCopy::copy_header() {
    piece_.resize(kFileHeaderBytes);
    const Status read = co_await from_.read(0, piece_);
    if (!read) {
        co_return read;
    }
    const Result<FileHeader> header = decode_file_header(kSegmentFileKind, piece_);
    if (!header) {
        co_return header.error().within(segment_.describe());
    }
    const Status owner =
        check_file_owner(kSegmentFileKind, *header, segment_.store(), segment_.file_id());
    if (!owner) {
        co_return owner.error().within(segment_.describe());
    }
    co_return co_await to_.put(piece_);
}

Task<Status> SegmentCopy::plan_block(size_t index) {
    const SegmentBlock& block = segment_.blocks()[index];
    const BlockInfo& info = block.info;
    if (block.damaged != nullptr) {
        plan({info.total_bytes(), place(block.offset), block.damaged->checksum, index});
        co_return Status();
    }
    const Result<std::vector<std::byte>> section = co_await read_directory(from_, segment_, index);
    if (!section) {
        co_return section.error();
    }
    const Result<BlockDirectory> directory = BlockDirectory::read(*section, info);
    if (!directory) {
        co_return directory.error().within(segment_.describe(index));
    }
    plan({info.axis_bytes, place(block.offset), block.axis_checksum, index});
    plan({info.directory_bytes, place(block.directory_offset()), block.directory_checksum, index});
    uint64_t strips = 0;
    for (const Strip& strip : directory->strips()) {
        plan({strip.bytes, content_seed(info), strip.checksum, index});
        strips += strip.bytes;
    }
    if (strips != info.strips_bytes) {
        co_return make_error(ErrorCode::kCorruption, "{}: strips of {} bytes in a section of {}",
                             segment_.describe(index), strips, info.strips_bytes);
    }
    if (info.summaries_bytes != 0) {
        plan({info.summaries_bytes, place(block.summaries_offset()), block.summaries_checksum,
              index});
    }
    co_return Status();
}

// The footer was read and checked when the segment was opened; these are its bytes once more.
Task<Status> SegmentCopy::copy_end() {
    const SegmentFooter& footer = segment_.footer();
    const uint64_t at = footer.footer_offset();
    const Status padded = co_await to_.put_zeros(at - to_.bytes());
    if (!padded) {
        co_return padded;
    }
    piece_.resize(kPageBytes);
    const Status read = co_await from_.read(at, piece_);
    if (!read) {
        co_return read;
    }
    const Result<SegmentFooter> again =
        decode_segment_footer(piece_, segment_.store(), segment_.file_id(), footer.file_bytes);
    if (!again) {
        co_return again.error().within(segment_.describe());
    }
    co_return co_await to_.put(piece_);
}

Task<Status> SegmentCopy::copy_planned(bool all) {
    size_t next = 0;
    while (next < planned_.size() && (all || planned_bytes_ >= kSegmentWriteBytes)) {
        uint64_t bytes = 0;
        size_t end = next;
        for (; end < planned_.size() && bytes < kSegmentWriteBytes; ++end) {
            bytes += planned_[end].bytes;
        }
        piece_.resize(bytes);
        uint64_t offset = to_.bytes();
        const Status read = co_await from_.read(offset, piece_);
        if (!read) {
            co_return read.error().within(segment_.describe());
        }
        Bytes rest = piece_;
        for (; next < end; ++next) {
            const CheckedRange& range = planned_[next];
            const Status checked = check(rest.first(range.bytes), range, offset);
            if (!checked) {
                co_return checked;
            }
            rest = rest.subspan(range.bytes);
            offset += range.bytes;
        }
        const Status put = co_await to_.put(piece_);
        if (!put) {
            co_return put;
        }
        planned_bytes_ -= bytes;
    }
    planned_.erase(planned_.begin(), planned_.begin() + static_cast<ptrdiff_t>(next));
    co_return Status();
}

Status SegmentCopy::check(Bytes bytes, const CheckedRange& range, uint64_t offset) const {
    const uint64_t computed = xxh3(bytes, range.seed);
    if (computed == range.checksum) {
        return {};
    }
    const bool is_of_block = range.block < segment_.blocks().size();
    return make_error(ErrorCode::kCorruption,
                      "{}: {} bytes at offset {}: checksum {:016x}, expected {:016x}",
                      is_of_block ? segment_.describe(range.block) : segment_.describe(),
                      bytes.size(), offset, computed, range.checksum);
}

}  // namespace

Task<Status> copy_segment(File& from, const SegmentMeta& segment, PacedWriter& to) {
    SegmentCopy copy(from, segment, to);
    co_return co_await copy.run();
}

}  // namespace stepdb
