#include "engine/manifest/manifest.h"

#include <algorithm>
#include <charconv>

#include "engine/base/coding.h"

namespace stepdb {

namespace {

// edit record: u32 bytes of the body, u32 reserved, u64 number (from 1), u64 next file id, u64
// checksum of the 24 bytes before and the body, seeded with the place; then the body: (u8 tag, u64,
// u64) a change.
constexpr size_t kEditHeaderBytes = 32;
constexpr size_t kChangeBytes = 17;
constexpr uint64_t kEditBytesMax = 256U << 20U;
constexpr uint64_t kRoomAhead = 64U << 10U;

enum class Change : uint8_t {
    kEpoch = 1,
    kCheckpoint = 2,
    kCatalog = 3,
    kAddLog = 4,
    kRemoveLog = 5,
    kAddSegment = 6,
    kRemoveSegment = 7,
    kLogSequence = 8,
    kSegmentRuns = 9,  // first and last run of a range, of the segment added last before
    kDurable = 10,     // sequence; 1 if the store was closed there
};

void put_change(ByteWriter& writer, Change change, uint64_t first, uint64_t second = 0) {
    writer.put(change);
    writer.put(first);
    writer.put(second);
}

void encode_changes(ByteWriter& writer, const ManifestEdit& edit) {
    if (edit.epoch) {
        put_change(writer, Change::kEpoch, *edit.epoch);
    }
    if (edit.checkpoint_sequence) {
        put_change(writer, Change::kCheckpoint, *edit.checkpoint_sequence);
    }
    if (edit.log_sequence) {
        put_change(writer, Change::kLogSequence, *edit.log_sequence);
    }
    if (edit.catalog_file) {
        put_change(writer, Change::kCatalog, *edit.catalog_file);
    }
    for (const auto& [id, epoch] : edit.add_logs) {
        put_change(writer, Change::kAddLog, id, epoch);
    }
    for (const uint64_t id : edit.remove_logs) {
        put_change(writer, Change::kRemoveLog, id);
    }
    for (const auto& [id, bytes] : edit.add_segments) {
        put_change(writer, Change::kAddSegment, id, bytes);
        const auto runs = edit.segment_runs.find(id);
        if (runs != edit.segment_runs.end()) {
            for (const auto& [first, last] : runs->second) {
                put_change(writer, Change::kSegmentRuns, first, last);
            }
        }
    }
    for (const uint64_t id : edit.remove_segments) {
        put_change(writer, Change::kRemoveSegment, id);
    }
    if (edit.durable_sequence) {
        put_change(writer, Change::kDurable, *edit.durable_sequence,
                   edit.closed.value_or(false) ? 1 : 0);
    }
}

Result<ManifestEdit> decode_changes(Bytes body) {
    ManifestEdit edit;
    uint64_t segment = 0;  // added last
    ByteReader reader(body);
    while (reader.remaining() > 0) {
        const auto change = reader.get<uint8_t>();
        const auto first = reader.get<uint64_t>();
        const auto second = reader.get<uint64_t>();
        switch (static_cast<Change>(change)) {
            case Change::kEpoch:
                edit.epoch = first;
                break;
            case Change::kCheckpoint:
                edit.checkpoint_sequence = first;
                break;
            case Change::kCatalog:
                edit.catalog_file = first;
                break;
            case Change::kLogSequence:
                edit.log_sequence = first;
                break;
            case Change::kAddLog:
                edit.add_logs[first] = second;
                break;
            case Change::kRemoveLog:
                edit.remove_logs.push_back(first);
                break;
            case Change::kAddSegment:
                segment = first;
                edit.add_segments[first] = second;
                break;
            case Change::kSegmentRuns:
                if (segment == 0 || first == 0 || first > second) {
                    return make_error(ErrorCode::kCorruption,
                                      "runs {} to {} of segment {}, which is no range of a "
                                      "segment's",
                                      first, second, segment);
                }
                edit.segment_runs[segment].emplace_back(first, second);
                break;
            case Change::kDurable:
                edit.durable_sequence = first;
                edit.closed = second == 1;
                break;
            case Change::kRemoveSegment:
                edit.remove_segments.push_back(first);
                break;
            default:
                return make_error(ErrorCode::kUnsupportedVersion,
                                  "manifest change of kind {}; a newer StepDB wrote it", change);
        }
    }
    return edit;
}

struct EditRecord {
    uint64_t number = 0;
    uint64_t next_file_id = 0;
    uint64_t bytes = 0;
    Bytes body;
};

uint64_t edit_checksum(Bytes header, Bytes body, uint64_t seed) {
    return xxh3(body, xxh3(header.first(kEditHeaderBytes - 8), seed));
}

std::optional<EditRecord> parse_edit(Bytes file, uint64_t offset, uint64_t seed) {
    if (file.size() - offset < kEditHeaderBytes) {
        return std::nullopt;
    }
    const Bytes header = file.subspan(offset, kEditHeaderBytes);
    ByteReader reader(header);
    const auto bytes = reader.get<uint32_t>();
    const auto reserved = reader.get<uint32_t>();
    EditRecord record;
    record.number = reader.get<uint64_t>();
    record.next_file_id = reader.get<uint64_t>();
    const auto checksum = reader.get<uint64_t>();
    if (reserved != 0 || bytes % kChangeBytes != 0 ||
        bytes > file.size() - offset - kEditHeaderBytes) {
        return std::nullopt;
    }
    record.body = file.subspan(offset + kEditHeaderBytes, bytes);
    record.bytes = kEditHeaderBytes + bytes;
    if (edit_checksum(header, record.body, seed) != checksum) {
        return std::nullopt;
    }
    return record;
}

std::string numbered(std::string_view prefix, uint64_t id) {
    return fmt::format("{}{:06}", prefix, id);
}

}  // namespace

std::string log_file_name(uint64_t file_id) {
    return numbered("log-", file_id);
}
std::string segment_file_name(uint64_t file_id) {
    return numbered("segment-", file_id);
}
std::string catalog_file_name(uint64_t file_id) {
    return numbered("catalog-", file_id);
}
std::string manifest_file_name(uint64_t file_id) {
    return numbered("manifest-", file_id);
}

std::optional<uint64_t> parse_file_name(std::string_view name, std::string_view prefix) {
    if (!name.starts_with(prefix)) {
        return std::nullopt;
    }
    name.remove_prefix(prefix.size());
    uint64_t id = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (error != std::errc() || end != name.data() + name.size() || id == 0) {
        return std::nullopt;
    }
    return id;
}

void apply_edit(ManifestState& state, const ManifestEdit& edit) {
    state.epoch = edit.epoch.value_or(state.epoch);
    state.checkpoint_sequence = edit.checkpoint_sequence.value_or(state.checkpoint_sequence);
    state.log_sequence = edit.log_sequence.value_or(state.log_sequence);
    state.catalog_file = edit.catalog_file.value_or(state.catalog_file);
    for (const auto& [id, epoch] : edit.add_logs) {
        state.logs[id] = epoch;
    }
    for (const uint64_t id : edit.remove_logs) {
        state.logs.erase(id);
    }
    for (const auto& [id, bytes] : edit.add_segments) {
        state.segments[id] = bytes;
    }
    for (const auto& [id, runs] : edit.segment_runs) {
        state.segment_runs[id] = runs;
    }
    for (const uint64_t id : edit.remove_segments) {
        state.segments.erase(id);
        state.segment_runs.erase(id);
    }
    if (edit.durable_sequence) {
        state.durable_sequence = std::max(state.durable_sequence, *edit.durable_sequence);
    }
    // Whatever follows a closing is of a new opening.
    state.closed = edit.closed.value_or(false);
}

RunRanges make_run_ranges(const std::vector<uint64_t>& ids, size_t ranges_max) {
    RunRanges ranges;
    for (const uint64_t id : ids) {
        if (!ranges.empty() && id <= ranges.back().second + 1) {
            ranges.back().second = std::max(ranges.back().second, id);
        } else {
            ranges.emplace_back(id, id);
        }
    }
    while (ranges.size() > ranges_max) {
        size_t narrowest = 1;
        for (size_t i = 2; i < ranges.size(); ++i) {
            const auto gap = [&](size_t at) { return ranges[at].first - ranges[at - 1].second; };
            narrowest = gap(i) < gap(narrowest) ? i : narrowest;
        }
        ranges[narrowest - 1].second = ranges[narrowest].second;
        ranges.erase(ranges.begin() + static_cast<ptrdiff_t>(narrowest));
    }
    return ranges;
}

Result<ManifestState> decode_edits(Bytes file, const Id128& store, uint64_t file_id, uint64_t& end,
                                   const EditVisitor& visit) {
    ManifestState state;
    uint64_t offset = kFileHeaderBytes;
    uint64_t number = 0;
    while (offset < file.size()) {
        const auto record = parse_edit(file, offset, place_seed(store, file_id, offset));
        if (!record || record->number != number + 1) {
            break;
        }
        ManifestRecord found;
        TRY_ASSIGN(found.edit, decode_changes(record->body));
        apply_edit(state, found.edit);
        state.next_file_id = record->next_file_id;
        number = record->number;
        if (visit) {
            found.offset = offset;
            found.bytes = record->bytes;
            found.number = number;
            found.next_file_id = record->next_file_id;
            visit(found);
        }
        offset += record->bytes;
    }
    end = offset;
    // Edits are synced one by one: only the last can be torn. A whole one behind a broken one means
    // that the broken one had been durable.
    // None begins in the zeros that are room for more: its number is not 0.
    const uint64_t used = offset + torn_edit_bytes(file, offset);
    for (uint64_t later = offset + 1; later < used && later + kEditHeaderBytes <= file.size();
         ++later) {
        const auto record = parse_edit(file, later, place_seed(store, file_id, later));
        if (record && record->number > number + 1) {
            return make_error(ErrorCode::kCorruption,
                              "edit {} at byte {} is damaged, while edit {} at byte {} is whole",
                              number + 1, offset, record->number, later);
        }
    }
    if (number == 0) {
        return make_error(ErrorCode::kCorruption, "the first edit, at byte {}, is damaged", offset);
    }
    return state;
}

Result<LoadedManifest> decode_manifest(Bytes file, uint64_t file_id, const EditVisitor& visit) {
    if (file.size() < kFileHeaderBytes) {
        return make_error(ErrorCode::kCorruption, "{} bytes; its header alone has {}", file.size(),
                          kFileHeaderBytes);
    }
    TRY_ASSIGN(const FileHeader header,
               decode_file_header(kManifestKind, file.first(kFileHeaderBytes)));
    LoadedManifest loaded;
    loaded.file_id = file_id == 0 ? header.file_id : file_id;
    loaded.store = header.store;
    TRY(check_file_owner(kManifestKind, header, header.store, loaded.file_id));
    TRY_ASSIGN(loaded.state, decode_edits(file, header.store, loaded.file_id, loaded.end, visit));
    loaded.torn = torn_edit_bytes(file, loaded.end) != 0;
    return loaded;
}

uint64_t torn_edit_bytes(Bytes file, uint64_t end) {
    uint64_t used = file.size();
    while (used > end && file[used - 1] == std::byte{0}) {
        --used;
    }
    return used > end ? used - end : 0;
}

Result<uint64_t> decode_current(std::string_view contents) {
    const bool ended = !contents.empty() && contents.back() == '\n';
    const std::string_view stem = ended ? contents.substr(0, contents.size() - 1) : "";
    const std::optional<uint64_t> file_id = parse_file_name(stem, "manifest-");
    if (!file_id) {
        return make_error(ErrorCode::kCorruption,
                          "{} bytes that do not name a manifest; it should hold 'manifest-NUMBER' "
                          "and a line feed",
                          contents.size());
    }
    return *file_id;
}

Task<Result<std::optional<LoadedManifest>>> load_manifest(FileSystem& files,
                                                          std::string directory) {
    const std::string current_path = directory + "/" + std::string(kCurrentName);
    Result<std::unique_ptr<File>> current = co_await files.open(current_path, OpenMode::kRead);
    if (!current) {
        if (current.error().code() == ErrorCode::kNotFound) {
            co_return std::optional<LoadedManifest>();
        }
        co_return current.error();
    }
    constexpr uint64_t kCurrentBytesMax = 64;
    const uint64_t bytes = (*current)->size();
    std::string name(std::min(bytes, kCurrentBytesMax), '\0');
    const MutableBytes into = std::as_writable_bytes(std::span(name.data(), name.size()));
    const Status read_name = co_await (*current)->read(0, into);
    if (!read_name) {
        co_return read_name.error().within(kCurrentName);
    }
    const Result<uint64_t> file_id = decode_current(name);
    if (!file_id) {
        co_return file_id.error().within(current_path);
    }
    const std::string path = directory + "/" + manifest_file_name(*file_id);
    Result<std::unique_ptr<File>> file = co_await files.open(path, OpenMode::kRead);
    if (!file) {
        co_return make_error(ErrorCode::kCorruption, "{} names {}, which cannot be opened: {}",
                             current_path, path, file.error().message());
    }
    AlignedBuffer buffer((*file)->size());
    const MutableBytes whole = buffer.span().first((*file)->size());
    const Status read = co_await (*file)->read(0, whole);
    if (!read) {
        co_return read.error().within(path);
    }
    Result<LoadedManifest> loaded = decode_manifest(whole, *file_id);
    if (!loaded) {
        co_return loaded.error().within(path);
    }
    std::optional<LoadedManifest> found(std::move(*loaded));
    co_return found;
}

Manifest::Manifest(FileSystem& files, std::string directory, Id128 store, uint64_t bytes_max)
    : files_(files), directory_(std::move(directory)), store_(store), bytes_max_(bytes_max) {}

std::vector<std::byte> Manifest::encode_record(const ManifestEdit& edit) const {
    ByteWriter body;
    encode_changes(body, edit);
    CHECK(body.size() <= kEditBytesMax, "{} bytes", body.size());
    ByteWriter writer;
    writer.put(static_cast<uint32_t>(body.size()));
    writer.put(uint32_t{0});
    writer.put(edits_ + 1);
    writer.put(next_file_id_);
    const uint64_t seed = place_seed(store_, file_id_, end_);
    writer.put(xxh3(body.bytes(), xxh3(writer.bytes(), seed)));
    writer.put_bytes(body.bytes());
    return writer.take();
}

Task<Status> Manifest::begin(ManifestState state) {
    co_await mutex_.lock();
    const Status status = co_await begin_locked(std::move(state));
    mutex_.unlock();
    co_return status;
}

Task<Status> Manifest::append(ManifestEdit edit) {
    co_await mutex_.lock();
    Status status;
    if (failed_) {
        status = *failed_;
    } else {
        status = co_await append_locked(std::move(edit));
    }
    if (!status && status.error().code() != ErrorCode::kResourceExhausted) {
        failed_ = status.error();
    }
    mutex_.unlock();
    if (!status) {
        co_return status.error().within("manifest");
    }
    co_return status;
}

Task<Status> Manifest::begin_locked(ManifestState state) {
    next_file_id_ = std::max(next_file_id_, state.next_file_id);
    const uint64_t old_id = file_id_;
    const uint64_t old_end = end_;
    const uint64_t old_allocated = allocated_;
    const uint64_t old_edits = edits_;
    std::unique_ptr<File> old_file = std::move(file_);
    std::swap(state_, state);
    const uint64_t file_id = take_file_id();
    Status written = co_await write_file(file_id);
    if (written) {
        written = co_await write_current(file_id);
    }
    if (!written) {
        // CURRENT names the old one, which goes on.
        std::swap(state_, state);
        file_ = std::move(old_file);
        file_id_ = old_id;
        end_ = old_end;
        allocated_ = old_allocated;
        edits_ = old_edits;
        const Status removed = co_await files_.remove(path(manifest_file_name(file_id)));
        static_cast<void>(removed);
        co_return written;
    }
    const Status switched = co_await switch_current();
    if (!switched) {
        co_return Error(ErrorCode::kIoError, switched.error().message());
    }
    if (old_id != 0) {
        // Nothing names it any more. If it stays, the next opening removes it.
        const Status removed = co_await files_.remove(path(manifest_file_name(old_id)));
        static_cast<void>(removed);
    }
    co_return Status();
}

Task<Status> Manifest::write_file(uint64_t file_id) {
    Result<std::unique_ptr<File>> file =
        co_await files_.open(path(manifest_file_name(file_id)), OpenMode::kCreate);
    if (!file) {
        co_return file.error();
    }
    file_ = std::move(*file);
    file_id_ = file_id;
    edits_ = 0;
    end_ = kFileHeaderBytes;
    allocated_ = 0;
    FileHeader header;
    header.store = store_;
    header.file_id = file_id;
    std::vector<std::byte> bytes = encode_file_header(kManifestKind, header);
    ManifestEdit everything;
    everything.epoch = state_.epoch;
    everything.checkpoint_sequence = state_.checkpoint_sequence;
    everything.log_sequence = state_.log_sequence;
    everything.catalog_file = state_.catalog_file;
    everything.add_logs = state_.logs;
    everything.add_segments = state_.segments;
    everything.segment_runs = state_.segment_runs;
    everything.durable_sequence = state_.durable_sequence;
    everything.closed = state_.closed;
    const std::vector<std::byte> record = encode_record(everything);
    bytes.insert(bytes.end(), record.begin(), record.end());
    const Status room = co_await make_room(bytes.size());
    if (!room) {
        co_return room;
    }
    const Status written = co_await file_->write_synced(0, bytes, SyncSite::kManifestData);
    if (!written) {
        co_return written;
    }
    edits_ = 1;
    end_ += record.size();
    co_return co_await files_.sync_directory(directory_, SyncSite::kManifestDirectory);
}

// Of what is to be CURRENT the disk may have no room either; then nothing has been switched.
Task<Status> Manifest::write_current(uint64_t file_id) {
    const std::string temporary = path(kCurrentTemporaryName);
    const Status removed = co_await files_.remove(temporary);
    if (!removed && removed.error().code() != ErrorCode::kNotFound) {
        co_return removed;
    }
    Result<std::unique_ptr<File>> file = co_await files_.open(temporary, OpenMode::kCreate);
    if (!file) {
        co_return file.error();
    }
    const std::string name = manifest_file_name(file_id) + "\n";
    co_return co_await (*file)->write_synced(0, as_bytes(name), SyncSite::kCurrentData);
}

Task<Status> Manifest::switch_current() {
    const Status renamed = co_await files_.rename(path(kCurrentTemporaryName), path(kCurrentName));
    if (!renamed) {
        co_return renamed;
    }
    co_return co_await files_.sync_directory(directory_, SyncSite::kCurrentDirectory);
}

// Room is taken well ahead, so that a full disk is found before anything is written and the edits
// that free room on it still fit.
Task<Status> Manifest::make_room(uint64_t bytes) {
    if (bytes <= allocated_) {
        co_return Status();
    }
    const uint64_t wanted = round_up(bytes + kRoomAhead, kPageBytes);
    const Status allocated = co_await file_->allocate(wanted);
    if (allocated) {
        allocated_ = wanted;
    }
    co_return allocated;
}

Task<Status> Manifest::append_locked(ManifestEdit edit) {
    if (end_ >= bytes_max_) {
        ManifestState next = state_;
        apply_edit(next, edit);
        const Status begun = co_await begin_locked(std::move(next));
        // Without room for a new file the old one grows on.
        if (begun || begun.error().code() != ErrorCode::kResourceExhausted) {
            co_return begun;
        }
    }
    const std::vector<std::byte> record = encode_record(edit);
    const Status room = co_await make_room(end_ + record.size());
    if (!room) {
        co_return room;
    }
    const Status written = co_await file_->write_synced(end_, record, SyncSite::kManifestEdit);
    if (!written) {
        co_return Error(ErrorCode::kIoError, written.error().message());
    }
    ++edits_;
    end_ += record.size();
    apply_edit(state_, edit);
    co_return Status();
}

}  // namespace stepdb
