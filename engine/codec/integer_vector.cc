#include "engine/codec/integer_vector.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "engine/base/check.h"
#include "engine/codec/bit_packing.h"
#include "engine/codec/varint.h"

namespace stepdb {

namespace {

constexpr size_t kBuckets = 32;
constexpr unsigned kBucketBits = 5;

// Zigzag of U taken as a signed number.
template <typename U>
uint64_t zigzag_of(U value) {
    return zigzag(static_cast<int64_t>(static_cast<std::make_signed_t<U>>(value)));
}

// A patched residual less than `width` bits beyond the base takes at most this: position, varint.
size_t patch_bits(unsigned width) {
    return 8 + size_t{8} * ((width + 1 + 6) / 7);
}

template <typename U>
unsigned width_of(std::make_signed_t<U> low, std::make_signed_t<U> high) {
    return static_cast<unsigned>(
        std::bit_width(static_cast<U>(static_cast<U>(high) - static_cast<U>(low))));
}

// sums[b] is the number of residuals in the buckets below b.
using BucketSums = std::array<int16_t, kBuckets + 1>;

template <typename U>
BucketSums count_buckets(const U* residuals, size_t count, U low, U range, unsigned shift) {
    // Four tables, so that equal neighbours need not wait for each other's increment.
    std::array<std::array<uint16_t, kBuckets>, 4> tables{};
    for (size_t i = 0; i < count; ++i) {
        const U beyond = static_cast<U>(residuals[i] - low);
        if (beyond <= range) {
            ++tables[i % 4][beyond >> shift];
        }
    }
    BucketSums sums{};
    for (size_t b = 0; b < kBuckets; ++b) {
        sums[b + 1] = static_cast<int16_t>(sums[b] + tables[0][b] + tables[1][b] + tables[2][b] +
                                           tables[3][b]);
    }
    return sums;
}

struct FullestWindow {
    size_t bucket;
    size_t inside;
};

// The first window of `span` buckets that holds most.
FullestWindow fullest_window(const BucketSums& sums, size_t span) {
    // Count and bucket in one number: 256 * 64 fits, and the loop is a plain maximum.
    int16_t best = 0;
    for (size_t b = 0; b + span <= kBuckets; ++b) {
        const auto inside = static_cast<int16_t>(sums[b + span] - sums[b]);
        best =
            std::max(best, static_cast<int16_t>(inside * 64 + static_cast<int16_t>(kBuckets - b)));
    }
    return {kBuckets - static_cast<size_t>(best % 64), static_cast<size_t>(best / 64)};
}

template <typename U>
void find_range(const U* values, size_t count, std::make_signed_t<U>& low,
                std::make_signed_t<U>& high) {
    using S = std::make_signed_t<U>;
    low = std::numeric_limits<S>::max();
    high = std::numeric_limits<S>::min();
    for (size_t i = 0; i < count; ++i) {
        const auto value = static_cast<S>(values[i]);
        low = std::min(low, value);
        high = std::max(high, value);
    }
}

}  // namespace

// A range of residuals that are packed; the others are patched.
template <typename U>
struct IntegerVectorPlan<U>::Window {
    S low;
    S high;
    unsigned width;
    size_t outside;
    size_t bits;  // of packed and patched residuals
};

// Finds out whether fewer bits for most pay for patches of some: counts the residuals in equal
// buckets over the range, and slides windows of half, a quarter, ... of it over them. Only a window
// of a single bucket may hide a still better one and is looked into again.
template <typename U>
auto IntegerVectorPlan<U>::trim(const U* residuals, size_t count, Window window) const -> Window {
    constexpr int kRoundsMax = 16;
    const unsigned whole_width = window.width;
    for (int round = 0; round < kRoundsMax && window.width > 0; ++round) {
        const unsigned shift = window.width > kBucketBits ? window.width - kBucketBits : 0;
        const U low = static_cast<U>(window.low);
        const U range = static_cast<U>(static_cast<U>(window.high) - low);
        const BucketSums sums = count_buckets(residuals, count, low, range, shift);
        Window best = window;
        for (unsigned width = shift; width < window.width; ++width) {
            const auto [bucket, inside] = fullest_window(sums, size_t{1} << (width - shift));
            const size_t outside = count - inside;
            const size_t bits = count * width + outside * patch_bits(whole_width);
            if (bits < best.bits && outside < kPackedValuesMax) {
                const U from = static_cast<U>(low + (static_cast<U>(bucket) << shift));
                const U to = static_cast<U>(from + ((U{1} << width) - 1));
                best = {static_cast<S>(from), static_cast<S>(to), width, outside, bits};
            }
        }
        const bool improved = best.bits != window.bits;
        window = best;
        if (!improved || window.width > shift) {
            break;
        }
    }
    return window;
}

template <typename U>
void IntegerVectorPlan<U>::consider(unsigned order, const U* residuals, size_t count, S low,
                                    S high) {
    const unsigned whole_width = count == 0 ? 0 : width_of<U>(low, high);
    if (count == 0) {
        low = high = 0;
    }
    Window window{low, high, whole_width, 0, count * whole_width};
    if (count >= 16 && whole_width > 1) {
        window = trim(residuals, count, window);
    }
    size_t bytes = 1 + varint_bytes(zigzag_of(static_cast<U>(window.low))) + (window.bits + 7) / 8;
    bytes += window.outside != 0 ? 1 : 0;
    for (unsigned i = 0; i < order; ++i) {
        bytes += varint_bytes(zigzag_of(first_[i]));
    }
    if (bytes < bytes_estimate_) {
        bytes_estimate_ = bytes;
        order_ = order;
        width_ = window.width;
        low_ = window.low;
        high_ = window.high;
        patched_ = window.outside != 0;
    }
}

template <typename U>
IntegerVectorPlan<U>::IntegerVectorPlan(const U* values, size_t count) : count_(count) {
    DCHECK(count >= 1 && count <= kPackedValuesMax, "{} values", count);
    std::copy_n(values, count, differences_[0].begin());
    first_[0] = values[0];
    S low = 0;
    S high = 0;
    find_range(values, count, low, high);
    const unsigned width0 = width_of<U>(low, high);
    consider(0, values, count, low, high);
    if (count < 3 || width_ == 0) {
        return;
    }
    for (size_t i = 0; i + 1 < count; ++i) {
        differences_[1][i] = static_cast<U>(values[i + 1] - values[i]);
    }
    first_[1] = differences_[1][0];
    find_range(differences_[1].data(), count - 1, low, high);
    const unsigned width1 = width_of<U>(low, high);
    consider(1, differences_[1].data(), count - 1, low, high);
    // Of noise the second differences are wider than the first; only smooth data gains.
    if (width1 == 0 || width1 >= width0) {
        return;
    }
    for (size_t i = 0; i + 2 < count; ++i) {
        differences_[2][i] = static_cast<U>(differences_[1][i + 1] - differences_[1][i]);
    }
    find_range(differences_[2].data(), count - 2, low, high);
    if (width_of<U>(low, high) <= width1) {
        consider(2, differences_[2].data(), count - 2, low, high);
    }
}

template <typename U>
uint8_t IntegerVectorPlan<U>::tag() const {
    return static_cast<uint8_t>(order_ | (patched_ ? kPatchedBit : 0U));
}

template <typename U>
std::byte* IntegerVectorPlan<U>::write(std::byte* out) const {
    const std::array<U, kPackedValuesMax>& residuals = differences_[order_];
    const size_t count = count_ - order_;
    *out++ = static_cast<std::byte>(width_);
    for (unsigned i = 0; i < order_; ++i) {
        out = write_varint(out, zigzag_of(first_[i]));
    }
    const U low = static_cast<U>(low_);
    out = write_varint(out, zigzag_of(low));

    std::array<U, kPackedValuesMax> packed;
    for (size_t i = 0; i < count; ++i) {
        packed[i] = static_cast<U>(residuals[i] - low);
    }
    if (patched_) {
        const U range = static_cast<U>(static_cast<U>(high_) - low);
        std::byte* const count_at = out++;
        std::array<U, kPackedValuesMax> patches;
        size_t patch_count = 0;
        for (size_t i = 0; i < count; ++i) {
            if (packed[i] > range) {
                *out++ = static_cast<std::byte>(i);
                patches[patch_count++] = packed[i];
                packed[i] = 0;
            }
        }
        CHECK(patch_count >= 1 && patch_count < kPackedValuesMax, "{} patches", patch_count);
        *count_at = static_cast<std::byte>(patch_count);
        for (size_t i = 0; i < patch_count; ++i) {
            out = write_varint(out, zigzag_of(patches[i]));
        }
    }
    pack_bits(packed.data(), count, width_, out);
    return out + packed_bytes(count, width_);
}

namespace {

template <typename U>
bool read_zigzag(ByteReader& reader, U& value) {
    uint64_t raw = 0;
    if (!read_varint(reader, raw)) {
        return false;
    }
    value = static_cast<U>(unzigzag(raw));
    return true;
}

template <typename U>
struct Patches {
    size_t count = 0;
    std::array<uint8_t, kPackedValuesMax> positions;
    std::array<U, kPackedValuesMax> residuals;

