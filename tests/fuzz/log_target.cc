// The files that recovery reads besides segments: log, manifest, catalog and CURRENT. The first
// byte chooses the kind, the second whether checksums are put right.
#include <algorithm>

#include "engine/catalog/catalog_file.h"
#include "engine/manifest/manifest.h"
#include "engine/model/rows.h"
#include "engine/wal/log_reader.h"
#include "tests/fuzz/fix_checksums.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/inspect_quietly.h"

namespace stepdb {

namespace {

// As replay does, without a store to apply it to.
Status visit_record(const RecordHeader& header, Bytes frame) {
    TRY_ASSIGN(const FrameHeader frame_header, parse_frame_header(frame));
    const Bytes body = frame_body(frame);
    switch (frame_header.type) {
        case FrameType::kSchema: {
            TRY_ASSIGN(const SchemaFrame schema, SchemaFrame::decode(body));
            TRY_ASSIGN(const Schema decoded, Schema::decode(schema.piece));
            CHECK(decoded.width() > 0, "a schema of nothing");
            return {};
        }
        case FrameType::kOpenRun: {
            TRY_ASSIGN(const OpenRunFrame open, OpenRunFrame::decode(body));
            CHECK(open.first_number > 0, "first number 0");
            return {};
        }
        case FrameType::kRows: {
            TRY_ASSIGN(const RowsView::Head head, RowsView::decode_head(body));
            CHECK(head.rows > 0, "no rows in a frame of {} sequences", header.sequence_count);
            return {};
        }
        default:
            return {};
    }
}

void read_log(Bytes file) {
    const LogPlace place{store_of(file), file_id_of(file)};
    if (!decode_file_header(kLogKind, file.first(kFileHeaderBytes))) {
        return;
    }
    uint64_t first = 1;
    if (file.size() >= kLogFirstGroupOffset + kGroupHeaderBytes) {
        first = load_le<uint64_t>(file.data() + kLogFirstGroupOffset + 24);
    }
    const auto contents = parse_log(file, place, first, visit_record);
    if (contents) {
        CHECK(contents->end <= round_up(file.size(), kPageBytes), "end {} of {}", contents->end,
              file.size());
    }
}

void read_manifest(Bytes file) {
    uint64_t edits = 0;
    const auto loaded = decode_manifest(file, 0, [&](const ManifestRecord& record) {
        ++edits;
        CHECK(record.number == edits, "edit {} is the {}th", record.number, edits);
        CHECK(record.offset + record.bytes <= file.size(), "edit {}", edits);
    });
    CHECK(!loaded || edits > 0, "a manifest without edits was taken");
}

void read_catalog(Bytes file) {
    const auto checkpoint = decode_catalog_file(file, store_of(file), file_id_of(file));
    if (!checkpoint) {
        return;
    }
    // What was understood can be written and is understood again.
    ByteWriter encoded;
    checkpoint->catalog.encode(encoded);
    const auto again = Catalog::decode(encoded.bytes(), kCatalogKind.version);
    CHECK(again.has_value(), "{}", again.error().to_string());
    CHECK(again->runs().size() == checkpoint->catalog.runs().size() &&
              again->schema_count() == checkpoint->catalog.schema_count(),
          "{} runs", again->runs().size());
}

}  // namespace

// u8 kind, u8 how, then a compact file.
void fuzz_one(Bytes input) {
    if (input.size() < 2) {
        return;
    }
    const auto kind = static_cast<uint8_t>(input[0]) % 4;
    const bool damaged = static_cast<uint8_t>(input[1]) % 8 == 7;
    const Bytes rest = input.subspan(2);
    if (kind == 3) {
        static_cast<void>(decode_current(as_text(rest)).has_value());
        inspect_quietly(rest);
        return;
    }
    std::vector<std::byte> file = kind == 0   ? expand_log(rest)
                                  : kind == 1 ? expand_manifest(rest)
                                              : expand_catalog(rest);
    if (damaged && file.size() > kPageBytes) {
        // One byte, somewhere.
        const size_t at = static_cast<uint8_t>(input[1]) * size_t{977} % (file.size() - kPageBytes);
        file[kPageBytes + at] ^= std::byte{1};
    }
    inspect_quietly(file);
    switch (kind) {
        case 0:
            return read_log(file);
        case 1:
            return read_manifest(file);
        default:
            return read_catalog(file);
    }
}

}  // namespace stepdb
