// The checksum of bytes that do not lie in one piece.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/base/bytes.h"

struct XXH3_state_s;

namespace stepdb {

// What xxh3() says of all bytes added since begin(), one behind the other.
class ChecksumStream {
  public:
    ChecksumStream();

    void begin(uint64_t seed);
    void add(Bytes bytes);
    uint64_t value() const;

  private:
    struct Free {
        void operator()(XXH3_state_s* state) const;
    };
    std::unique_ptr<XXH3_state_s, Free> state_;
};

}  // namespace stepdb