    bool read(ByteReader& reader, size_t residual_count) {
        count = reader.get<uint8_t>();
        const Bytes at = reader.get_bytes(count);
        if (reader.failed() || count == 0) {
            return false;
        }
        for (size_t i = 0; i < count; ++i) {
            positions[i] = static_cast<uint8_t>(at[i]);
            if (positions[i] >= residual_count || (i > 0 && positions[i] <= positions[i - 1]) ||
                !read_zigzag(reader, residuals[i])) {
                return false;
            }
        }
        return true;
    }
};

}  // namespace

template <typename U>
bool read_integer_vector(ByteReader& reader, uint8_t tag, size_t count, U* out) {
    const unsigned order = tag & kOrderMask;
    const unsigned width = reader.get<uint8_t>();
    if (order >= kRawOrder || order > count || width > std::numeric_limits<U>::digits) {
        return false;
    }
    std::array<U, 2> first{};
    for (unsigned i = 0; i < order; ++i) {
        if (!read_zigzag(reader, first[i])) {
            return false;
        }
    }
    U base = 0;
    if (!read_zigzag(reader, base)) {
        return false;
    }
    size_t residual_count = count - order;
    Patches<U> patches;
    if ((tag & kPatchedBit) != 0 && !patches.read(reader, residual_count)) {
        return false;
    }
    const Bytes bits = reader.get_bytes(packed_bytes(residual_count, width));
    if (reader.failed()) {
        return false;
    }
    unpack_bits(bits.data(), residual_count, width, out);
    for (size_t i = 0; i < patches.count; ++i) {
        out[patches.positions[i]] = patches.residuals[i];
    }
    for (size_t i = 0; i < residual_count; ++i) {
        out[i] = static_cast<U>(out[i] + base);
    }
    for (unsigned level = order; level > 0; --level) {
        U running = first[level - 1];
        for (size_t i = 0; i < residual_count; ++i) {
            const U next = static_cast<U>(running + out[i]);
            out[i] = running;
            running = next;
        }
        out[residual_count++] = running;
    }
    return true;
}

template class IntegerVectorPlan<uint32_t>;
template class IntegerVectorPlan<uint64_t>;
template bool read_integer_vector(ByteReader&, uint8_t, size_t, uint32_t*);
template bool read_integer_vector(ByteReader&, uint8_t, size_t, uint64_t*);

}  // namespace stepdb
