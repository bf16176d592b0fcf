#include "engine/codec/bit_packing.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/coding.h"

namespace stepdb {

namespace {

// Eight values of width W are W whole bytes. Shifts and masks of such a group are constants of the
// compiler, which is what makes this fast without intrinsics.
constexpr size_t kGroup = 8;

template <unsigned W, size_t K>
void put_one(std::array<uint64_t, 9>& words, uint64_t value) {
    constexpr size_t kWord = K * W / 64;
    constexpr unsigned kShift = K * W % 64;
    words[kWord] |= value << kShift;
    if constexpr (kShift + W > 64) {
        words[kWord + 1] |= value >> (64 - kShift);
    }
}

template <typename U, unsigned W, size_t... K>
void pack_groups(const U* values, size_t groups, std::byte* out, std::index_sequence<K...>) {
    for (size_t g = 0; g < groups; ++g) {
        std::array<uint64_t, 9> words{};
        (put_one<W, K>(words, values[K]), ...);
        std::memcpy(out, words.data(), W);
        values += kGroup;
        out += W;
    }
}

// Reads up to 9 bytes past the value's own; the caller sees to it that they are there.
template <unsigned W, size_t K>
uint64_t get_one(const std::byte* in) {
    if constexpr (W == 0) {
        return 0;
    } else {
        constexpr size_t kByte = K * W / 8;
        constexpr unsigned kShift = K * W % 8;
        uint64_t word = load_le<uint64_t>(in + kByte) >> kShift;
        if constexpr (kShift + W > 64) {
            word |= static_cast<uint64_t>(in[kByte + 8]) << (64 - kShift);
        }
        return word & (~uint64_t{0} >> (64 - W));
    }
}

template <typename U, unsigned W, size_t... K>
void unpack_groups(const std::byte* in, size_t groups, U* out, std::index_sequence<K...>) {
    for (size_t g = 0; g < groups; ++g) {
        ((out[K] = static_cast<U>(get_one<W, K>(in))), ...);
        in += W;
        out += kGroup;
    }
}

template <typename U, unsigned W>
void pack_width(const U* values, size_t groups, std::byte* out) {
    pack_groups<U, W>(values, groups, out, std::make_index_sequence<kGroup>());
}
template <typename U, unsigned W>
void unpack_width(const std::byte* in, size_t groups, U* out) {
    unpack_groups<U, W>(in, groups, out, std::make_index_sequence<kGroup>());
}

template <typename U>
using PackFunction = void (*)(const U*, size_t, std::byte*);
template <typename U>
using UnpackFunction = void (*)(const std::byte*, size_t, U*);

template <typename U, unsigned... W>
constexpr auto pack_table(std::integer_sequence<unsigned, W...>) {
    return std::array<PackFunction<U>, sizeof...(W)>{&pack_width<U, W>...};
}
template <typename U, unsigned... W>
constexpr auto unpack_table(std::integer_sequence<unsigned, W...>) {
    return std::array<UnpackFunction<U>, sizeof...(W)>{&unpack_width<U, W>...};
}

template <typename U>
using Widths = std::make_integer_sequence<unsigned, std::numeric_limits<U>::digits + 1>;

}  // namespace

template <typename U>
void pack_bits(const U* values, size_t count, unsigned width, std::byte* out) {
    static constexpr auto kPack = pack_table<U>(Widths<U>());
    DCHECK(width < kPack.size(), "width {}", width);
    const size_t groups = count / kGroup;
    kPack[width](values, groups, out);
    const size_t rest = count % kGroup;
    if (rest != 0) {
        std::array<U, kGroup> padded{};
        std::copy_n(values + groups * kGroup, rest, padded.begin());
        std::array<std::byte, 64> bytes{};
        kPack[width](padded.data(), 1, bytes.data());
        std::copy_n(bytes.begin(), packed_bytes(rest, width), out + groups * width);
    }
}

template <typename U>
void unpack_bits(const std::byte* in, size_t count, unsigned width, U* out) {
    static constexpr auto kUnpack = unpack_table<U>(Widths<U>());
    constexpr size_t kOverread = 9;
    DCHECK(width < kUnpack.size(), "width {}", width);
    const size_t bytes = packed_bytes(count, width);
    size_t groups = count / kGroup;
    // Groups whose overread stays inside the stream are read in place.
    while (groups > 0 && groups * width + kOverread > bytes) {
        --groups;
    }
    kUnpack[width](in, groups, out);
    for (size_t at = groups * kGroup; at < count; at += kGroup) {
        const size_t here = std::min(kGroup, count - at);
        std::array<std::byte, 64 + kOverread + 7> padded{};
        std::copy_n(in + at / kGroup * width, packed_bytes(here, width), padded.begin());
        std::array<U, kGroup> values{};
        kUnpack[width](padded.data(), 1, values.data());
        std::copy_n(values.begin(), here, out + at);
    }
}

template void pack_bits(const uint32_t*, size_t, unsigned, std::byte*);
template void pack_bits(const uint64_t*, size_t, unsigned, std::byte*);
template void unpack_bits(const std::byte*, size_t, unsigned, uint32_t*);
template void unpack_bits(const std::byte*, size_t, unsigned, uint64_t*);

}  // namespace stepdb
