#include "engine/model/file_header.h"

#include <algorithm>

#include "engine/base/coding.h"
#include "engine/base/text.h"

namespace stepdb {

namespace {

constexpr size_t kMagicBytes = 8;
constexpr size_t kFieldsBytes = 88;
constexpr size_t kChecksumAt = kFileHeaderBytes - 8;

uint64_t header_checksum(Bytes page, const FileHeader& header) {
    return xxh3(page.first(kChecksumAt), place_seed(header.store, header.file_id, 0));
}

}  // namespace

std::vector<std::byte> encode_file_header(const FileKind& kind, const FileHeader& header) {
    CHECK(kind.magic.size() == kMagicBytes, "magic '{}'", kind.magic);
    ByteWriter writer;
    writer.put_bytes(as_bytes(kind.magic));
    writer.put(header.version);
    writer.put(static_cast<uint32_t>(kFileHeaderBytes));
    writer.put(header.compatible_features);
    writer.put(header.incompatible_features);
    writer.put_bytes(header.store.bytes);
    writer.put(header.file_id);
    for (const uint64_t detail : header.details) {
        writer.put(detail);
    }
    CHECK(writer.size() == kFieldsBytes, "header fields of {} bytes", writer.size());
    writer.put_zeros(kChecksumAt - kFieldsBytes);
    writer.put(header_checksum(writer.bytes(), header));
    return writer.take();
}

Result<FileHeader> decode_file_header(const FileKind& kind, Bytes page) {
    if (page.size() != kFileHeaderBytes) {
        return make_error(ErrorCode::kCorruption, "{} header has {} bytes, expected {}", kind.name,
                          page.size(), kFileHeaderBytes);
    }
    ByteReader reader(page);
    const std::string_view magic = as_text(reader.get_bytes(kMagicBytes));
    if (magic != kind.magic) {
        return make_error(ErrorCode::kCorruption,
                          "not a {} file: it begins with '{}', expected '{}'", kind.name,
                          printable(magic), kind.magic);
    }
    FileHeader header;
    header.version = reader.get<uint32_t>();
    const auto header_bytes = reader.get<uint32_t>();
    header.compatible_features = reader.get<uint64_t>();
    header.incompatible_features = reader.get<uint64_t>();
    std::ranges::copy(reader.get_bytes(16), header.store.bytes.begin());
    header.file_id = reader.get<uint64_t>();
    for (uint64_t& detail : header.details) {
        detail = reader.get<uint64_t>();
    }
    const auto stored = load_le<uint64_t>(page.data() + kChecksumAt);
    const uint64_t computed = header_checksum(page, header);
    if (stored != computed) {
        return make_error(ErrorCode::kCorruption, "{} header: checksum {:016x}, expected {:016x}",
                          kind.name, computed, stored);
    }
    const uint64_t unknown = header.incompatible_features & ~kind.incompatible_known;
    if (header.version == 0 || header.version > kind.version || unknown != 0 ||
        header_bytes != kFileHeaderBytes) {
        return make_error(
            ErrorCode::kUnsupportedVersion,
            "{} format version {} with unknown incompatible features {:#x} and a header of {} "
            "bytes; this program reads versions 1 to {} with the features {:#x}: a newer StepDB "
            "wrote it, open the store with that one or a newer one",
            kind.name, header.version, unknown, header_bytes, kind.version,
            kind.incompatible_known);
    }
    const Bytes reserved = page.subspan(kFieldsBytes, kChecksumAt - kFieldsBytes);
    if (std::ranges::any_of(reserved, [](std::byte byte) { return byte != std::byte{0}; })) {
        return make_error(ErrorCode::kCorruption, "{} header: reserved bytes are not zero",
                          kind.name);
    }
    return header;
}

Status check_file_owner(const FileKind& kind, const FileHeader& header, const Id128& store,
                        uint64_t file_id) {
    if (header.store != store) {
        return make_error(ErrorCode::kCorruption, "{} file belongs to store {}, expected {}",
                          kind.name, header.store.to_hex(), store.to_hex());
    }
    if (header.file_id != file_id) {
        return make_error(ErrorCode::kCorruption, "{} file has file id {}, expected {}", kind.name,
                          header.file_id, file_id);
    }
    return {};
}

}  // namespace stepdb
