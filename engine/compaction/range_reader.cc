#include "engine/compaction/range_reader.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace stepdb {

namespace {

// What lies so near is read along: a transfer costs as much as some tens of KiB.
constexpr uint64_t kGapBytesMax = 32U << 10U;
constexpr uint64_t kTransferBytesMax = 1U << 20U;
// The log, which other transfers queue with in the disk, is not to wait for more than this.
constexpr size_t kTransfersAtOnce = 4;

uint64_t page_of(uint64_t offset) {
    return offset / kPageBytes * kPageBytes;
}

}  // namespace

// Transfers are whole pages, so that the disk can put them where they belong.
void RangeReader::plan(std::vector<FileRange>& ranges) {
    std::vector<size_t> order(ranges.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::sort(order, [&](size_t a, size_t b) {
        return std::tie(ranges[a].file, ranges[a].offset) <
               std::tie(ranges[b].file, ranges[b].offset);
    });
    transfers_.clear();
    std::vector<size_t> transfer_of(ranges.size());
    size_t buffer_bytes = 0;
    for (const size_t i : order) {
        const FileRange& range = ranges[i];
        if (range.bytes == 0) {
            continue;
        }
        const uint64_t from = page_of(range.offset);
        const uint64_t end = std::min(round_up(range.offset + range.bytes, kPageBytes),
                                      std::max(range.file->size(), range.offset + range.bytes));
        Transfer* last = transfers_.empty() ? nullptr : &transfers_.back();
        if (last != nullptr && last->file == range.file &&
            from <= last->offset + last->bytes + kGapBytesMax &&
            end - last->offset <= std::max(kTransferBytesMax, last->bytes)) {
            last->bytes = std::max(last->bytes, end - last->offset);
        } else {
            transfers_.push_back({range.file, from, end - from, i, 0});
        }
        transfer_of[i] = transfers_.size() - 1;
    }
    for (Transfer& transfer : transfers_) {
        transfer.buffer_at = buffer_bytes;
        buffer_bytes += round_up(transfer.bytes, kPageBytes);
    }
    if (buffer_bytes > buffer_.size()) {
        buffer_ = AlignedBuffer();
        buffer_ = AlignedBuffer(buffer_bytes);
    }
    for (size_t i = 0; i < ranges.size(); ++i) {
        if (ranges[i].bytes == 0) {
            continue;
        }
        const Transfer& transfer = transfers_[transfer_of[i]];
        ranges[i].read = Bytes(buffer_.span())
                             .subspan(transfer.buffer_at + (ranges[i].offset - transfer.offset),
                                      ranges[i].bytes);
    }
}

Task<Status> RangeReader::read(std::vector<FileRange>* ranges) {
    plan(*ranges);
    next_ = 0;
    status_ = Status();
    if (transfers_.empty()) {
        co_return Status();
    }
    under_way_ = 1;  // this, so that all cannot have ended before all have begun
    while (next_ < std::min(transfers_.size(), kTransfersAtOnce)) {
        start_next();
    }
    if (--under_way_ != 0) {
        co_await all_ended_;
    }
    co_return status_;
}

void RangeReader::start_next() {
    const size_t index = next_++;
    const Transfer& transfer = transfers_[index];
    ++under_way_;
    start(transfer.file->read(transfer.offset,
                              buffer_.span().subspan(transfer.buffer_at, transfer.bytes)),
          [this, index](const Status& status) { ended(index, status); });
}

void RangeReader::ended(size_t transfer, const Status& status) {
    if (!status) {
        if (status_) {
            failed_ = transfers_[transfer].first_range;
            status_ = status;
        }
        next_ = transfers_.size();
    } else {
        bytes_read_ += transfers_[transfer].bytes;
    }
    if (next_ < transfers_.size()) {
        start_next();
    }
    if (--under_way_ == 0) {
        all_ended_.fire();
    }
}

}  // namespace stepdb
