#include "tests/fuzz/fix_checksums.h"

#include <algorithm>

#include "engine/base/coding.h"
#include "engine/base/lz4.h"
#include "engine/codec/varint.h"
#include "engine/model/file_header.h"
#include "engine/model/frame.h"
#include "engine/segment/block_directory.h"
#include "engine/segment/segment_format.h"
#include "engine/wal/log_format.h"

namespace stepdb {

namespace {

constexpr size_t kPageChecksumAt = kPageBytes - 8;
constexpr size_t kEditHeaderBytes = 32;
constexpr size_t kCatalogPrefixBytes = 24;

using Buffer = std::vector<std::byte>;

uint64_t seed_at(Bytes file, uint64_t offset) {
    return place_seed(store_of(file), file_id_of(file), offset);
}

// A page of zeros that begins with `fields`.
void put_page(Buffer& out, Bytes fields) {
    const size_t at = out.size();
    out.insert(out.end(), fields.begin(), fields.end());
    out.resize(at + kPageBytes);
}

void fix_page(Buffer& file, uint64_t offset) {
    const Bytes covered = Bytes(file).subspan(offset, kPageChecksumAt);
    store_le(file.data() + offset + kPageChecksumAt, xxh3(covered, seed_at(file, offset)));
}

// The header page, and what is left of the entry.
Buffer begin_file(Bytes& compact) {
    Buffer file;
    const size_t fields = std::min(compact.size(), kCompactHeaderBytes);
    put_page(file, compact.first(fields));
    compact = compact.subspan(fields);
    fix_page(file, 0);
    return file;
}

Buffer begin_compact(Bytes file) {
    const Bytes fields = file.first(kCompactHeaderBytes);
    return {fields.begin(), fields.end()};
}

void append(Buffer& out, Bytes bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void fix_frame(std::byte* frame, size_t bytes) {
    const auto kind = static_cast<ChecksumKind>(frame[6]);
    if (kind == ChecksumKind::kXxh3 || kind == ChecksumKind::kCrc32) {
        store_le(frame + 8, frame_checksum(kind, {frame, bytes}));
    }
}

void fix_records(Buffer& file, uint64_t at, uint64_t end) {
    while (at + kRecordHeaderBytes <= end) {
        std::byte* record = file.data() + at;
        const auto bytes = load_le<uint32_t>(record);
        if (bytes >= kRecordHeaderBytes + kFrameHeaderBytes && bytes <= end - at) {
            std::byte* frame = record + kRecordHeaderBytes;
            fix_frame(frame, bytes - kRecordHeaderBytes);
            store_le(record + 80, load_le<uint64_t>(frame + 8));
        }
        store_le(record + 88, xxh3({record, 88}, seed_at(file, at)));
        if (bytes < kRecordHeaderBytes) {
            return;
        }
        at += round_up(bytes, 8);
    }
}

// Checksums of the strips, within a directory section at `at`.
void fix_directory(Buffer& file, const SegmentBlock& block) {
    const Bytes whole = file;
    const Bytes section = whole.subspan(block.directory_offset(), block.info.directory_bytes);
    const Result<BlockDirectory> directory = BlockDirectory::read(section, block.info);
    if (!directory) {
        return;
    }
    ByteReader reader(section);
    reader.skip(4);
    uint64_t skipped = 0;
    read_varint(reader, skipped);
    read_varint(reader, skipped);
    for (int part = 0; part < 2; ++part) {
        read_varint(reader, skipped);
        reader.skip(skipped);
    }
    uint64_t at = block.directory_offset() + reader.position();
    for (const Strip& strip : directory->strips()) {
        const Bytes bytes = whole.subspan(block.strips_offset() + strip.offset, strip.bytes);
        store_le(file.data() + at, xxh3(bytes, content_seed(block.info)));
        at += sizeof(uint64_t);
    }
}

// Sections of the blocks, as far as the index can be read.
void fix_blocks(Buffer& file, uint64_t index_offset, uint64_t index_bytes, uint64_t count,
                uint64_t end) {
    const Bytes index = Bytes(file).subspan(index_offset, index_bytes);
    const auto blocks = decode_block_index(index, count, end);
    if (!blocks) {
        return;
    }
    const uint64_t checksums = index_offset + index_bytes - count * 16;
    for (size_t i = 0; i < blocks->size(); ++i) {
        const SegmentBlock& block = (*blocks)[i];
        fix_directory(file, block);
        const Bytes axis = Bytes(file).subspan(block.offset, block.info.axis_bytes);
        const Bytes directory =
            Bytes(file).subspan(block.directory_offset(), block.info.directory_bytes);
        store_le(file.data() + checksums + i * 8, xxh3(axis, seed_at(file, block.offset)));
        store_le(file.data() + checksums + (count + i) * 8,
                 xxh3(directory, seed_at(file, block.directory_offset())));
    }
}

void fix_segment(Buffer& file) {
    const uint64_t footer = file.size() - kPageBytes;
    std::byte* fields = file.data() + footer;
    store_le(fields + 8, static_cast<uint64_t>(file.size()));
    const auto count = load_le<uint64_t>(fields + 16);
    const auto index_offset = load_le<uint64_t>(fields + 32);
    const auto index_bytes = load_le<uint64_t>(fields + 40);
    const auto names_offset = load_le<uint64_t>(fields + 56);
    const auto names_bytes = load_le<uint64_t>(fields + 64);
    if (index_offset <= footer && index_bytes <= footer - index_offset) {
        if (names_offset <= footer) {
            fix_blocks(file, index_offset, index_bytes, count, names_offset);
        }
        const Bytes index = Bytes(file).subspan(index_offset, index_bytes);
        store_le(fields + 48, xxh3(index, seed_at(file, index_offset)));
    }
    if (names_offset <= footer && names_bytes <= footer - names_offset) {
        const Bytes names = Bytes(file).subspan(names_offset, names_bytes);
        store_le(fields + 72, xxh3(names, seed_at(file, names_offset)));
    }
    fix_page(file, footer);
}

}  // namespace

Id128 store_of(Bytes file) {
    Id128 store;
    std::ranges::copy(file.subspan(32, 16), store.bytes.begin());
    return store;
}

uint64_t file_id_of(Bytes file) {
    return load_le<uint64_t>(file.data() + 48);
}

void fix_frames(Buffer& stream) {
    size_t at = 0;
    while (stream.size() - at >= kFrameHeaderBytes) {
        const auto length = load_le<uint32_t>(stream.data() + at);
        if (length < kFrameHeaderBytes || length > stream.size() - at) {
            return;
        }
        fix_frame(stream.data() + at, length);
        at += length;
    }
}

Buffer expand_log(Bytes compact) {
    Buffer file = begin_file(compact);
    while (!compact.empty()) {
        const uint64_t at = file.size();
        const size_t header_bytes = std::min(compact.size(), kGroupHeaderBytes);
        append(file, compact.first(header_bytes));
        compact = compact.subspan(header_bytes);
        if (header_bytes == kGroupHeaderBytes) {
            const auto declared = load_le<uint32_t>(file.data() + at + 44);
            const size_t bytes = std::min<size_t>(declared, compact.size());
            append(file, compact.first(bytes));
            compact = compact.subspan(bytes);
            fix_records(file, at + kGroupHeaderBytes, file.size());
            store_le(file.data() + at + 56, xxh3(Bytes(file).subspan(at, 56), seed_at(file, at)));
        }
        file.resize(round_up(file.size(), kPageBytes));
    }
    return file;
}

Buffer compact_log(Bytes file) {
    Buffer compact = begin_compact(file);
    const LogPlace place{store_of(file), file_id_of(file)};
    uint64_t at = kLogFirstGroupOffset;
    while (at + kGroupHeaderBytes <= file.size()) {
        const auto group = decode_group_header(file.subspan(at), place, at);
        if (!group) {
            break;
        }
        append(compact, file.subspan(at, kGroupHeaderBytes + group->record_bytes));
        at += group->bytes;
    }
    return compact;
}

Buffer expand_manifest(Bytes compact) {
    Buffer file = begin_file(compact);
    uint64_t at = file.size();
    append(file, compact);
    while (file.size() - at >= kEditHeaderBytes) {
        std::byte* edit = file.data() + at;
        const auto bytes = load_le<uint32_t>(edit);
        if (bytes > file.size() - at - kEditHeaderBytes) {
            break;
        }
        store_le(edit + 24,
                 xxh3({edit + kEditHeaderBytes, bytes}, xxh3({edit, 24}, seed_at(file, at))));
        at += kEditHeaderBytes + bytes;
    }
    return file;
}

Buffer compact_manifest(Bytes file) {
    Buffer compact = begin_compact(file);
    append(compact, file.subspan(kFileHeaderBytes));
    return compact;
}

Buffer expand_catalog(Bytes compact) {
    Buffer file = begin_file(compact);
    const Buffer packed = lz4_compress(compact);
    ByteWriter lengths;
    lengths.put(static_cast<uint64_t>(compact.size()));
    lengths.put(static_cast<uint64_t>(packed.size()));
    lengths.put(xxh3(packed, xxh3(lengths.bytes(), seed_at(file, kFileHeaderBytes))));
    append(file, lengths.bytes());
    append(file, packed);
    return file;
}

Buffer compact_catalog(Bytes file) {
    Buffer compact = begin_compact(file);
    const auto raw_bytes = load_le<uint64_t>(file.data() + kFileHeaderBytes);
    append(compact,
           lz4_decompress(file.subspan(kFileHeaderBytes + kCatalogPrefixBytes), raw_bytes).value());
    return compact;
}

Buffer expand_segment(Bytes compact) {
    Buffer file = begin_file(compact);
    const Bytes footer = compact.first(std::min(compact.size(), kCompactFooterBytes));
    append(file, compact.subspan(footer.size()));
    file.resize(round_up(file.size(), kPageBytes));
    put_page(file, footer);
    fix_segment(file);
    return file;
}

Buffer compact_segment(Bytes file) {
    Buffer compact = begin_compact(file);
    const Bytes footer = file.last(kPageBytes);
    append(compact, footer.first(kCompactFooterBytes));
    const uint64_t end =
        load_le<uint64_t>(footer.data() + 32) + load_le<uint64_t>(footer.data() + 40);
    append(compact, file.subspan(kFileHeaderBytes, end - kFileHeaderBytes));
    return compact;
}

}  // namespace stepdb
