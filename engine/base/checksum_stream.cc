#include "engine/base/checksum_stream.h"

#include <xxhash.h>
// Behind it: the variant for this processor takes the place of the one for any.
#include <xxh_x86dispatch.h>

#include "engine/base/check.h"

namespace stepdb {

void ChecksumStream::Free::operator()(XXH3_state_s* state) const {
    XXH3_freeState(state);
}

ChecksumStream::ChecksumStream() : state_(XXH3_createState()) {
    CHECK(state_ != nullptr, "no memory for the state of a checksum");
    begin(0);
}

void ChecksumStream::begin(uint64_t seed) {
    XXH3_64bits_reset_withSeed(state_.get(), seed);
}

void ChecksumStream::add(Bytes bytes) {
    XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
}

uint64_t ChecksumStream::value() const {
    return XXH3_64bits_digest(state_.get());
}

}  // namespace stepdb
