#include "engine/wal/log_reader.h"

#include <algorithm>
#include <vector>

#include "engine/base/coding.h"
#include "engine/base/zeros.h"
#include "engine/model/frame.h"

namespace stepdb {

namespace {

// Set where tests show that this is needed: tests/simulation/unchecked_test.cc.
#ifdef STEPDB_SKIPS_FRAME_CHECKSUM
constexpr bool kVerifiesFrames = false;
#else
constexpr bool kVerifiesFrames = true;
#endif

}  // namespace

Result<std::vector<LogRecord>> parse_log_group(Bytes file, const LogPlace& place, uint64_t offset,
                                               uint64_t sequence, GroupHeader& group) {
    TRY_ASSIGN(group, decode_group_header(file.subspan(offset), place, offset));
    if (group.bytes > file.size() - offset) {
        return make_error(ErrorCode::kCorruption,
                          "group at byte {} of {} bytes ends beyond the file", offset, group.bytes);
    }
    if (group.first_sequence != sequence) {
        return make_error(ErrorCode::kCorruption,
                          "group at byte {} begins with sequence {}, not {}", offset,
                          group.first_sequence, sequence);
    }
    std::vector<LogRecord> records;
    records.reserve(std::min<size_t>(group.record_count, group.record_bytes / kRecordHeaderBytes));
    uint64_t at = offset + kGroupHeaderBytes;
    const uint64_t end = at + group.record_bytes;
    for (uint32_t i = 0; i < group.record_count; ++i) {
        LogRecord record;
        record.offset = at;
        TRY_ASSIGN(record.header, decode_record_header(file.subspan(at, end - at), place, at));
        record.frame =
            file.subspan(at + kRecordHeaderBytes, record.header.bytes - kRecordHeaderBytes);
        TRY_ASSIGN(const FrameHeader frame, parse_frame_header(record.frame));
        if (frame.length != record.frame.size()) {
            return make_error(ErrorCode::kCorruption, "record at byte {}: frame of {} bytes in {}",
                              at, frame.length, record.frame.size());
        }
        if (kVerifiesFrames && !verify_frame(frame, record.frame)) {
            return make_error(
                ErrorCode::kCorruption,
                "record at byte {}: the checksum of its {} frame of {} bytes does not "
                "match; it was damaged on the disk",
                at, frame_type_name(frame.type), frame.length);
        }
        if (frame.checksum != record.header.frame_checksum || record.header.sequence != sequence) {
            return make_error(ErrorCode::kCorruption,
                              "record at byte {}: sequence {} where {} is due, or another frame",
                              at, record.header.sequence, sequence);
        }
        sequence = record.header.last_sequence() + 1;
        at = std::min(end, at + round_up(record.header.bytes, 8));
        records.push_back(record);
    }
    if (at != end) {
        return make_error(ErrorCode::kCorruption, "group at byte {} has {} bytes too many", offset,
                          end - at);
    }
    return records;
}

std::string describe_sequences(uint64_t first, uint64_t last) {
    return first == last ? fmt::format("sequence {}", first)
                         : fmt::format("sequences {} to {}", first, last);
}

std::optional<uint64_t> find_stray_byte(Bytes file, uint64_t offset, const GroupHeader& group,
                                        const std::vector<LogRecord>& records) {
    for (size_t i = 0; i < records.size(); ++i) {
        const uint64_t at = records[i].offset + records[i].header.bytes;
        const uint64_t end = i + 1 < records.size() ? records[i + 1].offset : offset + group.bytes;
        if (const auto stray = find_nonzero(file.subspan(at, end - at))) {
            return at + *stray;
        }
    }
    return std::nullopt;
}

// Looks for a group that calls `sequence` durable. The one at `offset` counts too: one that is
// whole but begins with a later sequence tells of a loss in the file before; a torn group in its
// right place calls only what is below it durable.
Status check_log_end(Bytes file, const LogPlace& place, uint64_t offset, uint64_t sequence,
                     const Error& why) {
    for (uint64_t at = offset; at + kGroupHeaderBytes <= file.size(); at += kPageBytes) {
        const Result<GroupHeader> later = decode_group_header(file.subspan(at), place, at);
        if (later && later->durable_sequence >= sequence) {
            return make_error(ErrorCode::kCorruption,
                              "{}; the group at byte {} says that everything up to sequence {} had "
                              "been acknowledged, so acknowledged data from sequence {} on is "
                              "damaged",
                              why.message(), at, later->durable_sequence, sequence);
        }
    }
    return {};
}

uint64_t find_log_group(Bytes file, const LogPlace& place, uint64_t offset, uint64_t sequence) {
    for (uint64_t at = offset; at + kGroupHeaderBytes <= file.size(); at += kPageBytes) {
        const Result<GroupHeader> header = decode_group_header(file.subspan(at), place, at);
        GroupHeader group;
        if (header && header->first_sequence >= sequence &&
            parse_log_group(file, place, at, header->first_sequence, group)) {
            return at;
        }
    }
    return 0;
}

namespace {

// In a recycled file the log is followed by what the file held before. A group begun here names the
// file.
bool is_of_earlier_life(Bytes file, const LogPlace& place, Bytes page) {
    const Result<FileHeader> header = decode_file_header(kLogKind, file.first(kFileHeaderBytes));
    return header && header->details[2] == 1 && load_le<uint64_t>(page.data() + 8) != place.file_id;
}

// What is at contents.end is no group that was due. Returns whether reading goes on, at a later
// contents.end.
bool pass_damage(Bytes file, const LogPlace& place, const Error& why, LogFileContents& contents) {
    const Status end = check_log_end(file, place, contents.end, contents.next_sequence, why);
    if (end) {
        const size_t page = std::min<size_t>(kPageBytes, file.size() - contents.end);
        const Bytes there = file.subspan(contents.end, page);
        if (!is_blank(there) && !is_of_earlier_life(file, place, there)) {
            contents.torn_bytes = page;
            contents.torn_why = why.message();
        }
        return false;
    }
    LogDamage damage;
    damage.begin = contents.end;
    damage.end = find_log_group(file, place, contents.end, contents.next_sequence);
    damage.first_sequence = contents.next_sequence;
    const bool goes_on = damage.end != 0;
    // Where a readable group follows, it tells how far the damage goes.
    damage.why = goes_on ? why.message() : end.error().message();
    if (goes_on) {
        damage.next_sequence =
            decode_group_header(file.subspan(damage.end), place, damage.end)->first_sequence;
        contents.next_sequence = damage.next_sequence;
        contents.end = damage.end;
    } else {
        damage.end = file.size();
    }
    contents.damage.push_back(std::move(damage));
    return goes_on;
}

}  // namespace

Result<LogFileContents> parse_log(Bytes file, const LogPlace& place, uint64_t expected,
                                  const RecordVisitor& visit) {
    LogFileContents contents;
    contents.next_sequence = expected;
    if (expected == 0) {
        const uint64_t first = find_log_group(file, place, kLogFirstGroupOffset, 0);
        contents.next_sequence =
            first == 0 ? 0 : decode_group_header(file.subspan(first), place, first)->first_sequence;
    }
    while (contents.end + kGroupHeaderBytes <= file.size()) {
        GroupHeader group;
        const Result<std::vector<LogRecord>> records =
            parse_log_group(file, place, contents.end, contents.next_sequence, group);
        if (!records) {
            if (!pass_damage(file, place, records.error(), contents)) {
                break;
            }
            continue;
        }
        for (const LogRecord& record : *records) {
            TRY(visit(record.header, record.frame));
            contents.next_sequence = record.header.last_sequence() + 1;
        }
        if (const auto stray = find_stray_byte(file, contents.end, group, *records)) {
            contents.stray_bytes.push_back(*stray);
        }
        contents.end += group.bytes;
        ++contents.groups;
    }
    return contents;
}

Task<Result<LogFileContents>> read_log_file(File& file, std::string name, LogPlace place,
                                            uint64_t expected, RecordVisitor visit,
                                            AlignedBuffer& buffer) {
    if (buffer.size() < file.size()) {
        buffer = AlignedBuffer(file.size());
    }
    const MutableBytes whole = buffer.span().first(file.size());
    const Status read = co_await file.read(0, whole);
    if (!read) {
        co_return read.error().within(name);
    }
    Result<LogFileContents> contents = parse_log(whole, place, expected, visit);
    if (!contents) {
        co_return contents.error().within(name);
    }
    co_return contents;
}

}  // namespace stepdb
