#include "engine/wal/log_writer.h"

#include <algorithm>
#include <cstring>

#include "engine/base/coding.h"
#include "engine/model/frame.h"

namespace stepdb {

struct LogWriter::Group {
    std::shared_ptr<SharedBuffer> buffer;
    size_t used = kGroupHeaderBytes;
    uint32_t records = 0;
    uint64_t first_sequence = 0;
    uint64_t last_sequence = 0;
    int64_t submitted_us = 0;
    bool done = false;

    // Record headers are finished when the group's place is known: (offset in buffer, header).
    std::vector<std::pair<size_t, RecordHeader>> headers;

    size_t padded_bytes() const { return round_up(used, kPageBytes); }
};

LogWriter::LogWriter(Executor& executor, LogWriterOptions options, Owner& owner)
    : executor_(executor),
      options_(options),
      owner_(owner),
      next_sequence_(options.next_sequence),
      durable_sequence_(options.next_sequence - 1) {}

LogWriter::~LogWriter() {
    *alive_ = false;
}

LoggedFrame LogWriter::append(RecordHeader& header, Bytes frame) {
    const size_t bytes = kRecordHeaderBytes + frame.size();
    const size_t padded = round_up(bytes, 8);
    Group& group = open_group(padded);
    header.bytes = static_cast<uint32_t>(bytes);
    header.epoch = options_.epoch;
    header.sequence = next_sequence_;
    header.frame_checksum = load_le<uint64_t>(frame.data() + 8);
    next_sequence_ += header.sequence_count;

    std::byte* at = group.buffer->data() + group.used;
    std::memcpy(at + kRecordHeaderBytes, frame.data(), frame.size());
    std::memset(at + bytes, 0, padded - bytes);
    group.headers.emplace_back(group.used, header);
    group.used += padded;
    if (group.records == 0) {
        group.first_sequence = header.sequence;
    }
    ++group.records;
    group.last_sequence = header.last_sequence();
    pending_bytes_ += padded;
    schedule_pump();
    LoggedFrame logged;
    logged.bytes = {at + kRecordHeaderBytes, frame.size()};
    logged.group = group.buffer;
    return logged;
}

LogWriter::Group& LogWriter::open_group(size_t record_bytes) {
    if (!queue_.empty() && queue_.back()->used + record_bytes <= queue_.back()->buffer->size()) {
        return *queue_.back();
    }
    auto group = std::make_shared<Group>();
    // From a page boundary on if it is large, as direct I/O wants it.
    group->buffer = std::make_shared<SharedBuffer>(
        round_up(std::max(options_.group_bytes_max, kGroupHeaderBytes + record_bytes), kPageBytes));
    queue_.push_back(std::move(group));
    return *queue_.back();
}

void LogWriter::add_file(std::shared_ptr<LogFile> file) {
    file_wanted_ = false;
    files_.push_back(std::move(file));
    if (files_.size() == 1 && on_file_begun_) {
        on_file_begun_(files_.front()->file_id, durable_sequence_ + 1);
    }
    schedule_pump();
}

// Frames that arrive in one turn of the executor share a group: the pump runs after them.
void LogWriter::schedule_pump() {
    if (pump_scheduled_ || failed_) {
        return;
    }
    pump_scheduled_ = true;
    executor_.post([this, alive = alive_] {
        if (*alive) {
            pump_scheduled_ = false;
            pump();
        }
    });
}

void LogWriter::pump() {
    while (!failed_ && !queue_.empty() && in_flight_.size() < options_.groups_in_flight_max) {
        std::shared_ptr<Group>& group = queue_.front();
        // A small open group waits for company while the disk is busy; its turn comes with the
        // next completion.
        const bool open = queue_.size() == 1;
        if (open && !in_flight_.empty() && group->used < options_.group_bytes_eager) {
            return;
        }
        if (!turn_to_file_with_room(group->padded_bytes())) {
            return;
        }
        std::shared_ptr<Group> next = std::move(group);
        queue_.pop_front();
        submit(std::move(next));
    }
}

// A file that has begun is left only when nothing of it is in flight, so that after a crash only
// the last file can have an end that was never synced.
bool LogWriter::turn_to_file_with_room(size_t group_bytes) {
    if (files_.empty()) {
        want_file();
        return false;
    }
    LogFile& current = *files_.front();
    const bool fits =
        current.end + group_bytes <= options_.file_bytes || current.end == kLogFirstGroupOffset;
    if (fits) {
        if (files_.size() == 1 && current.end + group_bytes > options_.file_bytes / 2) {
            want_file();
        }
        return true;
    }
    if (files_.size() == 1) {
        want_file();
        return false;
    }
    if (!in_flight_.empty()) {
        return false;
    }
    files_.pop_front();
    if (on_file_begun_) {
        on_file_begun_(files_.front()->file_id, durable_sequence_ + 1);
    }
    return true;
}

bool LogWriter::has_room() const {
    // Groups in flight have their place already; what waits takes pages for its headers.
    const uint64_t waiting = pending_bytes_ + (queue_.size() + 1) * kPageBytes;
    return files_.size() > 1 ||
           (!files_.empty() && files_.front()->end + waiting <= options_.file_bytes / 8 * 7);
}

bool LogWriter::is_stuck() const {
    if (failed_ || queue_.empty() || !in_flight_.empty() || files_.size() > 1) {
        return false;
    }
    if (files_.empty()) {
        return true;
    }
    const LogFile& current = *files_.front();
    return current.end != kLogFirstGroupOffset &&
           current.end + queue_.front()->padded_bytes() > options_.file_bytes;
}

void LogWriter::want_file() {
    if (!file_wanted_) {
        file_wanted_ = true;
        owner_.on_log_file_wanted();
    }
}

void LogWriter::seal_group(Group& group, const LogFile& file) {
    const LogPlace place{options_.store, file.file_id};
    for (const auto& [at, header] : group.headers) {
        encode_record_header(header, place, file.end + at, group.buffer->data() + at);
    }
    GroupHeader header;
    header.bytes = static_cast<uint32_t>(group.padded_bytes());
    header.file_id = file.file_id;
    header.epoch = options_.epoch;
    header.first_sequence = group.first_sequence;
    header.durable_sequence = durable_sequence_;
    header.record_count = group.records;
    header.record_bytes = static_cast<uint32_t>(group.used - kGroupHeaderBytes);
    encode_group_header(header, place, file.end, group.buffer->data());
    std::memset(group.buffer->data() + group.used, 0, group.padded_bytes() - group.used);
}

void LogWriter::submit(std::shared_ptr<Group> group) {
    const std::shared_ptr<LogFile> file = files_.front();
    seal_group(*group, *file);
    const uint64_t offset = file->end;
    file->end += group->padded_bytes();
    group->submitted_us = now_us();
    in_flight_.push_back(group);
    const Bytes bytes = group->buffer->span().first(group->padded_bytes());
    Task<Status> write = file->file->write_synced(offset, bytes, SyncSite::kLogGroup);
    // The completion keeps group and file alive even if the writer is gone by then.
    start(std::move(write), [this, alive = alive_, group, file](const Status& status) {
        if (*alive) {
            on_written(group, status);
        }
    });
}

void LogWriter::on_written(const std::shared_ptr<Group>& group, const Status& status) {
    if (failed_) {
        return;
    }
    if (!status) {
        failed_ = true;
        owner_.on_log_failed(status.error());
        return;
    }
    group->done = true;
    sync_times_.add(now_us() - group->submitted_us);
    bool advanced = false;
    std::vector<std::shared_ptr<Group>> finished;
    while (!in_flight_.empty() && in_flight_.front()->done) {
        finished.push_back(std::move(in_flight_.front()));
        in_flight_.pop_front();
        durable_sequence_ = finished.back()->last_sequence;
        pending_bytes_ -= finished.back()->used - kGroupHeaderBytes;
        ++groups_written_;
        advanced = true;
    }
    if (advanced) {
        // The disk gets its next work before the rows are applied.
        pump();
        owner_.on_log_durable(finished.back()->last_sequence);
    }
}

}  // namespace stepdb
