#include "engine/codec/integer_vector.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "engine/base/check.h"
#include "engine/codec/bit_packing.h"
#include "engine/codec/varint.h"

namespace stepdb {

namespace {

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

// The fullest window of `span` buckets, given sums as of count_buckets: how many are within, times
// 64, plus kBuckets less its first bucket. 256 * 64 fits, and the loop is a plain maximum; the
// first of equals wins, and windows that reach beyond the last bucket never do.
int fullest_window(const std::array<int16_t, kBucketSums>& sums, size_t span) {
    const int16_t* const ends = sums.data() + span;
    int16_t best = 0;
    for (size_t b = 0; b < kBuckets; ++b) {
        const auto inside = static_cast<int16_t>(ends[b] - sums[b]);
        const auto key = static_cast<int16_t>(inside * 64 + static_cast<int16_t>(kBuckets - b));
        best = key > best ? key : best;
    }
    return best;
}

}  // namespace

// Finds out whether fewer bits for most pay for patches of some: counts the residuals in equal
// buckets over the range, and slides windows of half, a quarter, ... of it over them. Only a window
// of a single bucket may hide a still better one and is looked into again.
template <typename U>
void IntegerVectorPlan<U>::trim(const U* residuals, size_t count, Window& window) const {
    constexpr int kRoundsMax = 16;
    const size_t patch = patch_bits(window.width);
    for (int round = 0; round < kRoundsMax && window.width > 0; ++round) {
        const unsigned width = window.width;
        const unsigned shift = width > kBucketBits ? width - kBucketBits : 0;
        const U low = static_cast<U>(window.low);
        std::array<int16_t, kBucketSums> sums;
        word_kernels<U>().count_buckets(residuals, count, {window.low, window.high}, shift,
                                        sums.data());
        for (unsigned less = 1; less <= width - shift; ++less) {
            const int fullest = fullest_window(sums, size_t{1} << (width - less - shift));
            const size_t outside = count - static_cast<size_t>(fullest / 64);
            const size_t bits = count * (width - less) + outside * patch;
            if (bits < window.bits && outside < kPackedValuesMax) {
                const auto bucket = static_cast<U>(kBuckets - static_cast<unsigned>(fullest % 64));
                window.low = static_cast<S>(static_cast<U>(low + (bucket << shift)));
                window.width = width - less;
                window.high = static_cast<S>(
                    static_cast<U>(static_cast<U>(window.low) + ((U{1} << window.width) - 1)));
                window.outside = outside;
                window.bits = bits;
            }
            if (outside * patch >= count * kBucketBits) {
                break;  // Narrower windows have no fewer outside, and save no more than this.
            }
        }
        if (window.width == width || window.width > shift) {
            return;
        }
    }
}

template <typename U>
void IntegerVectorPlan<U>::consider(unsigned order, const U* residuals, size_t count,
                                    Extremes<U> range) {
    Window window;
    window.low = range.low;
    window.high = range.high;
    window.width = width_of<U>(range.low, range.high);
    window.bits = count * window.width;
    if (count >= 16 && window.width > 1) {
        trim(residuals, count, window);
    }
    size_t bytes = 1 + varint_bytes(zigzag_of(static_cast<U>(window.low))) + (window.bits + 7) / 8;
    bytes += window.outside != 0 ? 1 : 0;
    for (unsigned i = 0; i < order; ++i) {
        bytes += varint_bytes(zigzag_of(first_[i]));
    }
    if (bytes < bytes_estimate_) {
        bytes_estimate_ = bytes;
        order_ = order;
        window_ = window;
    }
}

// Whether differences of the values, of `width` bits, need no look at all: most neighbours in a
// sample are far apart.
template <typename U>
bool IntegerVectorPlan<U>::is_noise(unsigned width) const {
    constexpr unsigned kFar = 4;
    if (count_ < kNeighboursCountMin || width < kFar) {
        return false;
    }
    const U half = static_cast<U>(U{1} << (width - kFar));
    return 2 * word_kernels<U>().count_near_neighbours(values_, count_, half) <= kNeighbours;
}

// Whether values of some width need no look because of the width of their differences: values that
// take small steps are everywhere in their range, so that no window of it holds most of them.
template <typename U>
bool IntegerVectorPlan<U>::is_smooth(unsigned width, unsigned differences_width) const {
    return count_ >= 64 && differences_width + 4 <= width;
}

// Whether the first differences, of `width` bits, need a closer look, the values having been looked
// at: not if many of them are far from zero, as they are of noise.
template <typename U>
bool IntegerVectorPlan<U>::differences_may_gain(unsigned width) const {
    if (width <= window_.width || window_.width < 3) {
        return true;
    }
    const U half = static_cast<U>(U{1} << (window_.width - 3));
    const size_t near =
        word_kernels<U>().count_within(differences_[0].data(), count_ - 1,
                                       static_cast<U>(U{0} - half), static_cast<U>(2 * half - 1));
    return near * 2 > count_;
}

template <typename U>
IntegerVectorPlan<U>::IntegerVectorPlan(const U* values, size_t count, Extremes<U> range)
    : values_(values), count_(count) {
    DCHECK(count >= 1 && count <= kPackedValuesMax, "{} values", count);
    if (count < 3 || range.low == range.high) {
        consider(0, values, count, range);
        return;
    }
    const WordKernels<U>& kernels = word_kernels<U>();
    const unsigned width = width_of<U>(range.low, range.high);
    if (is_noise(width)) {
        consider(0, values, count, range);
        return;
    }
    U* const first = differences_[0].data();
    const Extremes<U> range1 = kernels.differences(values, count, first);
    const unsigned width1 = width_of<U>(range1.low, range1.high);
    first_ = {values[0], first[0]};
    if (!is_smooth(width, width1)) {
        consider(0, values, count, range);
    }
    // Of noise the second differences are wider than the first; only smooth data gains.
    if (width1 == 0 || width1 >= width) {
        if (differences_may_gain(width1)) {
            consider(1, first, count - 1, range1);
        }
        return;
    }
    U* const second = differences_[1].data();
    const Extremes<U> range2 = kernels.differences(first, count - 1, second);
    const unsigned width2 = width_of<U>(range2.low, range2.high);
    if (!is_smooth(width1, width2)) {
        consider(1, first, count - 1, range1);
    }
    if (width2 <= width1) {
        consider(2, second, count - 2, range2);
    }
}

template <typename U>
uint8_t IntegerVectorPlan<U>::tag() const {
    return static_cast<uint8_t>(order_ | (window_.outside != 0 ? kPatchedBit : 0U));
}

template <typename U>
std::byte* IntegerVectorPlan<U>::write(std::byte* out) const {
    const WordKernels<U>& kernels = word_kernels<U>();
    const size_t count = count_ - order_;
    *out++ = static_cast<std::byte>(window_.width);
    for (unsigned i = 0; i < order_; ++i) {
        out = write_varint(out, zigzag_of(first_[i]));
    }
    const U low = static_cast<U>(window_.low);
    out = write_varint(out, zigzag_of(low));

    alignas(64) std::array<U, kPackedValuesMax> packed;
    kernels.subtract(order_ == 0 ? values_ : differences_[order_ - 1].data(), count, low,
                     packed.data());
    if (window_.outside != 0) {
        std::array<uint8_t, kPackedValuesMax> positions;
        const U range = static_cast<U>(static_cast<U>(window_.high) - low);
        const size_t patches = kernels.find_above(packed.data(), count, range, positions.data());
        CHECK(patches >= 1 && patches < kPackedValuesMax, "{} patches", patches);
        *out++ = static_cast<std::byte>(patches);
        std::memcpy(out, positions.data(), patches);
        out += patches;
        for (size_t i = 0; i < patches; ++i) {
            out = write_varint(out, zigzag_of(packed[positions[i]]));
            packed[positions[i]] = 0;
        }
    }
    kernels.pack(packed.data(), count, window_.width, out);
    return out + packed_bytes(count, window_.width);
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
    const size_t residual_count = count - order;
    Patches<U> patches;
    if ((tag & kPatchedBit) != 0 && !patches.read(reader, residual_count)) {
        return false;
    }
    const Bytes bits = reader.get_bytes(packed_bytes(residual_count, width));
    if (reader.failed()) {
        return false;
    }
    const WordKernels<U>& kernels = word_kernels<U>();
    alignas(64) std::array<U, kKernelRoom> residuals;
    U* const unpacked = order == 0 ? out : residuals.data();
    kernels.unpack(bits.data(), residual_count, width, unpacked);
    for (size_t i = 0; i < patches.count; ++i) {
        unpacked[patches.positions[i]] = patches.residuals[i];
    }
    if (order == 0) {
        kernels.add(out, count, base);
    } else if (order == 1) {
        kernels.sum_up(unpacked, residual_count, first[0], base, out);
    } else {
        alignas(64) std::array<U, kKernelRoom> differences;
        kernels.sum_up(unpacked, residual_count, first[1], base, differences.data());
        kernels.sum_up(differences.data(), count - 1, first[0], 0, out);
    }
    return true;
}

template class IntegerVectorPlan<uint32_t>;
template class IntegerVectorPlan<uint64_t>;
template bool read_integer_vector(ByteReader&, uint8_t, size_t, uint32_t*);
template bool read_integer_vector(ByteReader&, uint8_t, size_t, uint64_t*);

}  // namespace stepdb
