#include "engine/compaction/source_block.h"

#include <algorithm>

#include "engine/base/checksum.h"
#include "engine/segment/summary_section.h"

namespace stepdb {

namespace {

// One read costs more than its bytes up to about here.
constexpr uint64_t kWholeBytesMax = 64U << 10U;

}  // namespace

SourceBlock::SourceBlock(const SegmentMeta& segment, size_t block, File& file, const Schema& schema)
    : segment_(&segment), block_(block), file_(&file), schema_(&schema) {}

uint64_t SourceBlock::seed_at(uint64_t offset) const {
    return place_seed(segment_->store(), segment_->file_id(), offset);
}

Task<Result<std::vector<std::byte>>> SourceBlock::read_checked(uint64_t offset, uint64_t bytes,
                                                               uint64_t seed, uint64_t checksum) {
    const SegmentBlock& at = place();
    std::vector<std::byte> read(bytes);
    if (at.info.total_bytes() <= kWholeBytesMax) {
        if (whole_.empty()) {
            std::vector<std::byte> whole(at.info.total_bytes());
            const Status status = co_await file_->read(at.offset, whole);
            if (!status) {
                co_return status.error().within(describe());
            }
            bytes_read_ += whole.size();
            whole_ = std::move(whole);
        }
        std::copy_n(whole_.begin() + static_cast<ptrdiff_t>(offset - at.offset), bytes,
                    read.begin());
    } else {
        const Status status = co_await file_->read(offset, read);
        if (!status) {
            co_return status.error().within(describe());
        }
        bytes_read_ += bytes;
    }
    const Status checked = check(offset, read, seed, checksum);
    if (!checked) {
        co_return checked.error();
    }
    co_return read;
}

Status SourceBlock::check(uint64_t offset, Bytes bytes, uint64_t seed, uint64_t checksum) const {
    const uint64_t computed = xxh3(bytes, seed);
    if (computed != checksum) {
        return make_error(ErrorCode::kCorruption,
                          "{}: {} bytes at offset {}: checksum {:016x}, expected {:016x}",
                          describe(), bytes.size(), offset, computed, checksum);
    }
    return {};
}

Task<Result<std::vector<std::byte>>> SourceBlock::read_axis_section() {
    const SegmentBlock& at = place();
    return read_checked(at.offset, at.info.axis_bytes, seed_at(at.offset), at.axis_checksum);
}

Task<Result<std::vector<std::byte>>> SourceBlock::read_directory_section() {
    const SegmentBlock& at = place();
    return read_checked(at.directory_offset(), at.info.directory_bytes,
                        seed_at(at.directory_offset()), at.directory_checksum);
}

// Without summaries, no bytes.
Task<Result<std::vector<std::byte>>> SourceBlock::read_summaries_section() {
    const SegmentBlock& at = place();
    if (at.info.summaries_bytes == 0) {
        co_return std::vector<std::byte>();
    }
    co_return co_await read_checked(at.summaries_offset(), at.info.summaries_bytes,
                                    seed_at(at.summaries_offset()), at.summaries_checksum);
}

Task<Result<std::vector<std::byte>>> SourceBlock::read_strip(size_t strip) {
    const Strip& wanted = directory_->strips()[strip];
    return read_checked(place().strips_offset() + wanted.offset, wanted.bytes, content_seed(info()),
                        wanted.checksum);
}

Task<Result<std::vector<std::byte>>> SourceBlock::read_bytes() {
    const SegmentBlock& at = place();
    std::vector<std::byte> bytes(at.info.total_bytes());
    const Status status = co_await file_->read(at.offset, bytes);
    if (!status) {
        co_return status.error().within(describe());
    }
    bytes_read_ += bytes.size();
    co_return bytes;
}

Task<Result<AxisColumns>> SourceBlock::read_axis() {
    const Result<std::vector<std::byte>> section = co_await read_axis_section();
    if (!section) {
        co_return section.error();
    }
    Result<AxisColumns> axis = decode_axis(*section, info());
    if (!axis) {
        co_return axis.error().within(describe());
    }
    co_return axis;
}

// What is in memory was checked as it came, and nothing has touched it since.
Result<AxisColumns> SourceBlock::take_front(Bytes axis, Bytes directory) {
    if (memory_ == nullptr) {
        const SegmentBlock& at = place();
        TRY(check(at.offset, axis, seed_at(at.offset), at.axis_checksum));
        TRY(check(at.directory_offset(), directory, seed_at(at.directory_offset()),
                  at.directory_checksum));
    }
    TRY(take_directory({directory.begin(), directory.end()}));
    Result<AxisColumns> columns = decode_axis(axis, info());
    if (!columns) {
        return columns.error().within(describe());
    }
    return columns;
}

Result<std::vector<ColumnSummary>> SourceBlock::take_summaries(Bytes section) const {
    if (memory_ == nullptr) {
        const SegmentBlock& at = place();
        TRY(check(at.summaries_offset(), section, seed_at(at.summaries_offset()),
                  at.summaries_checksum));
    }
    Result<std::vector<ColumnSummary>> summaries = decode_summaries(section, info());
    if (!summaries) {
        return summaries.error().within(describe());
    }
    return summaries;
}

Status SourceBlock::check_strip(size_t strip, Bytes bytes) const {
    if (memory_ != nullptr) {
        return {};
    }
    const Strip& wanted = directory_->strips()[strip];
    return check(place().strips_offset() + wanted.offset, bytes, content_seed(info()),
                 wanted.checksum);
}

std::string SourceBlock::describe() const {
    return memory_ != nullptr ? fmt::format("run {}, schema {}, a block in memory",
                                            memory_->info.run, memory_->info.schema)
                              : segment_->describe(block_);
}

Task<Status> SourceBlock::read_directory() {
    if (directory_) {
        co_return Status();
    }
    Result<std::vector<std::byte>> section = co_await read_directory_section();
    if (!section) {
        co_return section.error();
    }
    co_return take_directory(std::move(*section));
}

Status SourceBlock::take_directory(std::vector<std::byte> section) {
    directory_bytes_ = std::move(section);
    Result<BlockDirectory> directory = BlockDirectory::read(directory_bytes_, info());
    if (!directory) {
        return directory.error().within(describe());
    }
    directory_.emplace(std::move(*directory));
    return {};
}

Task<Status> SourceBlock::load_strip(size_t strip) {
    Result<std::vector<std::byte>> bytes = co_await read_strip(strip);
    if (!bytes) {
        co_return bytes.error();
    }
    Result<std::vector<ChunkPlace>> places = directory_->places(strip);
    if (!places) {
        co_return places.error().within(describe());
    }
    strip_ = strip;
    strip_bytes_ = std::move(*bytes);
    strip_places_ = std::move(*places);
    co_return Status();
}

Task<Result<ColumnValues>> SourceBlock::read_column(uint32_t column) {
    CHECK(column < info().columns, "column {} of {}", column, info().columns);
    const Status read = co_await read_directory();
    if (!read) {
        co_return read.error();
    }
    const std::vector<Strip>& strips = directory_->strips();
    const auto after =
        std::ranges::upper_bound(strips, column, {}, [](const Strip& s) { return s.first_column; });
    if (after == strips.begin()) {
        co_return ColumnValues();
    }
    const auto strip = static_cast<size_t>(after - strips.begin()) - 1;
    if (strip_ != strip) {
        const Status loaded = co_await load_strip(strip);
        if (!loaded) {
            co_return loaded.error();
        }
    }
    const ChunkPlace& place = strip_places_[column - strips[strip].first_column];
    if (place.bytes == 0) {
        co_return ColumnValues();
    }
    const Bytes chunk = Bytes(strip_bytes_).subspan(place.offset - place.strip_offset, place.bytes);
    Result<ColumnValues> values = decode_chunk(chunk, info());
    if (!values) {
        co_return values.error().within(fmt::format("{} column {}", describe(), column));
    }
    co_return values;
}

size_t SourceBlock::kept_bytes() const {
    const size_t strips = directory_ ? directory_->strips().size() * sizeof(Strip) : 0;
    return whole_.capacity() + directory_bytes_.capacity() + strips + strip_bytes_.capacity() +
           strip_places_.capacity() * sizeof(ChunkPlace);
}

void SourceBlock::let_go() {
    whole_ = std::vector<std::byte>();
    directory_.reset();
    directory_bytes_ = std::vector<std::byte>();
    strip_.reset();
    strip_bytes_ = std::vector<std::byte>();
    strip_places_ = std::vector<ChunkPlace>();
}

}  // namespace stepdb
