// From what a fuzzer made up to bytes whose checksums are right, so that the decoders below them
// are reached; and the other way, from real files to corpus entries.
//
// Corpus entries are compact: pages of zeros are left out, since a mutation there says only that
// reserved bytes are checked.
#pragma once

#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/checksum.h"

namespace stepdb {

// The fields of a file header, which compact entries of files begin with.
inline constexpr size_t kCompactHeaderBytes = 88;
inline constexpr size_t kCompactFooterBytes = 80;

// Frames one after the other, as on a connection: the checksum of each whole one.
void fix_frames(std::vector<std::byte>& stream);

// The three files below begin with a header page; its checksum, store and file id are used.
// compact_*(expand_*(x)) is x but for checksums and, in a log, what lies between groups.
Id128 store_of(Bytes file);
uint64_t file_id_of(Bytes file);

// Header fields, then per group its header and its records, without the padding to pages.
std::vector<std::byte> expand_log(Bytes compact);
std::vector<std::byte> compact_log(Bytes file);

// Header fields, then the edits.
std::vector<std::byte> expand_manifest(Bytes compact);
std::vector<std::byte> compact_manifest(Bytes file);

// Header fields, then the unpacked body.
std::vector<std::byte> expand_catalog(Bytes compact);
std::vector<std::byte> compact_catalog(Bytes file);

// Header fields, footer fields, then blocks, names and index.
std::vector<std::byte> expand_segment(Bytes compact);
std::vector<std::byte> compact_segment(Bytes file);

}  // namespace stepdb
