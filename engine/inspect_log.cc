// inspect_file for a log: its records, its groups, and why it ends where it does.
#include <algorithm>

#include "engine/base/zeros.h"
#include "engine/inspect_parts.h"
#include "engine/model/frame.h"
#include "engine/wal/log_reader.h"

namespace stepdb {

namespace {

void add_record(InspectTable& table, const LogRecord& record, FrameType type) {
    const RecordHeader& header = record.header;
    table.number(record.offset).text(frame_type_name(type)).number(header.run);
    table.number(header.schema).number(header.attempt).number(header.frame_number);
    table.number(header.sequence).number(header.sequence_count).number(header.bytes);
    table.time(header.receive_time_us).text(header.writer.to_hex());
}

void add_group(InspectTable& table, uint64_t offset, const GroupHeader& group) {
    table.number(offset).number(group.bytes).number(group.epoch).number(group.first_sequence);
    table.number(group.durable_sequence).number(group.record_count).number(group.record_bytes);
}

}  // namespace

Status inspect_log(Bytes file, const FileHeader& header, Status head, InspectSink& sink) {
    InspectNotes notes;
    InspectTable records("records", {{"byte", ColumnType::kUint64},
                                     {"type", ColumnType::kText},
                                     {"run", ColumnType::kUint64},
                                     {"schema", ColumnType::kUint64},
                                     {"attempt", ColumnType::kUint64},
                                     {"frame", ColumnType::kUint64},
                                     {"sequence", ColumnType::kUint64},
                                     {"sequences", ColumnType::kUint64},
                                     {"bytes", ColumnType::kUint64},
                                     {"received", ColumnType::kTime},
                                     {"writer", ColumnType::kText}});
    InspectTable groups("groups", {{"byte", ColumnType::kUint64},
                                   {"bytes", ColumnType::kUint64},
                                   {"epoch", ColumnType::kUint64},
                                   {"first sequence", ColumnType::kUint64},
                                   {"durable sequence", ColumnType::kUint64},
                                   {"records", ColumnType::kUint64},
                                   {"record bytes", ColumnType::kUint64}});
    const LogPlace place{header.store, header.file_id};
    uint64_t at = kLogFirstGroupOffset;
    uint64_t due = 0;  // any at first: nobody says here where the log begins
    std::string end = "the file is full";
    Status status;
    while (at + kGroupHeaderBytes <= file.size()) {
        GroupHeader group;
        if (due == 0) {
            const auto first = decode_group_header(file.subspan(at), place, at);
            due = first ? first->first_sequence : 0;
        }
        const auto parsed = parse_log_group(file, place, at, due, group);
        if (!parsed) {
            end = parsed.error().message();
            status = due == 0 ? Status() : check_log_end(file, place, at, due, parsed.error());
            break;
        }
        add_group(groups, at, group);
        if (const auto stray = find_stray_byte(file, at, group, *parsed)) {
            notes.add_padding(*stray);
        }
        for (const LogRecord& record : *parsed) {
            add_record(records, record, static_cast<FrameType>(record.frame[5]));
            due = record.header.last_sequence() + 1;
        }
        at += group.bytes;
    }
    groups.show(sink);
    records.show(sink);
    const size_t page = at < file.size() ? std::min<size_t>(kPageBytes, file.size() - at) : 0;
    InspectRecord last("end");
    last.number("byte", std::min<uint64_t>(at, file.size()))
        .number("next sequence", due)
        .text("because", end)
        .text("behind it", page == 0                    ? "nothing"
                           : is_blank(file.subspan(at)) ? "zeros"
                                                        : "bytes that are no part of it")
        .show(sink);
    if (!head && due != 0) {
        // Without the byte, which has a column.
        const auto page_read = decode_file_header(kLogKind, file.first(kFileHeaderBytes));
        notes.add(0, page_read.error().message());
        head = Status();
    }
    notes.show(sink);
    keep_first(head, status);
    return head;
}

}  // namespace stepdb
