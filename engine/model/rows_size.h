// What a frame of rows will be once it is unpacked, by what it says of itself.
#pragma once

#include <cstddef>

#include "engine/base/bytes.h"

namespace stepdb {

// Bytes that the compressed part of a rows frame's body unpacks to as declared; 0 if nothing in it
// is compressed, if it is too short to tell, or if it declares more than decoding unpacks.
size_t unpacked_bytes_declared(Bytes body);

}  // namespace stepdb
