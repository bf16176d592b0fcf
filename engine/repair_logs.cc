// The part of repair_store that reads the log: every record that is whole, also of groups that are
// not, and what is missing.
#include <algorithm>

#include "engine/base/zeros.h"
#include "engine/lost_catalog.h"
#include "engine/salvage.h"
#include "engine/store_repair.h"

namespace stepdb {

namespace {

// The frame of a record, if it is whole.
bool has_whole_frame(const RecordHeader& header, Bytes frame) {
    const Result<FrameHeader> parsed = parse_frame_header(frame);
    return parsed && parsed->length == frame.size() && verify_frame(*parsed, frame) &&
           parsed->checksum == header.frame_checksum;
}

// The records that are whole where groups are not, as far as they had been acknowledged: each has
// checksums of its own, which know their place.
void salvage_records(LogHole& hole, const LogPlace& place, Bytes file,
                     std::vector<LogRecord>& records) {
    const uint64_t end = std::min<uint64_t>(hole.end, file.size());
    for (uint64_t at = hole.begin; at + kRecordHeaderBytes <= end;) {
        const uint32_t bytes = load_le<uint32_t>(file.data() + at);
        if (bytes < kRecordHeaderBytes || bytes > end - at) {
            at += 8;
            continue;
        }
        const Result<RecordHeader> header =
            decode_record_header(file.subspan(at, end - at), place, at);
        if (!header) {
            at += 8;
            continue;
        }
        LogRecord record;
        record.header = *header;
        record.offset = at;
        record.frame = file.subspan(at + kRecordHeaderBytes, bytes - kRecordHeaderBytes);
        at = std::min(end, at + round_up(uint64_t{bytes}, 8));
        if (header->sequence < hole.first || header->last_sequence() > hole.last) {
            continue;
        }
        if (has_whole_frame(*header, record.frame)) {
            hole.found.emplace_back(header->sequence, header->last_sequence());
            records.push_back(record);
        } else {
            hole.broken.push_back(*header);
        }
    }
}

// The highest sequence that any group from `from` on calls durable.
uint64_t durable_said(Bytes file, const LogPlace& place, uint64_t from) {
    uint64_t durable = 0;
    for (uint64_t at = from; at + kGroupHeaderBytes <= file.size(); at += kPageBytes) {
        const Result<GroupHeader> header = decode_group_header(file.subspan(at), place, at);
        if (header) {
            durable = std::max(durable, header->durable_sequence);
        }
    }
    return durable;
}

}  // namespace

Task<Status> StoreRepair::read_logs() {
    std::vector<uint64_t> order;
    for (const auto& [id, epoch] : manifest_.logs) {
        order.push_back(id);
    }
    if (manifest_.log_sequence == 0) {
        order = co_await order_logs(files_, options_.directory, store_, manifest_);
    }
    std::vector<LogBegin> begins;
    begins.reserve(order.size());
    for (const uint64_t id : order) {
        begins.push_back(co_await find_begin(id));
    }
    sequence_due_ = manifest_.log_sequence;
    for (size_t i = 0; i < order.size(); ++i) {
        // How far a file had gone is known from where the next one begins, or from the manifest. Of
        // one whose beginning is lost nobody knows where the file before it ended: it is read from
        // what is due on, and what is missing counts as missing in it.
        const auto next = std::find_if(begins.begin() + static_cast<ptrdiff_t>(i) + 1, begins.end(),
                                       [](const LogBegin& begin) { return begin.has_groups; });
        const bool is_followed = next != begins.end();
        const uint64_t known_last = is_followed && next->first != 0 ? next->first - 1
                                    : !is_followed && i + 1 == order.size()
                                        ? manifest_.durable_sequence
                                        : 0;
        const bool is_exact = is_followed ? next->first != 0 : manifest_.closed;
        const Status read = co_await read_log(order[i], known_last, is_exact);
        if (!read) {
            co_return read;
        }
    }
    if (order.empty() && !from_files_ && !manifest_.closed) {
        find(RepairKind::kMended, "log", std::nullopt, "the manifest names no log file");
    }
    co_return Status();
}

Task<StoreRepair::LogBegin> StoreRepair::find_begin(uint64_t id) {
    LogBegin begin;
    begin.first = co_await first_log_sequence(files_, options_.directory, store_, id);
    begin.has_groups = begin.first != 0;
    const auto at = log_files_.find(id);
    if (begin.has_groups || at == log_files_.end()) {
        co_return begin;
    }
    const Result<std::vector<std::byte>> bytes = co_await read_all(at->second);
    begin.has_groups =
        bytes && find_log_group(*bytes, LogPlace{store_, id}, kLogFirstGroupOffset, 0) != 0;
    co_return begin;
}

Task<Status> StoreRepair::read_log(uint64_t id, uint64_t known_last, bool is_exact) {
    const auto at = log_files_.find(id);
    const std::string name = at == log_files_.end() ? log_file_name(id) : at->second;
    std::vector<std::byte> bytes;
    if (at != log_files_.end()) {
        Result<std::vector<std::byte>> read = co_await read_all(name);
        if (read) {
            bytes = std::move(*read);
        }
    }
    const LogPlace place{store_, id};
    std::vector<LogRecord> records;
    const RecordVisitor collect = [&](const RecordHeader& header, Bytes frame) -> Status {
        LogRecord record;
        record.header = header;
        record.offset = static_cast<uint64_t>(frame.data() - bytes.data()) - kRecordHeaderBytes;
        record.frame = frame;
        records.push_back(record);
        return {};
    };
    const Result<LogFileContents> contents = parse_log(bytes, place, sequence_due_, collect);
    CHECK(contents, "the visitor refuses nothing");
    if (name != log_file_name(id)) {
        find(RepairKind::kMended, name, std::nullopt,
             fmt::format("is {} under another name", log_file_name(id)));
    }
    judge_header(name, *contents, bytes, is_exact ? known_last : 0);
    std::vector<LogHole> holes = find_holes(name, place, *contents, bytes, known_last);
    for (LogHole& hole : holes) {
        salvage_records(hole, place, bytes, records);
    }
    if (holes.empty() && contents->torn_bytes > 0) {
        find(RepairKind::kNote, name, std::pair(contents->end, contents->end + kPageBytes),
             fmt::format("the group there is not whole and does not count ({}): a write that a "
                         "crash cut short, or damage to the last group",
                         contents->torn_why));
    }
    std::ranges::stable_sort(records, {},
                             [](const LogRecord& each) { return each.header.sequence; });
    for (const LogRecord& record : records) {
        replay(name, record);
    }
    state_.rows.make_blocks_now();
    for (const LogHole& hole : holes) {
        describe_hole(hole);
    }
    sequence_due_ = std::max(sequence_due_, contents->next_sequence);
    if (sequence_due_ != 0 && known_last != 0) {
        sequence_due_ = std::max(sequence_due_, known_last + 1);
    }
    last_sequence_ = std::max(last_sequence_, std::max(sequence_due_, uint64_t{1}) - 1);
    co_return Status();
}

// A damaged header is no loss, for groups say themselves whose they are. A file that has been cut
// off, or of which nothing can be read, may have held what nobody knows of.
void StoreRepair::judge_header(const std::string& name, const LogFileContents& contents, Bytes file,
                               uint64_t exact_last) {
    const Bytes page = file.first(std::min<size_t>(file.size(), kFileHeaderBytes));
    const Result<FileHeader> header = decode_file_header(kLogKind, page);
    const bool is_unread = contents.groups == 0 && contents.torn_bytes != 0;
    std::string why;
    if (file.size() < kFileHeaderBytes) {
        why = file.empty()
                  ? "the file is gone or empty"
                  : fmt::format("{} bytes; its header alone has {}", file.size(), kFileHeaderBytes);
    } else if (header && header->details[1] > file.size()) {
        why = fmt::format("has been cut off: {} bytes of {}", file.size(), header->details[1]);
    } else if (!header && is_unread) {
        why = header.error().message();
    } else if (!header) {
        find(RepairKind::kNote, name, std::pair(0, kFileHeaderBytes),
             header.error().message() + "; its groups are read all the same");
    }
    if (why.empty() || (exact_last != 0 && exact_last <= checkpoint_)) {
        return;
    }
    if (exact_last != 0) {
        find(RepairKind::kMended, name, std::nullopt, why + "; how far it had gone is known");
        return;
    }
    find(RepairKind::kLost, name, std::pair(contents.end, std::max(contents.end, file.size())),
         fmt::format("{}; lost is what had been acknowledged from sequence {} on, if anything", why,
                     std::max(contents.next_sequence, checkpoint_ + 1)));
}

std::vector<LogHole> StoreRepair::find_holes(const std::string& name, const LogPlace& place,
                                             const LogFileContents& contents, Bytes file,
                                             uint64_t known_last) const {
    std::vector<LogHole> holes;
    const auto add = [&](uint64_t begin, uint64_t end, uint64_t first, uint64_t last,
                         std::string why) {
        LogHole& hole = holes.emplace_back();
        hole.file = name;
        hole.begin = begin;
        hole.end = end;
        hole.first = first;
        hole.last = last;
        hole.why = std::move(why);
    };
    bool has_end = false;
    for (const LogDamage& damage : contents.damage) {
        uint64_t last = damage.next_sequence - 1;
        if (damage.next_sequence == 0) {
            last = std::max(known_last, durable_said(file, place, damage.begin));
            has_end = true;
        }
        add(damage.begin, damage.end, damage.first_sequence, last, damage.why);
    }
    const uint64_t due = contents.next_sequence;
    if (!has_end && due != 0 && due <= known_last) {
        add(contents.end, std::max(contents.end, file.size()), due, known_last,
            contents.torn_why.empty() ? "what should follow is not there" : contents.torn_why);
    }
    return holes;
}

void StoreRepair::describe_hole(const LogHole& hole) {
    std::optional<std::pair<uint64_t, uint64_t>> bytes;
    if (hole.end > hole.begin) {
        bytes.emplace(hole.begin, hole.end);
    }
    // Files that were let go leave gaps too, of which only a manifest tells.
    if (hole.last <= checkpoint_ || (from_files_ && hole.begin == hole.end)) {
        find(RepairKind::kNote, hole.file, bytes, hole.why + "; nothing in it is needed any more");
        return;
    }
    std::string lost;
    uint64_t due = std::max(hole.first, checkpoint_ + 1);
    const auto lose_up_to = [&](uint64_t end) {
        if (due < end) {
            lost += (lost.empty() ? "" : ", ") + describe_sequences(due, end - 1);
        }
    };
    for (const auto& [first, last] : hole.found) {
        lose_up_to(first);
        due = std::max(due, last + 1);
    }
    lose_up_to(hole.last + 1);
    if (lost.empty()) {
        find(RepairKind::kMended, hole.file, bytes,
             hole.why + "; all records there that are needed are whole");
        return;
    }
    std::string what = fmt::format("{}; lost: {}", hole.why, lost);
    for (const RecordHeader& header : hole.broken) {
        what += fmt::format("; {}: {}", describe_sequences(header.sequence, header.last_sequence()),
                            describe_rows(header));
    }
    if (hole.broken.empty()) {
        what += ", of which nothing more is known";
    }
    find(RepairKind::kLost, hole.file, bytes, std::move(what));
}

std::string StoreRepair::describe_rows(const RecordHeader& header) const {
    const Catalog& catalog = state_.published.get();
    const std::shared_ptr<const Run> run = catalog.find_run(header.run);
    const StoredSchema* schema = catalog.find_schema(header.schema);
    const std::string of = run == nullptr ? fmt::format("run {}", header.run)
                                          : fmt::format("run {}#{}", run->path(), header.attempt);
    if (header.schema == 0 || header.run == 0) {
        return header.run == 0 ? std::string("a schema or a setting") : "a change of " + of;
    }
    if (schema == nullptr) {
        return fmt::format("rows of {} with schema {}", of, header.schema);
    }
    const uint32_t width = schema->schema->width();
    return fmt::format("rows of {} with {}{}", of, schema->schema->metric(0),
                       width == 1 ? std::string() : fmt::format(" and {} more metrics", width - 1));
}

// Rows that are in segments already are not taken twice.
bool StoreRepair::is_needed(const RecordHeader& header) const {
    if (is_deleted(header.run)) {
        return false;
    }
    bool is_present = false;
    for (uint64_t sequence = header.sequence; uses_present_ && sequence <= header.last_sequence();
         ++sequence) {
        is_present = is_present || present_.contains(sequence);
    }
    if (header.last_sequence() > checkpoint_) {
        return !is_present;
    }
    // Of a segment that is lost a log file that is still there may have some rows.
    return !is_present && std::ranges::any_of(lost_segments_, [&](const LostSegment& lost) {
        return lost.runs.empty() || std::ranges::any_of(lost.runs, [&](const auto& range) {
                   return range.first <= header.run && header.run <= range.second;
               });
    });
}

void StoreRepair::replay(const std::string& name, const LogRecord& record) {
    const RecordHeader& header = record.header;
    last_sequence_ = std::max(last_sequence_, header.last_sequence());
    epoch_ = std::max(epoch_, header.epoch);
    Status status;
    const bool is_rows = header.schema != 0 && header.run != 0;
    if (is_rows && is_needed(header)) {
        status = replay_rows(record);
    } else if (is_rows) {
        note_writer(header);
    } else if (header.last_sequence() > catalog_sequence_) {
        status = replay_change(record);
    }
    if (!status) {
        find(RepairKind::kLost, name, std::pair(record.offset, record.offset + header.bytes),
             fmt::format("the record of {} is whole, but what it builds on is lost: {}",
                         describe_sequences(header.sequence, header.last_sequence()),
                         status.error().message()));
    }
}

Status StoreRepair::replay_rows(const LogRecord& record) {
    const RecordHeader& header = record.header;
    if (state_.published.get().find_run(header.run) == nullptr) {
        make_run(header.run, header.attempt);
    }
    guess_attempt(state_.published, header.run, header.attempt);
    LoggedFrame logged;
    logged.bytes = record.frame;
    return publish_record(state_, header, logged, nullptr);
}

// What the opening of a run tells of runs that are known already. False if that run is gone since.
bool StoreRepair::replay_name(const LogRecord& record) {
    const uint64_t id = record.header.run;
    const Result<OpenRunFrame> open = OpenRunFrame::decode(frame_body(record.frame));
    if (!open) {
        return true;
    }
    if (!end_earlier_run(id, *open)) {
        return false;
    }
    if (nameless_runs_.contains(id)) {
        name_run(id, *open);
    } else if (parentless_forks_.contains(id)) {
        find_parent(id, *open);
    }
    return true;
}

Status StoreRepair::replay_change(const LogRecord& record) {
    const RecordHeader& header = record.header;
    const auto type = static_cast<FrameType>(load_le<uint8_t>(record.frame.data() + 5));
    if (header.run != 0 && state_.published.get().find_run(header.run) == nullptr &&
        type != FrameType::kOpenRun) {
        if (is_deleted(header.run) || type == FrameType::kDeleteRun) {
            deleted_runs_.insert(header.run);
            return {};
        }
        make_run(header.run, header.attempt);
    }
    if (type == FrameType::kOpenRun && !replay_name(record)) {
        return {};
    }
    if (!has_catalog_) {
        forget_guessed_attempts(state_.published, header, record.frame);
    }
    if (type == FrameType::kDeleteRun) {
        deleted_runs_.insert(header.run);
    }
    LoggedFrame logged;
    logged.bytes = record.frame;
    Status status = publish_record(state_, header, logged, nullptr);
    if (!status && type == FrameType::kOpenRun) {
        // A fork of what is lost: without what it read of that, but under its name. A later record
        // may come when the parent is known.
        const Result<OpenRunFrame> open = OpenRunFrame::decode(frame_body(record.frame));
        if (open) {
            auto run = std::make_shared<Run>();
            run->id = header.run;
            run->project = open->project;
            run->name = open->run;
            run->created_us = header.receive_time_us;
            run->created_sequence = header.sequence;
            run->attempts.emplace_back().opened_sequence = header.sequence;
            state_.published.edit().put_run(std::move(run));
            parentless_forks_.insert(header.run);
        }
    }
    return status;
}

// What a lost catalog would tell of the numbers of writers.
void StoreRepair::note_writer(const RecordHeader& header) {
    if (has_catalog_ || header.writer.is_zero() || is_deleted(header.run)) {
        return;
    }
    WriterState& writer = state_.writers.get_or_add({header.writer, header.run});
    writer.published = true;
    writer.published_number = std::max(writer.published_number, header.frame_number);
    writer.accepted_number = std::max(writer.accepted_number, writer.published_number);
    writer.last_frame_us = std::max(writer.last_frame_us, header.receive_time_us);
}

}  // namespace stepdb
