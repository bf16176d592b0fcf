// Replaying the live log files: everything above the checkpoint, in order, through the function
// that also publishes in operation.
//
// What had been durable and cannot be read any more is damage, and the rest is replayed around it.
// How far the log had been durable is known from later groups, from the next file, and from the
// manifest, which notes it with every edit and when the store is closed.
#include "engine/engine_core.h"

#include <algorithm>
#include <utility>

#include "engine/lost_catalog.h"

namespace stepdb {

namespace {

// Rows replayed of which no blocks have been made yet, beyond which replay waits between files.
constexpr size_t kReplayBacklogBytes = 32U << 20U;

std::string describe_damage(const std::string& name, const LogDamage& damage) {
    return fmt::format("{}: bytes {} to {}: {}", name, damage.begin, damage.end - 1, damage.why);
}

}  // namespace

// What is wrong in a log file.
struct EngineCore::LogFault {
    LogFault() = default;
    LogFault(std::string its_file, std::string its_what)
        : file(std::move(its_file)), what(std::move(its_what)) {}

    std::string file;  // its name in the directory; "" if there is none
    std::string what;  // with its path
};

// Notes that the sequences from `first` to `last` (0: nobody knows how far) cannot be read.
void EngineCore::note_missing(const ManifestState& state, uint64_t first, uint64_t last,
                              LogFault fault) {
    if (last == 0 && state.closed) {
        last = state.durable_sequence;
    }
    if (last != 0 && last <= state.checkpoint_sequence) {
        report_.notes.push_back(fault.what + "; nothing in it is needed any more");
        return;
    }
    const std::string sequences =
        last == 0
            ? fmt::format("from sequence {} on", first)
            : "with " + describe_sequences(std::max(first, state.checkpoint_sequence + 1), last);
    report_.damage.emplace_back(
        fmt::format("{}; acknowledged data {} is missing. Restore the file from a backup",
                    fault.what, sequences),
        fmt::format(
            "{}, and answers lack what was acknowledged {}; restore it from a backup",
            fault.file.empty() ? "no log file can be read" : fault.file + " cannot be read whole",
            sequences));
}

// How far replaying has come.
struct EngineCore::ReplayProgress {
    // A file, or the end of one, that cannot be read; the next file tells how far it had gone.
    struct Unread {
        Unread(uint64_t first, LogFault its_fault)
            : first_sequence(first), fault(std::move(its_fault)) {}

        uint64_t first_sequence;
        LogFault fault;
    };

    uint64_t expected = 0;   // the sequence that is due
    uint64_t last_file = 0;  // that held a group; 0 before the first
    LogFault file_before;    // how far the file before can be read; "" before the first
    std::optional<Unread> unread;

