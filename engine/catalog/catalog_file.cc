#include "engine/catalog/catalog_file.h"

#include "engine/base/lz4.h"
#include "engine/model/file_header.h"

namespace stepdb {

namespace {

constexpr size_t kLengthsBytes = 16;
constexpr size_t kPrefixBytes = kLengthsBytes + 8;
// A catalog of a million runs is some 200 MB; above LZ4's own limit it would need pieces.
constexpr size_t kHighestKeyBytes = 28;
constexpr uint64_t kRawBytesMax = 0x7E000000;

uint64_t body_checksum(Bytes lengths, Bytes compressed, uint64_t seed) {
    return xxh3(compressed, xxh3(lengths, seed));
}

Result<CatalogCheckpoint> decode_body(Bytes body, uint32_t version) {
    ByteReader reader(body);
    const auto catalog_bytes = reader.get<uint64_t>();
    const Bytes catalog = reader.get_bytes(catalog_bytes);
    if (reader.failed()) {
        return make_error(ErrorCode::kCorruption, "catalog of {} bytes in a body of {}",
                          catalog_bytes, body.size());
    }
    CatalogCheckpoint checkpoint;
    TRY_ASSIGN(checkpoint.catalog, Catalog::decode(catalog, version));
    TRY_ASSIGN(checkpoint.writers, WriterTable::decode(reader));
    if (version >= 2) {
        TRY(checkpoint.activities.decode(reader));
    }
    if (version < 2 && reader.finished()) {
        return checkpoint;
    }
    const auto count = reader.get<uint64_t>();
    if (reader.failed() || count > reader.remaining() / kHighestKeyBytes ||
        reader.remaining() != count * kHighestKeyBytes) {
        return make_error(ErrorCode::kCorruption, "{} highest keys in {} bytes behind the writers",
                          count, reader.remaining());
    }
    std::vector<HighestKey>& keys = checkpoint.highest_keys.emplace(count);
    for (HighestKey& key : keys) {
        key.run = reader.get<uint64_t>();
        key.schema = reader.get<uint64_t>();
        key.attempt = reader.get<uint32_t>();
        key.key = reader.get<int64_t>();
    }
    return checkpoint;
}

// What a file holds behind its header, verified.
struct PackedBody {
    Bytes compressed;
    uint64_t raw_bytes = 0;
};

Result<PackedBody> find_body(Bytes file, const Id128& store, uint64_t file_id) {
    if (file.size() < kFileHeaderBytes + kPrefixBytes) {
        return make_error(ErrorCode::kCorruption, "{} bytes; at least {} are there in a whole one",
                          file.size(), kFileHeaderBytes + kPrefixBytes);
    }
    ByteReader reader(file.subspan(kFileHeaderBytes));
    const Bytes lengths = reader.get_bytes(kLengthsBytes);
    const auto raw_bytes = load_le<uint64_t>(lengths.data());
    const auto compressed_bytes = load_le<uint64_t>(lengths.data() + 8);
    const auto checksum = reader.get<uint64_t>();
    if (compressed_bytes != reader.remaining() || raw_bytes > kRawBytesMax) {
        return make_error(ErrorCode::kCorruption,
                          "byte {}: a body of {} bytes that unpacks to {}, where {} are there",
                          kFileHeaderBytes, compressed_bytes, raw_bytes, reader.remaining());
    }
    const Bytes compressed = reader.get_bytes(compressed_bytes);
    const uint64_t seed = place_seed(store, file_id, kFileHeaderBytes);
    const uint64_t actual = body_checksum(lengths, compressed, seed);
    if (actual != checksum) {
        return make_error(ErrorCode::kCorruption,
                          "byte {}: body checksum {:016x}, expected {:016x}", kFileHeaderBytes,
                          actual, checksum);
    }
    return PackedBody{compressed, raw_bytes};
}

// The header of this file.
Result<FileHeader> check_header(Bytes file, const Id128& store, uint64_t file_id) {
    if (file.size() < kFileHeaderBytes) {
        return make_error(ErrorCode::kCorruption, "{} bytes; its header alone has {}", file.size(),
                          kFileHeaderBytes);
    }
    TRY_ASSIGN(const FileHeader header,
               decode_file_header(kCatalogKind, file.first(kFileHeaderBytes)));
    TRY(check_file_owner(kCatalogKind, header, store, file_id));
    return header;
}

}  // namespace

Status check_catalog_file(Bytes file, const Id128& store, uint64_t file_id) {
    TRY(check_header(file, store, file_id));
    TRY(find_body(file, store, file_id));
    return {};
}

Result<CatalogCheckpoint> decode_catalog_body(Bytes file, const Id128& store, uint64_t file_id,
                                              uint32_t version) {
    TRY_ASSIGN(const PackedBody body, find_body(file, store, file_id));
    const Result<std::vector<std::byte>> raw = lz4_decompress(body.compressed, body.raw_bytes);
    if (!raw) {
        return Error(ErrorCode::kCorruption, raw.error().message());
    }
    return decode_body(*raw, version);
}

Result<CatalogCheckpoint> decode_catalog_file(Bytes file, const Id128& store, uint64_t file_id,
                                              uint64_t* sequence) {
    TRY_ASSIGN(const FileHeader header, check_header(file, store, file_id));
    if (sequence != nullptr) {
        *sequence = header.details[0];
    }
    return decode_catalog_body(file, store, file_id, header.version);
}

std::vector<std::byte> encode_checkpoint(const Catalog& catalog, const WriterTable& writers,
                                         const RunActivities& activities,
                                         const std::vector<HighestKey>& highest_keys) {
    ByteWriter writer;
    writer.put(uint64_t{0});
    catalog.encode(writer);
    writer.patch(0, static_cast<uint64_t>(writer.bytes().size() - sizeof(uint64_t)));
    writers.encode(writer);
    activities.encode(writer);
    writer.put(static_cast<uint64_t>(highest_keys.size()));
    for (const HighestKey& key : highest_keys) {
        writer.put(key.run);
        writer.put(key.schema);
        writer.put(key.attempt);
        writer.put(key.key);
    }
    return writer.take();
}

Task<Status> write_catalog_file(FileSystem& files, std::string path, Id128 store, uint64_t file_id,
                                uint64_t sequence, std::vector<std::byte> body) {
    if (body.size() > kRawBytesMax) {
        co_return make_error(ErrorCode::kResourceExhausted,
                             "{}: a catalog of {} bytes; at most {} fit a checkpoint", path,
                             body.size(), kRawBytesMax);
    }
    FileHeader header;
    header.version = kCatalogKind.version;
    header.store = store;
    header.file_id = file_id;
    header.details[0] = sequence;
    const std::vector<std::byte> compressed = lz4_compress(body);
    ByteWriter writer;
    writer.put_bytes(encode_file_header(kCatalogKind, header));
    writer.put(static_cast<uint64_t>(body.size()));
    writer.put(static_cast<uint64_t>(compressed.size()));
    const Bytes lengths = writer.bytes().subspan(kFileHeaderBytes);
    writer.put(body_checksum(lengths, compressed, place_seed(store, file_id, kFileHeaderBytes)));
    writer.put_bytes(compressed);

    Result<std::unique_ptr<File>> file = co_await files.open(path, OpenMode::kCreate);
    if (!file) {
        co_return file.error();
    }
    co_return co_await (*file)->write_synced(0, writer.bytes(), SyncSite::kCatalogData);
}

Task<Result<CatalogCheckpoint>> read_catalog_file(FileSystem& files, std::string path, Id128 store,
                                                  uint64_t file_id) {
    Result<std::unique_ptr<File>> file = co_await files.open(path, OpenMode::kRead);
    if (!file) {
        co_return make_error(ErrorCode::kCorruption,
                             "{}: named by the manifest and cannot be opened: {}", path,
                             file.error().message());
    }
    AlignedBuffer buffer((*file)->size());
    const MutableBytes whole = buffer.span().first((*file)->size());
    const Status read = co_await (*file)->read(0, whole);
    if (!read) {
        co_return read.error().within(path);
    }
    Result<CatalogCheckpoint> checkpoint = decode_catalog_file(whole, store, file_id);
    if (!checkpoint) {
        co_return checkpoint.error().within(path);
    }
    co_return checkpoint;
}

}  // namespace stepdb
