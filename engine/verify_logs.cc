// The part of verify_store that reads the log: every group of every live file, in order, and that
// each record can be replayed.
#include <algorithm>
#include <bit>
#include <utility>

#include "engine/base/check.h"
#include "engine/catalog/lineage.h"
#include "engine/catalog_changes.h"
#include "engine/salvage.h"
#include "engine/store_copy.h"
#include "engine/store_verifier.h"

namespace stepdb {

namespace {

constexpr std::string_view kRestoreLog =
    "restore the store from a backup; until then it opens for reading only, if what is damaged is "
    "still needed";
constexpr std::string_view kGroupsAreRead =
    "nothing to do, for nothing is lost: the groups say themselves whose they are and are read all "
    "the same, and the file is let go by a flush to come";
constexpr std::string_view kNotNeeded =
    "nothing to do: what it held is in segments and catalog, and the file is let go by a flush to "
    "come";

constexpr std::string_view kOnlyPadding =
    "nothing to do, for nothing is stored there: damage, or a write that a crash cut short behind "
    "its last record";

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

StoreVerifier::LogFinding::LogFinding(std::string_view its_file, uint64_t at, std::string its_what)
    : file(its_file), offset(at), what(std::move(its_what)), remedy(kRestoreLog) {}

void StoreVerifier::log_problem(const LogFinding& finding, uint64_t last) {
    if (last != 0 && last <= manifest_.checkpoint_sequence) {
        note(finding.file, fmt::format("byte {}: {}", finding.offset, finding.what), kNotNeeded);
    } else {
        problem(finding.file, finding.offset, finding.what, finding.remedy);
    }
}

void StoreVerifier::judge_pending(uint64_t last) {
    for (const LogFinding& finding : std::exchange(pending_, {})) {
        log_problem(finding, last);
    }
}

Task<void> StoreVerifier::verify_logs() {
    sequence_due_ = manifest_.log_sequence;
    std::vector<uint64_t> order;
    order.reserve(manifest_.logs.size());
    for (const auto& [id, epoch] : manifest_.logs) {
        order.push_back(id);
    }
    if (from_files_) {
        order = co_await order_logs(files_, options_.directory, store_, manifest_);
    }
    for (const uint64_t id : order) {
        co_await verify_log(id, manifest_.logs.at(id));
    }
    const bool is_unread = !pending_.empty();
    judge_pending(manifest_.closed ? manifest_.durable_sequence : 0);
    if (!from_files_ && is_without_log(manifest_)) {
        co_return;  // as backups are
    }
    if (manifest_.logs.empty()) {
        problem(from_files_ ? "log" : manifest_file_name(manifest_file_), std::nullopt,
                from_files_ ? "there is no log file" : "names no log file",
                "restore the store from a backup");
        co_return;
    }
    const uint64_t durable = std::max(manifest_.durable_sequence, manifest_.checkpoint_sequence);
    if (!from_files_ && !is_unread && sequence_due_ <= durable) {
        log_problem(
            LogFinding(last_log_.empty() ? log_file_name(order.back()) : last_log_,
                       std::max(last_log_end_, kLogFirstGroupOffset),
                       fmt::format("the log ends here before sequence {}, while sequences up to {} "
                                   "had been acknowledged",
                                   sequence_due_, durable)),
            durable);
    }
}

Task<void> StoreVerifier::verify_log(uint64_t file_id, uint64_t epoch) {
    const std::string name = log_file_name(file_id);
    Result<std::unique_ptr<File>> opened = co_await files_.open(path(name), OpenMode::kRead);
    if (!opened) {
        log_is_whole_ = false;
        judge_later(LogFinding(name, 0, opened.error().message()));
        co_return;
    }
    std::vector<std::byte> contents((*opened)->size());
    const Status read = co_await (*opened)->read(0, contents);
    if (!read) {
        log_is_whole_ = false;
        judge_later(LogFinding(name, 0, read.error().message()));
        co_return;
    }
    progress(contents.size());
    if (contents.size() < kFileHeaderBytes) {
        log_is_whole_ = false;
        judge_later(LogFinding(
            name, 0,
            fmt::format("{} bytes; its header alone has {}", contents.size(), kFileHeaderBytes)));
        co_return;
    }
    const Bytes page = Bytes(contents).first(kFileHeaderBytes);
    const Result<FileHeader> header = decode_file_header(kLogKind, page);
    const Status owner =
        header ? check_file_owner(kLogKind, *header, store_, file_id) : Status(header.error());
    const LogFileContents groups = verify_groups(name, LogPlace{store_, file_id}, contents);
    if (!header) {
        judge_log_header(name, header.error(), groups);
    } else if (!owner) {
        judge_later(LogFinding(name, 0, owner.error().message()));
    } else if (!from_files_ && header->details[0] != epoch) {
        judge_later(LogFinding(
            name, 0, fmt::format("has epoch {}, the manifest says {}", header->details[0], epoch)));
    }
    if (owner && header->details[1] > contents.size()) {
        log_is_whole_ = false;
        judge_later(LogFinding(
            name, contents.size(),
            fmt::format("has been cut off: {} bytes of {}", contents.size(), header->details[1])));
    }
}

// The groups can do without a header, and recovery reads them without. Where there are none though
// the file is not blank, nobody knows what was there.
void StoreVerifier::judge_log_header(const std::string& name, const Error& why,
                                     const LogFileContents& contents) {
    const bool is_unread = contents.groups == 0 && contents.torn_bytes != 0;
    if (why.code() == ErrorCode::kUnsupportedVersion || is_unread) {
        judge_later(LogFinding(name, 0, why.message()));
    } else {
        note(name, fmt::format("byte 0: {}", why.message()), kGroupsAreRead);
    }
}

// Damage is named with its place, and reading goes on behind it. What is missing at the end of a
// file shows when the next one begins.
LogFileContents StoreVerifier::verify_groups(const std::string& name, const LogPlace& place,
                                             Bytes file) {
    const uint64_t due = sequence_due_;
    uint64_t next = due;
    const RecordVisitor visit = [&](const RecordHeader& header, Bytes frame) -> Status {
        log_is_whole_ = log_is_whole_ && (next == 0 || header.sequence == next);
        verify_record(name, header, frame,
                      static_cast<uint64_t>(frame.data() - file.data()) - kRecordHeaderBytes);
        next = header.last_sequence() + 1;
        return {};
    };
    Result<LogFileContents> read = parse_log(file, place, due, visit);
    CHECK(read, "the visitor refuses nothing");
    LogFileContents contents = *std::move(read);
    check_log_start(name, contents, due);
    for (const LogDamage& damage : contents.damage) {
        if (damage.next_sequence == 0) {
            log_is_whole_ = false;
            judge_later(LogFinding(name, damage.begin, damage.why));
        } else if (!damage.is_of_file_before()) {
            log_problem(LogFinding(name, damage.begin,
                                   fmt::format("{}; lost with it: {}", damage.why,
                                               describe_sequences(damage.first_sequence,
                                                                  damage.next_sequence - 1))),
                        damage.next_sequence - 1);
        }
    }
    if (contents.torn_bytes > 0) {
        note(name, fmt::format("the group at byte {} is not whole and does not count ({}): a write "
                               "that a crash cut short, or damage to the last group",
                               contents.end, contents.torn_why));
    }
    if (!contents.stray_bytes.empty()) {
        note(name,
             fmt::format(
                 "byte {}: padding that should be zero is not{}", contents.stray_bytes.front(),
                 contents.stray_bytes.size() == 1
                     ? ""
                     : fmt::format(", nor in {} other groups", contents.stray_bytes.size() - 1)),
             kOnlyPadding);
    }
    if (contents.groups > 0) {
        last_log_ = name;
        last_log_end_ = contents.end;
    }
    report_.log_groups += contents.groups;
    sequence_due_ = std::max(due, contents.next_sequence);
    return contents;
}

// Where a file begins tells how far the ones before it had gone.
void StoreVerifier::check_log_start(const std::string& name, const LogFileContents& contents,
                                    uint64_t due) {
    if (contents.groups == 0) {
        return;
    }
    const bool has_gap = !contents.damage.empty() && contents.damage.front().is_of_file_before();
    const uint64_t first = has_gap ? contents.damage.front().next_sequence : due;
    if (first == 0) {
        // The oldest file there is; the manifest that said where the log begins is lost.
        return;
    }
    // Files that were let go leave gaps below the checkpoint, which only the manifest tells of.
    const bool is_let_go = from_files_ && first - 1 <= manifest_.checkpoint_sequence;
    if (has_gap && pending_.empty() && !is_let_go) {
        log_problem(
            LogFinding(last_log_.empty() ? name : last_log_,
                       std::max(last_log_end_, kLogFirstGroupOffset),
                       fmt::format("sequences {} to {} are missing: {} goes on with sequence {}",
                                   due, first - 1, name, first)),
            first - 1);
    }
    judge_pending(first - 1);
}

void StoreVerifier::verify_record(const std::string& name, const RecordHeader& header, Bytes bytes,
                                  uint64_t offset) {
    if (!has_catalog_) {
        see_record(header, bytes);
    }
    if (header.last_sequence() <= manifest_.checkpoint_sequence) {
        return;  // in segments and catalog
    }
    ++report_.log_records;
    if (!has_catalog_) {
        return;
    }
    const Result<FrameHeader> frame = parse_frame_header(bytes);
    Status status;
    if (!frame) {
        status = frame.error();
    } else if (frame->type == FrameType::kRows) {
        status = check_rows(header, frame_body(bytes));
    } else if (header.sequence_count != 1) {
        status = make_error(ErrorCode::kCorruption, "a {} frame with {} sequences",
                            frame_type_name(frame->type), header.sequence_count);
    } else {
        status = apply_to_catalog(catalog_, header, bytes);
    }
    if (status) {
        status = check_writer(header, *frame);
    }
    // Behind damage records may refer to what was lost with it.
    if (!status && log_is_whole_) {
        problem(name, offset,
                fmt::format("record of sequence {}: {}", header.sequence, status.error().message()),
                kRestoreLog);
    }
}

// As recovery does without a catalog: what segments hold and the log does not delete is there.
void StoreVerifier::see_record(const RecordHeader& header, Bytes bytes) {
    const Result<FrameHeader> frame = parse_frame_header(bytes);
    if (frame && frame->type == FrameType::kDeleteRun) {
        seen_runs_.erase(header.run);
    } else if (header.run != 0) {
        seen_runs_.insert(header.run);
    }
    if (header.schema != 0) {
        seen_schemas_.insert(header.schema);
    }
}

Status StoreVerifier::check_rows(const RecordHeader& header, Bytes body) {
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
    // Without a manifest a segment may be read of which nobody knows that the log has its rows too.
    RunTotals& totals = totals_[header.run];
    uint64_t new_rows = 0;
    for (uint64_t sequence = header.sequence; sequence <= header.last_sequence(); ++sequence) {
        new_rows += counted_.insert(sequence) ? 1U : 0U;
    }
    totals.rows += new_rows;
    totals.points += new_rows != 0 ? count_present(rows) : 0;
    return axes_.use(fork_root(catalog_, run->id), run->path(), *schema);
}

// A number is used once; refused frames leave gaps.
Status StoreVerifier::check_writer(const RecordHeader& header, const FrameHeader& frame) {
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
