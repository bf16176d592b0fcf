#include "tools/import/proto_reader.h"

#include "engine/base/coding.h"

namespace stepdb {

namespace {

constexpr uint64_t kFieldNumberMax = (1U << 29U) - 1;
constexpr unsigned kVarintBits = 64;

}  // namespace

Result<uint64_t> ProtoReader::varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < kVarintBits; shift += 7) {
        if (rest_.empty()) {
            return make_error(ErrorCode::kCorruption, "a number is cut off");
        }
        const auto byte = static_cast<uint64_t>(rest_.front());
        rest_ = rest_.subspan(1);
        value |= (byte & 0x7FU) << shift;
        if ((byte & 0x80U) == 0) {
            return value;
        }
    }
    return make_error(ErrorCode::kCorruption, "a number of more than 64 bits");
}

Result<Bytes> ProtoReader::take(uint64_t bytes) {
    if (bytes > rest_.size()) {
        return make_error(ErrorCode::kCorruption, "a field of {} bytes where {} are left", bytes,
                          rest_.size());
    }
    const Bytes taken = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return taken;
}

Result<bool> ProtoReader::next(ProtoField& field) {
    if (rest_.empty()) {
        return false;
    }
    TRY_ASSIGN(const uint64_t key, varint());
    if (key >> 3U == 0 || key >> 3U > kFieldNumberMax) {
        return make_error(ErrorCode::kCorruption, "no field can have the number {}", key >> 3U);
    }
    field.number = static_cast<uint32_t>(key >> 3U);
    field.type = static_cast<WireType>(key & 7U);
    field.bytes = {};
    field.scalar = 0;
    switch (field.type) {
        case WireType::kVarint: {
            TRY_ASSIGN(field.scalar, varint());
            return true;
        }
        case WireType::kFixed64: {
            TRY_ASSIGN(const Bytes eight, take(8));
            field.scalar = load_le<uint64_t>(eight.data());
            return true;
        }
        case WireType::kFixed32: {
            TRY_ASSIGN(const Bytes four, take(4));
            field.scalar = load_le<uint32_t>(four.data());
            return true;
        }
        case WireType::kBytes: {
            TRY_ASSIGN(const uint64_t bytes, varint());
            TRY_ASSIGN(field.bytes, take(bytes));
            return true;
        }
    }
    return make_error(ErrorCode::kCorruption, "a field of the unknown wire type {}", key & 7U);
}

}  // namespace stepdb
