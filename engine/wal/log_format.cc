#include "engine/wal/log_format.h"

#include <cstring>

#include "engine/base/coding.h"

namespace stepdb {

namespace {

constexpr size_t kGroupChecksumAt = 56;
constexpr size_t kRecordChecksumAt = 88;
static_assert(kGroupChecksumAt + 8 == kGroupHeaderBytes);
static_assert(kRecordChecksumAt + 8 == kRecordHeaderBytes);

}  // namespace

void encode_group_header(const GroupHeader& header, const LogPlace& place, uint64_t offset,
                         std::byte* to) {
    store_le(to, kGroupMagic);
    store_le(to + 4, header.bytes);
    store_le(to + 8, header.file_id);
    store_le(to + 16, header.epoch);
    store_le(to + 24, header.first_sequence);
    store_le(to + 32, header.durable_sequence);
    store_le(to + 40, header.record_count);
    store_le(to + 44, header.record_bytes);
    store_le(to + 48, uint64_t{0});
    store_le(to + kGroupChecksumAt, xxh3({to, kGroupChecksumAt}, place.seed(offset)));
}

void encode_record_header(const RecordHeader& header, const LogPlace& place, uint64_t offset,
                          std::byte* to) {
    store_le(to, header.bytes);
    store_le(to + 4, uint32_t{0});
    store_le(to + 8, header.epoch);
    store_le(to + 16, header.sequence);
    store_le(to + 24, header.sequence_count);
    store_le(to + 28, header.attempt);
    store_le(to + 32, header.run);
    store_le(to + 40, header.schema);
    std::memcpy(to + 48, header.writer.bytes.data(), 16);
    store_le(to + 64, header.frame_number);
    store_le(to + 72, header.receive_time_us);
    store_le(to + 80, header.frame_checksum);
    store_le(to + kRecordChecksumAt, xxh3({to, kRecordChecksumAt}, place.seed(offset)));
}

Result<GroupHeader> decode_group_header(Bytes bytes, const LogPlace& place, uint64_t offset) {
    if (bytes.size() < kGroupHeaderBytes || load_le<uint32_t>(bytes.data()) != kGroupMagic) {
        return corruption(fmt::format("no group at byte {}", offset));
    }
    const auto stored = load_le<uint64_t>(bytes.data() + kGroupChecksumAt);
    const uint64_t actual = xxh3(bytes.first(kGroupChecksumAt), place.seed(offset));
    if (stored != actual) {
        return corruption(fmt::format("group at byte {}: checksum {:016x}, expected {:016x}",
                                      offset, actual, stored));
    }
    GroupHeader header;
    header.bytes = load_le<uint32_t>(bytes.data() + 4);
    header.file_id = load_le<uint64_t>(bytes.data() + 8);
    header.epoch = load_le<uint64_t>(bytes.data() + 16);
    header.first_sequence = load_le<uint64_t>(bytes.data() + 24);
    header.durable_sequence = load_le<uint64_t>(bytes.data() + 32);
    header.record_count = load_le<uint32_t>(bytes.data() + 40);
    header.record_bytes = load_le<uint32_t>(bytes.data() + 44);
    if (load_le<uint64_t>(bytes.data() + 48) != 0 || header.file_id != place.file_id ||
        header.bytes % kPageBytes != 0 || header.record_count == 0 ||
        uint64_t{header.record_bytes} + kGroupHeaderBytes > header.bytes) {
        return corruption(fmt::format("group at byte {}: {} bytes, {} records in {} bytes, file {}",
                                      offset, header.bytes, header.record_count,
                                      header.record_bytes, header.file_id));
    }
    return header;
}

Result<RecordHeader> decode_record_header(Bytes bytes, const LogPlace& place, uint64_t offset) {
    if (bytes.size() < kRecordHeaderBytes) {
        return corruption(fmt::format("record at byte {}: {} bytes left", offset, bytes.size()));
    }
    const auto stored = load_le<uint64_t>(bytes.data() + kRecordChecksumAt);
    const uint64_t actual = xxh3(bytes.first(kRecordChecksumAt), place.seed(offset));
    if (stored != actual) {
        return corruption(fmt::format("record at byte {}: checksum {:016x}, expected {:016x}",
                                      offset, actual, stored));
    }
    RecordHeader header;
    header.bytes = load_le<uint32_t>(bytes.data());
    header.epoch = load_le<uint64_t>(bytes.data() + 8);
    header.sequence = load_le<uint64_t>(bytes.data() + 16);
    header.sequence_count = load_le<uint32_t>(bytes.data() + 24);
    header.attempt = load_le<uint32_t>(bytes.data() + 28);
    header.run = load_le<uint64_t>(bytes.data() + 32);
    header.schema = load_le<uint64_t>(bytes.data() + 40);
    std::memcpy(header.writer.bytes.data(), bytes.data() + 48, 16);
    header.frame_number = load_le<uint64_t>(bytes.data() + 64);
    header.receive_time_us = load_le<int64_t>(bytes.data() + 72);
    header.frame_checksum = load_le<uint64_t>(bytes.data() + 80);
    if (load_le<uint32_t>(bytes.data() + 4) != 0 || header.sequence_count == 0 ||
        header.bytes < kRecordHeaderBytes || header.bytes > bytes.size()) {
        return corruption(fmt::format("record at byte {}: {} bytes where {} are left, {} sequences",
                                      offset, header.bytes, bytes.size(), header.sequence_count));
    }
    return header;
}

}  // namespace stepdb
