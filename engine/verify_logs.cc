// The part of verify_store that reads the log: every group of every live file, in order, and that
// each record can be replayed.
#include <algorithm>
#include <bit>

#include "engine/catalog/lineage.h"
#include "engine/catalog_changes.h"
#include "engine/store_verifier.h"

namespace stepdb {

namespace {

constexpr std::string_view kRestoreLog =
    "restore the store from a backup; until then it opens for reading only, if what is damaged is "
    "still needed";

uint64_t count_present(const RowsView& rows) {
    if (!rows.has_presence()) {
        return uint64_t{rows.rows()} * rows.width();
    }
    uint64_t present = 0;
    for (uint32_t row = 0; row < rows.rows(); ++row) {
        for (const std::byte bits : rows.presence_row(row)) {
            present += static_cast<uint64_t>(std::popcount(static_cast<uint8_t>(bits)));
        }
    }
    return present;
}

}  // namespace

Task<void> StoreVerifier::verify_logs() {
    sequence_due_ = manifest_.log_sequence;
    for (const auto& [id, epoch] : manifest_.logs) {
        co_await verify_log(id, epoch);
    }
    if (manifest_.logs.empty()) {
        problem(manifest_file_name(manifest_file_), std::nullopt, "names no log file",
                "restore the store from a backup");
    }
    if (log_is_whole_ && sequence_due_ <= manifest_.checkpoint_sequence) {
        problem(last_log_.empty() ? "log" : last_log_, std::nullopt,
                fmt::format("the log ends at sequence {}, before the checkpoint at {}",
                            sequence_due_ - 1, manifest_.checkpoint_sequence),
                kRestoreLog);
    }
}

Task<void> StoreVerifier::verify_log(uint64_t file_id, uint64_t epoch) {
    const std::string name = log_file_name(file_id);
    const std::optional<std::vector<std::byte>> contents =
        co_await read_file(name, std::string(kRestoreLog));
    if (!contents) {
        log_is_whole_ = false;
        co_return;
    }
    progress(contents->size());
    if (contents->size() < kFileHeaderBytes) {
        problem(
            name, 0,
            fmt::format("{} bytes; its header alone has {}", contents->size(), kFileHeaderBytes),
            kRestoreLog);
        log_is_whole_ = false;
        co_return;
    }
    const Bytes page = Bytes(*contents).first(kFileHeaderBytes);
    const Result<FileHeader> header = decode_file_header(kLogKind, page);
    const Status owner =
        header ? check_file_owner(kLogKind, *header, store_, file_id) : Status(header.error());
    if (!owner) {
        problem(name, 0, owner.error().message(), kRestoreLog);
    } else if (header->details[0] != epoch) {
        problem(name, 0,
                fmt::format("has epoch {}, the manifest says {}", header->details[0], epoch),
                kRestoreLog);
    }
    if (owner && header->details[1] > contents->size()) {
        problem(
            name, contents->size(),
            fmt::format("has been cut off: {} bytes of {}", contents->size(), header->details[1]),
            kRestoreLog);
    }
    verify_groups(name, LogPlace{store_, file_id}, *contents);
}

std::optional<uint64_t> StoreVerifier::next_group(const LogPlace& place, Bytes file,
                                                  uint64_t from) const {
    for (uint64_t at = from; at + kGroupHeaderBytes <= file.size(); at += kPageBytes) {
        const Result<GroupHeader> group = decode_group_header(file.subspan(at), place, at);
        if (group && group->first_sequence > sequence_due_) {
            return at;
        }
    }
    return std::nullopt;
}

void StoreVerifier::verify_groups(const std::string& name, const LogPlace& place, Bytes file) {
    uint64_t at = kLogFirstGroupOffset;
    while (at + kGroupHeaderBytes <= file.size()) {
        GroupHeader group;
        const Result<std::vector<LogRecord>> records =
            parse_log_group(file, place, at, sequence_due_, group);
        if (records) {
            last_log_ = name;
            ++report_.log_groups;
            for (const LogRecord& record : *records) {
                verify_record(name, record);
                sequence_due_ = record.header.last_sequence() + 1;
            }
            at += group.bytes;
            continue;
        }
        const Status end = check_log_end(file, place, at, sequence_due_, records.error());
        if (end) {
            const size_t page = std::min<size_t>(kPageBytes, file.size() - at);
            if (std::ranges::any_of(file.subspan(at, page),
                                    [](std::byte byte) { return byte != std::byte{0}; })) {
                note(name,
                     fmt::format("ends at byte {}; what lies behind is a write that a crash cut "
                                 "short, or of an earlier life of the file, or damage to the "
                                 "last group",
                                 at));
            }
            return;
        }
        // Goes on where the log can be read again, with what is missing named.
        log_is_whole_ = false;
        const std::optional<uint64_t> next = next_group(place, file, at);
        if (!next) {
            problem(name, at, end.error().message(), kRestoreLog);
            return;
        }
        const GroupHeader later = *decode_group_header(file.subspan(*next), place, *next);
        problem(name, at,
                fmt::format("{}; sequences {} to {} are damaged", records.error().message(),
                            sequence_due_, later.first_sequence - 1),
                kRestoreLog);
        sequence_due_ = later.first_sequence;
        at = *next;
    }
}

void StoreVerifier::verify_record(const std::string& name, const LogRecord& record) {
    const RecordHeader& header = record.header;
    if (header.last_sequence() <= manifest_.checkpoint_sequence) {
        return;  // in segments and catalog
    }
    ++report_.log_records;
    if (!has_catalog_) {
        return;
    }
    const Result<FrameHeader> frame = parse_frame_header(record.frame);
    Status status;
    if (!frame) {
        status = frame.error();
    } else if (frame->type == FrameType::kRows) {
        status = check_rows(record, frame_body(record.frame));
    } else if (header.sequence_count != 1) {
        status = make_error(ErrorCode::kCorruption, "a {} frame with {} sequences",
                            frame_type_name(frame->type), header.sequence_count);
    } else {
        status = apply_to_catalog(catalog_, header, record.frame);
    }
    if (status) {
        status = check_writer(record, *frame);
    }
    // Behind damage records may refer to what was lost with it.
    if (!status && log_is_whole_) {
        problem(name, record.offset,
                fmt::format("record of sequence {}: {}", header.sequence, status.error().message()),
                kRestoreLog);
    }
}

Status StoreVerifier::check_rows(const LogRecord& record, Bytes body) {
    const RecordHeader& header = record.header;
    const StoredSchema* schema = catalog_.find_schema(header.schema);
    const std::shared_ptr<const Run> run = catalog_.find_run(header.run);
    if (schema == nullptr || run == nullptr || run->find_attempt(header.attempt) == nullptr) {
        return make_error(ErrorCode::kCorruption,
                          "rows of run {} attempt {} and schema {}, which are not all known",
                          header.run, header.attempt, header.schema);
    }
    TRY_ASSIGN(const RowsView::Head head, RowsView::decode_head(body));
    if (head.schema != schema->schema->hash() || head.attempt != header.attempt ||
        head.rows != header.sequence_count) {
        return make_error(ErrorCode::kCorruption,
                          "{} rows of attempt {} and schema {} in a record of {} sequences, "
                          "attempt {}, schema {}",
                          head.rows, head.attempt, head.schema.to_hex(), header.sequence_count,
                          header.attempt, schema->schema->hash().to_hex());
    }
    RowPosition bad;
    TRY_ASSIGN(const RowsView rows, RowsView::decode(body, *schema->schema, bad));
    report_.rows += rows.rows();
    report_.points += count_present(rows);
    return axes_.use(fork_root(catalog_, run->id), run->path(), *schema);
}

// A number is used once; refused frames leave gaps.
Status StoreVerifier::check_writer(const LogRecord& record, const FrameHeader& frame) {
    const RecordHeader& header = record.header;
    if (header.run == 0) {
        return {};
    }
    WriterState& writer = writers_.get_or_add({header.writer, header.run});
    const bool is_open = frame.type == FrameType::kOpenRun;
    // Forgotten writers begin again.
    const bool known =
        writer.published && header.receive_time_us - writer.last_frame_us < kWriterKeptUs;
    if (!is_open && (header.frame_number != frame.number ||
                     (known && header.frame_number <= writer.published_number))) {
        return make_error(ErrorCode::kCorruption,
                          "frame {} of writer {} after its frame {}, in a record that calls it {}",
                          frame.number, header.writer.to_hex(), writer.published_number,
                          header.frame_number);
    }
    writer.published = true;
    writer.published_number = header.frame_number;
    writer.last_frame_us = header.receive_time_us;
    return {};
}

}  // namespace stepdb
