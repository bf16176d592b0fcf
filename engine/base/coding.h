// Explicit little-endian reading and writing, for every byte that leaves the process.
//
// ByteWriter appends to a growing vector. ByteReader walks over untrusted bytes: a read past the
// end sets failed() and yields zeros, so a decoder may read a whole struct and ask once.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/check.h"

namespace stepdb {

static_assert(std::endian::native == std::endian::little,
              "StepDB's files and frames are little-endian and read in place");

template <typename T>
concept FixedWidth = std::is_arithmetic_v<T> || std::is_enum_v<T>;

template <FixedWidth T>
T load_le(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

template <FixedWidth T>
void store_le(std::byte* to, T value) {
    std::memcpy(to, &value, sizeof(T));
}

class ByteWriter {
  public:
    void reserve(size_t bytes) { bytes_.reserve(bytes); }
    template <FixedWidth T>
    void put(T value) {
        const size_t at = bytes_.size();
        bytes_.resize(at + sizeof(T));
        store_le(bytes_.data() + at, value);
    }
    void put_bytes(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
    // u32 length, then the bytes.
    void put_text(std::string_view text) {
        put(static_cast<uint32_t>(text.size()));
        put_bytes(as_bytes(text));
    }
    void put_zeros(size_t count) { bytes_.resize(bytes_.size() + count); }
    // Zeros up to the next multiple of `unit`.
    void align(size_t unit) { bytes_.resize(round_up(bytes_.size(), unit)); }
    // Overwrites what was put at `at`.
    template <FixedWidth T>
    void patch(size_t at, T value) {
        CHECK(at + sizeof(T) <= bytes_.size(), "patch at {} of {}", at, bytes_.size());
        store_le(bytes_.data() + at, value);
    }

    size_t size() const { return bytes_.size(); }
    Bytes bytes() const { return bytes_; }
    MutableBytes mutable_bytes() { return bytes_; }
    std::vector<std::byte> take() { return std::move(bytes_); }

  private:
    std::vector<std::byte> bytes_;
};

class ByteReader {
  public:
    explicit ByteReader(Bytes bytes) : bytes_(bytes) {}

    template <FixedWidth T>
    T get() {
        if (remaining() < sizeof(T)) {
            fail();
            return T{};
        }
        const T value = load_le<T>(bytes_.data() + at_);
        at_ += sizeof(T);
        return value;
    }
    Bytes get_bytes(size_t count) {
        if (remaining() < count) {
            fail();
            return {};
        }
        const Bytes bytes = bytes_.subspan(at_, count);
        at_ += count;
        return bytes;
    }
    // u32 length, then the bytes; a length above `bytes_max` fails.
    std::string_view get_text(size_t bytes_max) {
        const auto length = get<uint32_t>();
        if (length > bytes_max) {
            fail();
            return {};
        }
        return as_text(get_bytes(length));
    }
    void skip(size_t count) { get_bytes(count); }

    size_t position() const { return at_; }
    size_t remaining() const { return bytes_.size() - at_; }
    bool failed() const { return failed_; }
    // Everything was there, and nothing is left over.
    bool finished() const { return !failed_ && remaining() == 0; }

  private:
    void fail() {
        failed_ = true;
        at_ = bytes_.size();
    }

    Bytes bytes_;
    size_t at_ = 0;
    bool failed_ = false;
};

}  // namespace stepdb
