// What handling secrets takes.
#pragma once

#include <array>

#include "engine/base/bytes.h"

namespace stepdb {

using Sha256 = std::array<std::byte, 32>;

Sha256 sha256(Bytes bytes);

// Takes the same time wherever the two differ, so that how long it took tells nothing of the
// secret.
bool equal_secretly(const Sha256& a, const Sha256& b);

}  // namespace stepdb
