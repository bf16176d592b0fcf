// The first 4 KiB of every file of a store: what it is, which version, whose it is. docs/format.md,
// "Common file header".
//
//   offset  size
//        0     8  magic                  by kind of file, e.g. "STEPDBSG"
//        8     4  version                of the kind's format
//       12     4  header bytes           4096
//       16     8  compatible features    unknown bits may be ignored
//       24     8  incompatible features  unknown bits: the file must not be read
//       32    16  store                  UUID of the store
//       48     8  file id                unique in the store, never reused
//       56    32  details                four u64 by kind of file, 0 where it gives no meaning
//       88  4000  reserved               0
//     4088     8  checksum               XXH3-64 of bytes 0..4087, seeded with the place (store,
//                                        file id, offset 0)
//
// This layout is the same in every version of every kind, so that an old program can say by name
// that a file is too new for it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/checksum.h"
#include "engine/base/result.h"

namespace stepdb {

inline constexpr size_t kFileHeaderBytes = kPageBytes;

// One kind of file, as this program knows it; a constant of the kind's *_format.h.
struct FileKind {
    std::string_view magic;  // 8 bytes
    std::string_view name;   // for messages: "segment", "log"
    uint32_t version = 1;    // newest version that is read, and the one that is written
    uint64_t compatible_known = 0;
    uint64_t incompatible_known = 0;
};

struct FileHeader {
    uint32_t version = 1;
    uint64_t compatible_features = 0;
    uint64_t incompatible_features = 0;
    Id128 store;
    uint64_t file_id = 0;
    std::array<uint64_t, 4> details{};
};

// kFileHeaderBytes bytes.
std::vector<std::byte> encode_file_header(const FileKind& kind, const FileHeader& header);

// Reads and checks a header page. kCorruption if it is not the header of such a file or was
// damaged, kUnsupportedVersion if it is intact but newer than this program. Messages name the kind
// but not the path: the caller adds it with within(path).
Result<FileHeader> decode_file_header(const FileKind& kind, Bytes page);

// kCorruption if an intact header belongs to another store or is that of another file.
Status check_file_owner(const FileKind& kind, const FileHeader& header, const Id128& store,
                        uint64_t file_id);

}  // namespace stepdb