    void set_unread(uint64_t first_sequence, LogFault fault) {
        unread.emplace(first_sequence, std::move(fault));
    }
};

void EngineCore::note_log_damage(const ManifestState& state, uint64_t file_id,
                                 const LogFileContents& contents, ReplayProgress& progress) {
    const std::string file = log_file_name(file_id);
    const std::string name = path(file);
    std::optional<ReplayProgress::Unread> unread = std::exchange(progress.unread, std::nullopt);
    for (const LogDamage& damage : contents.damage) {
        const uint64_t last = damage.next_sequence - 1;
        if (damage.next_sequence == 0) {
            progress.set_unread(damage.first_sequence, {file, describe_damage(name, damage)});
        } else if (!damage.is_of_file_before()) {
            note_missing(state, damage.first_sequence, last, {file, describe_damage(name, damage)});
        } else if (unread) {
            note_missing(state, damage.first_sequence, last, unread->fault);
            unread.reset();
        } else if (const LogFault& before = progress.file_before; !before.what.empty()) {
            note_missing(state, damage.first_sequence, last,
                         {before.file, fmt::format("{}, and {} goes on with sequence {}",
                                                   before.what, file, damage.next_sequence)});
        } else if (state.log_sequence != 0) {
            note_missing(state, damage.first_sequence, last,
                         {file, fmt::format("{} begins with sequence {}, where {} is due", name,
                                            damage.next_sequence, damage.first_sequence)});
        }
    }
    if (unread && contents.groups > 0) {
        report_.notes.push_back(unread->fault.what + "; nothing that is missing was in it");
    } else if (unread && !progress.unread) {
        progress.unread = std::move(unread);
    }
    if (contents.torn_bytes > 0) {
        report_.notes.push_back(fmt::format(
            "{}: the group at byte {} is not whole and was dropped ({}). A write that a crash cut "
            "short looks like this, and then nothing acknowledged was in it; so does damage to the "
            "last group of the log",
            name, contents.end, contents.torn_why));
    }
}

// Records that speak of what was lost before them: briefly, that is said with the loss.
void EngineCore::note_replay_errors() {
    for (StoreDamage& error : replay_errors_) {
        if (!report_.damage.empty()) {
            error.brief.clear();
        }
        report_.damage.push_back(std::move(error));
    }
    replay_errors_.clear();
}

EngineCore::LogFault EngineCore::describe_end(uint64_t file_id,
                                              const LogFileContents& contents) const {
    const std::string file = log_file_name(file_id);
    return {file, fmt::format("{} can be read up to byte {}, before sequence {}{}", path(file),
                              contents.end, contents.next_sequence,
                              contents.torn_why.empty() ? "" : ": " + contents.torn_why)};
}

Task<Status> EngineCore::replay_logs(ManifestState state) {
    std::vector<uint64_t> order;
    for (const auto& [file_id, epoch] : state.logs) {
        order.push_back(file_id);
    }
    if (state.log_sequence == 0) {
        order =
            co_await order_logs(environment_.file_system, options_.directory, state_.store, state);
    }
    ReplayProgress progress;
    progress.expected = state.log_sequence;
    for (const uint64_t file_id : order) {
        Result<LogFileContents> contents =
            co_await replay_log(file_id, progress.expected, state.checkpoint_sequence);
        if (!contents && contents.error().code() == ErrorCode::kUnsupportedVersion) {
            co_return contents.error();
        }
        if (!contents) {
            replayed_.push_back({file_id, 0, 0});
            if (progress.unread) {
                note_missing(state, progress.unread->first_sequence, 0, progress.unread->fault);
            }
            progress.set_unread(progress.expected,
                                {log_file_name(file_id), contents.error().message()});
            continue;
        }
        note_log_damage(state, file_id, *contents, progress);
        if (contents->groups > 0) {
            progress.last_file = file_id;
        }
        if (contents->groups > 0 || contents->torn_bytes > 0) {
            progress.file_before = describe_end(file_id, *contents);
        }
        state_.rows.make_blocks_now();
        // Rows come faster than blocks are made of them.
        while (state_.rows.being_made_bytes() > kReplayBacklogBytes) {
            co_await blocks_made_;
        }
        replayed_.push_back({file_id, contents->groups > 0 ? progress.expected : 0, contents->end});
        progress.expected = std::max(progress.expected, contents->next_sequence);
    }
    if (progress.unread) {
        note_missing(state, progress.unread->first_sequence, 0, progress.unread->fault);
    } else if (state.durable_sequence != 0 && state.durable_sequence >= progress.expected) {
        // Without a manifest nothing is known to be durable, and nothing is due (0 and 0).
        if (progress.file_before.what.empty()) {
            progress.file_before.what = options_.directory + ": no log file can be read";
        }
        note_missing(state, progress.expected, state.durable_sequence, progress.file_before);
    }
    replay_buffer_ = AlignedBuffer();
    note_replay_errors();
    next_sequence_ =
        std::max({progress.expected, state.checkpoint_sequence + 1, state.durable_sequence + 1});
    // Only the last file with groups can have an end that was never synced.
    if (progress.last_file != 0 && report_.damage.empty()) {
        Result<std::unique_ptr<File>> file = co_await environment_.file_system.open(
            path(log_file_name(progress.last_file)), OpenMode::kRead);
        if (!file) {
            co_return file.error();
        }
        co_return co_await (*file)->sync(SyncSite::kLogReplayed);
    }
    co_return Status();
}

// Replays one file whose first record should have sequence `expected`.
Task<Result<LogFileContents>> EngineCore::replay_log(uint64_t file_id, uint64_t expected,
                                                     uint64_t checkpoint) {
    const std::string name = path(log_file_name(file_id));
    Result<std::unique_ptr<File>> file =
        co_await environment_.file_system.open(name, OpenMode::kRead);
    if (!file) {
        co_return file.error();
    }
    if ((*file)->size() < kFileHeaderBytes) {
        co_return make_error(ErrorCode::kCorruption, "{}: {} bytes; its header alone has {}", name,
                             (*file)->size(), kFileHeaderBytes);
    }
    AlignedBuffer page(kFileHeaderBytes);
    const Status read = co_await (*file)->read(0, page.span());
    if (!read) {
        co_return read.error().within(name);
    }
    // Groups name store and file themselves, so a damaged header loses nothing. One that is whole
    // and newer says that they are to be read otherwise.
    Result<FileHeader> header = decode_file_header(kLogKind, page.span());
    if (!header && header.error().code() == ErrorCode::kUnsupportedVersion) {
        co_return header.error().within(name);
    }
    const Status owner = header ? check_file_owner(kLogKind, *header, state_.store, file_id)
                                : Status(header.error());
    if (header && !owner) {
        // Whole, but another file's: what should be here is gone.
        co_return owner.error().within(name);
    }
    if (!owner) {
        report_.notes.push_back(
            fmt::format("{}: {}; its groups are read all the same", name, owner.error().message()));
    }
    const LogPlace place{state_.store, file_id};
    std::optional<Error> first_error;
    RecordVisitor visit = [&](const RecordHeader& record, Bytes frame) -> Status {
        const Status replayed = replay_record(record, frame, checkpoint);
        if (!replayed && !first_error) {
            first_error = make_error(ErrorCode::kCorruption, "{}: record of sequence {}: {}", name,
                                     record.sequence, replayed.error().message());
        }
        return {};
    };
    Result<LogFileContents> contents =
        co_await read_log_file(**file, name, place, expected, std::move(visit), replay_buffer_);
    if (!contents) {
        co_return contents.error();
    }
    const uint64_t made_bytes = owner ? header->details[1] : 0;
    if ((*file)->size() < made_bytes) {
        // No crash makes a file shorter; what it held at its end is not known.
        LogDamage cut;
        cut.begin = (*file)->size();
        cut.end = made_bytes;
        cut.first_sequence = contents->next_sequence;
        cut.why = "the file has been cut off";
        contents->damage.push_back(std::move(cut));
        contents->torn_bytes = 0;
    }
    if (first_error) {
        replay_errors_.emplace_back(
            first_error->message(),
            fmt::format("{} has records that do not agree with what can be read, and answers lack "
                        "them; restore the store from a backup",
                        log_file_name(file_id)));
    }
    report_.log_bytes_read += contents->end;
    co_return contents;
}

Status EngineCore::replay_record(const RecordHeader& record, Bytes frame, uint64_t checkpoint) {
    LoggedFrame logged;
    logged.bytes = frame;  // of a whole log file, which is too much to be held
    const bool rows = record.schema != 0 && record.run != 0;
    if (record.last_sequence() <= checkpoint) {
        if (!catalog_lost_ || rows) {
            return {};
        }
        // What the lost catalog would have said of these. Of attempts blocks alone have told so
        // far.
        forget_guessed_attempts(state_.published, record, frame);
        return publish_record(state_, record, logged, nullptr);
    }
    if (catalog_lost_ && rows) {
        guess_attempt(state_.published, record.run, record.attempt);
    }
    ++report_.records_replayed;
    report_.rows_replayed += rows ? record.sequence_count : 0;
    return publish_record(state_, record, logged, nullptr);
}

}  // namespace stepdb
