// Protocol buffers as they lie in bytes: numbered fields, one after the other. What the numbers
// mean is the caller's business. Nothing is copied, and no byte outside of what was given is looked
// at.
#pragma once

#include <cstdint>

#include "engine/base/bytes.h"
#include "engine/base/result.h"

namespace stepdb {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct ProtoField {
    uint32_t number = 0;
    WireType type = WireType::kVarint;
    uint64_t scalar = 0;  // of all but kBytes
    Bytes bytes;          // of kBytes
};

// Single-threaded.
class ProtoReader {
  public:
    explicit ProtoReader(Bytes message) : rest_(message) {}

    // Replaces `field`; false at the end. kCorruption, saying what, if this is no message; nothing
    // follows then.
    Result<bool> next(ProtoField& field);

    // A varint by itself, as packed fields have them.
    Result<uint64_t> varint();
    bool at_end() const { return rest_.empty(); }

  private:
    Result<Bytes> take(uint64_t bytes);

    Bytes rest_;
};

}  // namespace stepdb
