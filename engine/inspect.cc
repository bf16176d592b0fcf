// The kinds of files, and those with short insides: CURRENT, manifest, catalog.
#include "engine/inspect.h"

#include <algorithm>

#include "engine/base/text.h"
#include "engine/catalog/catalog_file.h"
#include "engine/disk_reserve.h"
#include "engine/inspect_parts.h"
#include "engine/manifest/manifest.h"
#include "engine/segment/segment_format.h"
#include "engine/wal/log_format.h"

namespace stepdb {

namespace {

constexpr size_t kMagicBytes = 8;

Status inspect_current(Bytes file, InspectSink& sink) {
    TRY_ASSIGN(const uint64_t manifest, decode_current(as_text(file)));
    InspectRecord record("current");
    record.text("manifest", manifest_file_name(manifest)).show(sink);
    return {};
}

std::string describe_edit(const ManifestEdit& edit) {
    std::string words;
    const auto add = [&](const std::string& word) { words += (words.empty() ? "" : ", ") + word; };
    if (edit.epoch) {
        add(fmt::format("epoch {}", *edit.epoch));
    }
    if (edit.checkpoint_sequence) {
        add(fmt::format("checkpoint {}", *edit.checkpoint_sequence));
    }
    if (edit.log_sequence) {
        add(fmt::format("log from {}", *edit.log_sequence));
    }
    if (edit.catalog_file) {
        add(fmt::format("catalog {}", *edit.catalog_file));
    }
    for (const auto& [id, epoch] : edit.add_logs) {
        add(fmt::format("+log {} (epoch {})", id, epoch));
    }
    for (const uint64_t id : edit.remove_logs) {
        add(fmt::format("-log {}", id));
    }
    for (const auto& [id, bytes] : edit.add_segments) {
        add(fmt::format("+segment {} ({} bytes)", id, bytes));
    }
    for (const auto& [id, runs] : edit.segment_runs) {
        std::string ranges;
        for (const auto& [first, last] : runs) {
            ranges +=
                first == last ? fmt::format(" {}", first) : fmt::format(" {}..{}", first, last);
        }
        add(fmt::format("runs of segment {}:{}", id, ranges));
    }
    for (const uint64_t id : edit.remove_segments) {
        add(fmt::format("-segment {}", id));
    }
    if (edit.durable_sequence) {
        add(fmt::format("durable {}{}", *edit.durable_sequence,
                        edit.closed.value_or(false) ? ", closed" : ""));
    }
    return words;
}

void show_state(const ManifestState& state, uint64_t torn_bytes, InspectSink& sink) {
    InspectRecord record("state");
    record.number("epoch", state.epoch)
        .number("next file id", state.next_file_id)
        .number("checkpoint", state.checkpoint_sequence)
        .number("log from", state.log_sequence)
        .number("torn bytes", torn_bytes)
        .show(sink);
    InspectTable files("files", {{"name", ColumnType::kText},
                                 {"bytes", ColumnType::kUint64},
                                 {"epoch", ColumnType::kUint64}});
    if (state.catalog_file != 0) {
        files.text(catalog_file_name(state.catalog_file)).nothing().nothing();
    }
    for (const auto& [id, bytes] : state.segments) {
        files.text(segment_file_name(id)).number(bytes).nothing();
    }
    for (const auto& [id, epoch] : state.logs) {
        files.text(log_file_name(id)).nothing().number(epoch);
    }
    files.show(sink);
}

Status inspect_manifest(Bytes file, const FileHeader& header, InspectSink& sink) {
    InspectTable edits("edits", {{"byte", ColumnType::kUint64},
                                 {"bytes", ColumnType::kUint64},
                                 {"edit", ColumnType::kUint64},
                                 {"next file id", ColumnType::kUint64},
                                 {"changes", ColumnType::kText}});
    ManifestState state;
    const auto visit = [&](const ManifestRecord& record) {
        edits.number(record.offset).number(record.bytes).number(record.number);
        edits.number(record.next_file_id).text(describe_edit(record.edit));
        apply_edit(state, record.edit);
        state.next_file_id = record.next_file_id;
    };
    uint64_t end = kFileHeaderBytes;
    const auto read = decode_edits(file, header.store, header.file_id, end, visit);
    edits.show(sink);
    const uint64_t torn = torn_edit_bytes(file, end);
    show_state(state, torn, sink);
    if (read && torn != 0) {
        InspectNotes notes;
        notes.add(end, fmt::format("{} bytes are no whole edit and do not count", torn));
        notes.show(sink);
    }
    return read ? Status() : Status(read.error());
}

void show_catalog(const CatalogCheckpoint& checkpoint, InspectSink& sink) {
    const Catalog& catalog = checkpoint.catalog;
    InspectTable runs("runs", {{"id", ColumnType::kUint64},
                               {"run", ColumnType::kText},
                               {"state", ColumnType::kText},
                               {"created", ColumnType::kTime},
                               {"created at", ColumnType::kUint64},
                               {"attempt", ColumnType::kUint64},
                               {"parent run", ColumnType::kUint64},
                               {"parent attempt", ColumnType::kUint64},
                               {"opened at", ColumnType::kUint64}});
    for (const auto& run : catalog.runs()) {
        for (const Attempt& attempt : run->attempts) {
            runs.number(run->id).text(run->path()).text(run_state_name(run->state));
            runs.time(run->created_us).number(run->created_sequence).number(attempt.number);
            runs.number(attempt.parent_run).number(attempt.parent_attempt);
            runs.number(attempt.opened_sequence);
        }
    }
    runs.show(sink);
    InspectTable schemas = schema_table();
    for (const StoredSchema& stored : catalog.schemas()) {
        add_schema(schemas, stored.id, *stored.schema);
    }
    schemas.show(sink);
    InspectTable writers("writers", {{"writer", ColumnType::kText},
                                     {"run", ColumnType::kUint64},
                                     {"last frame", ColumnType::kUint64},
                                     {"time", ColumnType::kTime}});
    for (const auto& [key, state] : checkpoint.writers.states()) {
        writers.text(key.writer.to_hex()).number(key.run).number(state.published_number);
        writers.time(state.last_frame_us);
    }
    writers.show(sink);
    InspectTable keys("highest keys", {{"run", ColumnType::kUint64},
                                       {"attempt", ColumnType::kUint64},
                                       {"schema", ColumnType::kUint64},
                                       {"key", ColumnType::kText}});
    for (const HighestKey& highest : checkpoint.highest_keys.value_or(std::vector<HighestKey>())) {
        keys.number(highest.run).number(highest.attempt).number(highest.schema);
        const StoredSchema* schema = catalog.find_schema(highest.schema);
        const Axis axis = schema != nullptr ? schema->schema->axis() : Axis::kStepped;
        keys.text(key_text(axis, highest.key));
    }
    keys.show(sink);
}

Status inspect_catalog(Bytes file, const FileHeader& header, InspectSink& sink) {
    TRY_ASSIGN(const CatalogCheckpoint checkpoint,
               decode_catalog_body(file, header.store, header.file_id, header.version));
    InspectRecord record("catalog");
    record.number("checkpoint", header.details[0])
        .number("runs", checkpoint.catalog.runs().size())
        .number("schemas", checkpoint.catalog.schema_count())
        .number("writers", checkpoint.writers.size())
        .number("next run id", checkpoint.catalog.next_run_id())
        .number("next schema id", checkpoint.catalog.next_schema_id())
        .show(sink);
    show_catalog(checkpoint, sink);
    return {};
}

// What follows the header; `header` may be that of a damaged page, of which `head` tells.
Status inspect_body(const FileKind& kind, Bytes file, const FileHeader& header, Status head,
                    const InspectOptions& options, InspectSink& sink) {
    if (kind.magic == kLogKind.magic) {
        return inspect_log(file, header, std::move(head), sink);
    }
    keep_first(head, kind.magic == kManifestKind.magic ? inspect_manifest(file, header, sink)
                     : kind.magic == kCatalogKind.magic
                         ? inspect_catalog(file, header, sink)
                         : inspect_segment(file, header, options, sink));
    return head;
}

}  // namespace

InspectTable::InspectTable(std::string name, std::vector<ResultColumn> columns)
    : name_(std::move(name)), columns_(std::move(columns)), block_(columns_) {}

ColumnCells& InspectTable::next() {
    ColumnCells& cells = block_.column(column_);
    column_ = (column_ + 1) % columns_.size();
    return cells;
}

InspectTable& InspectTable::text(std::string_view value) {
    next().append_text(value);
    return *this;
}
InspectTable& InspectTable::number(uint64_t value) {
    next().append_uint64(value);
    return *this;
}
InspectTable& InspectTable::time(int64_t time_us) {
    next().append_time(time_us);
    return *this;
}
InspectTable& InspectTable::nothing() {
    next().append_null();
    return *this;
}

InspectRecord::Cell& InspectRecord::add(std::string field, ColumnType type) {
    columns_.emplace_back(std::move(field), type);
    cells_.emplace_back().type = type;
    return cells_.back();
}
InspectRecord& InspectRecord::text(std::string field, std::string value) {
    add(std::move(field), ColumnType::kText).text = std::move(value);
    return *this;
}
InspectRecord& InspectRecord::number(std::string field, uint64_t value) {
    add(std::move(field), ColumnType::kUint64).number = value;
    return *this;
}
InspectRecord& InspectRecord::time(std::string field, int64_t time_us) {
    add(std::move(field), ColumnType::kTime).time_us = time_us;
    return *this;
}

void InspectRecord::show(InspectSink& sink) {
    ResultBlock block(columns_);
    for (size_t i = 0; i < cells_.size(); ++i) {
        switch (cells_[i].type) {
            case ColumnType::kUint64:
                block.column(i).append_uint64(cells_[i].number);
                break;
            case ColumnType::kTime:
                block.column(i).append_time(cells_[i].time_us);
                break;
            default:
                block.column(i).append_text(cells_[i].text);
        }
    }
    sink.part(name_, true, columns_, block);
}

void InspectNotes::add(uint64_t byte, std::string_view what) {
    table_.number(byte).text(what);
    any_ = true;
}

void InspectNotes::show(InspectSink& sink) {
    if (any_) {
        table_.show(sink);
    }
}

void keep_first(Status& first, const Status& later) {
    if (first) {
        first = later;
    }
}

InspectTable schema_table() {
    return InspectTable("schemas", {{"id", ColumnType::kUint64},
                                    {"axis", ColumnType::kText},
                                    {"metrics", ColumnType::kUint64},
                                    {"first metric", ColumnType::kText},
                                    {"hash", ColumnType::kText}});
}

void add_schema(InspectTable& table, uint64_t id, const Schema& schema) {
    table.number(id).text(axis_name(schema.axis())).number(schema.width());
    table.text(schema.metric(0)).text(schema.hash().to_hex());
}

std::string axis_name(Axis axis) {
    return axis == Axis::kStepped ? "stepped" : "timed";
}

std::string key_text(Axis axis, Key key) {
    return axis == Axis::kStepped ? fmt::format("{}", step_of_key(key)) : fmt::format("{} us", key);
}

Status inspect_header(const FileKind& kind, Bytes file, FileHeader& header, InspectSink& sink) {
    if (file.size() < kFileHeaderBytes) {
        return make_error(ErrorCode::kCorruption,
                          "byte {}: the file ends here, within its header of {} bytes", file.size(),
                          kFileHeaderBytes);
    }
    ByteReader reader(file.subspan(kMagicBytes));
    header.version = reader.get<uint32_t>();
    reader.skip(sizeof(uint32_t));
    header.compatible_features = reader.get<uint64_t>();
    header.incompatible_features = reader.get<uint64_t>();
    std::ranges::copy(reader.get_bytes(16), header.store.bytes.begin());
    header.file_id = reader.get<uint64_t>();
    for (uint64_t& detail : header.details) {
        detail = reader.get<uint64_t>();
    }
    InspectRecord record("header");
    record.text("kind", std::string(kind.name))
        .number("version", header.version)
        .text("store", header.store.to_hex())
        .number("file id", header.file_id)
        .number("bytes", file.size());
    if (kind.magic == kLogKind.magic) {
        record.number("epoch", header.details[0])
            .number("bytes made", header.details[1])
            .text("recycled", header.details[2] == 0 ? "no" : "yes");
    }
    record.show(sink);
    const Result<FileHeader> checked = decode_file_header(kind, file.first(kFileHeaderBytes));
    return checked ? Status() : Status(checked.error().within("byte 0"));
}

namespace {

// By the first bytes, or, if they are of no kind, by the file's name.
std::optional<FileKind> find_kind(std::string_view magic, std::string_view name) {
    constexpr FileKind kKinds[] = {kManifestKind, kCatalogKind, kLogKind, kSegmentFileKind};
    for (const FileKind& kind : kKinds) {
        if (magic == kind.magic) {
            return kind;
        }
    }
    for (const FileKind& kind : kKinds) {
        if (parse_file_name(name, fmt::format("{}-", kind.name))) {
            return kind;
        }
    }
    return std::nullopt;
}

Status inspect_kind(const FileKind& kind, Bytes file, const InspectOptions& options,
                    InspectSink& sink) {
    if (options.block && kind.magic != kSegmentFileKind.magic) {
        return make_error(ErrorCode::kInvalidArgument, "a {} has no blocks", kind.name);
    }
    SilentSink silent;
    FileHeader header;
    Status status = inspect_header(kind, file, header,
                                   options.block ? static_cast<InspectSink&>(silent) : sink);
    const bool is_intact = status.has_value();
    if (file.size() >= kFileHeaderBytes &&
        (is_intact || status.error().code() != ErrorCode::kUnsupportedVersion)) {
        status = inspect_body(kind, file, header, std::move(status), options, sink);
    }
    if (is_intact && kind.magic == kLogKind.magic && header.details[1] > file.size()) {
        keep_first(status, make_error(ErrorCode::kCorruption,
                                      "byte {}: the file ends here; it was made with {} bytes and "
                                      "has been cut off",
                                      file.size(), header.details[1]));
    }
    return status;
}

}  // namespace

Status inspect_file(Bytes file, const InspectOptions& options, InspectSink& sink) {
    if (options.name == kLockName) {
        return make_error(
            ErrorCode::kInvalidArgument,
            "there is nothing in it: the process that has the store open holds a lock "
            "on it");
    }
    if (options.name == kReserveName) {
        return make_error(ErrorCode::kInvalidArgument,
                          "there is nothing in it: it keeps room on the disk for deletes");
    }
    const std::string_view magic = as_text(file.first(std::min(file.size(), kMagicBytes)));
    if (magic == "manifest" || options.name == kCurrentName) {
        return inspect_current(file, sink);
    }
    if (const auto kind = find_kind(magic, options.name)) {
        return inspect_kind(*kind, file, options, sink);
    }
    if (file.empty()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "0 bytes: of a store's files only LOCK is empty");
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "no file of a store: it begins with '{}', where a log, segment, catalog or "
                      "manifest has STEPDB and two letters",
                      printable(magic));
}

}  // namespace stepdb
