#include "engine/codec/value_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>

#include "engine/base/coding.h"
#include "engine/base/float_bits.h"
#include "engine/codec/decimal.h"
#include "engine/codec/integer_vector.h"
#include "engine/codec/kernels.h"
#include "engine/codec/vector_table.h"

namespace stepdb {

namespace {

constexpr uint8_t kDecimalBit = 1U << 3U;
constexpr uint8_t kExceptionsBit = 1U << 4U;
constexpr uint8_t kTagBits = kOrderMask | kPatchedBit | kDecimalBit | kExceptionsBit;

// A vector as decimals, if it is one.
template <typename U>
class DecimalVector {
  public:
    // The words outlive it. `are_unlikely` says that those before them were no decimals, and is
    // told whether these are.
    DecimalVector(const U* words, size_t count, bool& are_unlikely) : words_(words) {
        const auto exponent = guess_decimal_exponent(words, count, are_unlikely);
        are_unlikely = !exponent;
        if (!exponent) {
            return;
        }
        exponent_ = *exponent;
        if (are_whole_numbers(words, count)) {
            const auto range = word_kernels<uint32_t>().extremes(narrow_integers_.data(), count);
            range_ = {range.low, range.high};
            narrow_plan_.emplace(narrow_integers_.data(), count, range);
            return;
        }
        exception_count_ =
            decimal_integers(words, count, exponent_, integers_.data(), exceptions_.data());
        if (exception_count_ <= count / 2) {
            plan(count);
        }
    }

    // Never less than write() takes; a lot if the words are no decimals, or too many are not.
    size_t bytes_estimate() const {
        const size_t exception_bytes =
            exception_count_ == 0 ? 0 : 1 + exception_count_ * (1 + sizeof(U));
        const size_t plan_bytes = narrow_plan_ ? narrow_plan_->bytes_estimate()
                                  : wide_plan_ ? wide_plan_->bytes_estimate()
                                               : kNone;
        return plan_bytes == kNone ? kNone : 2 + exception_bytes + plan_bytes;
    }

    // Whether images of the words, shifted by `shift`, need no look: they are no coarser, anywhere
    // up to the largest word, than the decimals. Then their differences are no smaller.
    bool is_coarser_than_images(size_t count, unsigned shift) const {
        if (bytes_estimate() == kNone || exception_count_ > count / 16) {
            return false;
        }
        constexpr int kMantissa = std::numeric_limits<Float>::digits - 1;
        const double largest = std::max(std::fabs(static_cast<double>(range_.low)),
                                        std::fabs(static_cast<double>(range_.high))) /
                               kPowersOfTen[exponent_];
        const int magnitude = std::ilogb(std::max(largest, 1.0 / kPowersOfTen[exponent_]));
        return std::scalbn(kPowersOfTen[exponent_],
                           magnitude - kMantissa + static_cast<int>(shift)) <= 1.0;
    }

    // Returns the end.
    std::byte* write(std::byte* to) const {
        const uint8_t order = narrow_plan_ ? narrow_plan_->tag() : wide_plan_->tag();
        *to++ = static_cast<std::byte>(order | kDecimalBit |
                                       (exception_count_ != 0 ? kExceptionsBit : 0U));
        *to++ = static_cast<std::byte>(exponent_);
        if (exception_count_ != 0) {
            *to++ = static_cast<std::byte>(exception_count_);
            std::memcpy(to, exceptions_.data(), exception_count_);
            to += exception_count_;
            for (size_t i = 0; i < exception_count_; ++i) {
                store_le(to, words_[exceptions_[i]]);
                to += sizeof(U);
            }
        }
        return narrow_plan_ ? narrow_plan_->write(to) : wide_plan_->write(to);
    }

  private:
    using Float = std::conditional_t<sizeof(U) == sizeof(float), float, double>;
    static constexpr size_t kNone = ~size_t{0};

    // The short way for most float32 without digits behind the point.
    bool are_whole_numbers(const U* words, size_t count) {
        if constexpr (sizeof(U) == sizeof(uint32_t)) {
            return exponent_ == 0 && kernels().whole_numbers(words, count, narrow_integers_.data());
        }
        return false;
    }

    // Most integers are so small that they, and their differences, can be planned as 32 bits; the
    // outcome is the same.
    void plan(size_t count) {
        constexpr int64_t kNarrowMax = int64_t{1} << 27U;
        range_ = word_kernels<uint64_t>().extremes(integers_.data(), count);
        if (range_.low >= -kNarrowMax && range_.high < kNarrowMax) {
            kernels().low_halves(integers_.data(), count, narrow_integers_.data());
            narrow_plan_.emplace(narrow_integers_.data(), count,
                                 Extremes<uint32_t>{static_cast<int32_t>(range_.low),
                                                    static_cast<int32_t>(range_.high)});
        } else {
            wide_plan_.emplace(integers_.data(), count, range_);
        }
    }

    const U* words_;
    unsigned exponent_ = 0;
    size_t exception_count_ = 0;
    Extremes<uint64_t> range_{};
    std::array<uint8_t, kPackedValuesMax> exceptions_;
    alignas(64) std::array<uint64_t, kKernelRoom> integers_;
    alignas(64) std::array<uint32_t, kKernelRoom> narrow_integers_;
    std::optional<IntegerVectorPlan<uint32_t>> narrow_plan_;
    std::optional<IntegerVectorPlan<uint64_t>> wide_plan_;
};

template <typename U>
std::byte* write_raw(const U* words, size_t count, std::byte* to) {
    *to++ = std::byte{kRawOrder};
    std::memcpy(to, words, count * sizeof(U));
    return to + count * sizeof(U);
}

// Returns the end of what it wrote.
template <typename U>
std::byte* encode_vector(const U* words, size_t count, bool& decimals_unlikely, std::byte* to) {
    // So few bits a value need no look at images.
    constexpr size_t kFewBits = 4;
    const WordKernels<U>& kernels = word_kernels<U>();
    const U all = kernels.or_all(words, count);
    const unsigned shift = all == 0 ? 0 : static_cast<unsigned>(std::countr_zero(all));
    const DecimalVector<U> decimals(words, count, decimals_unlikely);
    if (decimals.bytes_estimate() <= count * kFewBits / 8 ||
        decimals.is_coarser_than_images(count, shift)) {
        return decimals.write(to);
    }
    alignas(64) std::array<U, kKernelRoom> images;
    const Extremes<U> range = kernels.images(words, count, shift, images.data());
    const IntegerVectorPlan<U> plan(images.data(), count, range);
    const size_t raw_bytes = 1 + count * sizeof(U);
    const size_t image_bytes = 2 + plan.bytes_estimate();
    if (decimals.bytes_estimate() < std::min(raw_bytes, image_bytes)) {
        return decimals.write(to);
    }
    if (raw_bytes <= image_bytes) {
        return write_raw(words, count, to);
    }
    *to++ = static_cast<std::byte>(plan.tag());
    *to++ = static_cast<std::byte>(shift);
    return plan.write(to);
}

template <typename U>
std::byte* write_constant(U word, std::byte* to) {
    const Bytes bytes = std::as_bytes(std::span(&word, 1));
    const size_t zeros = word == 0 ? sizeof(U) : static_cast<size_t>(std::countr_zero(word)) / 8;
    return std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(zeros), bytes.end(), to);
}

template <typename T>
bool all_same(std::span<const T> values) {
    return std::memcmp(values.data(), values.data() + 1, values.size_bytes() - sizeof(T)) == 0;
}

// The words of a vector of values, in `room` if they are not the values themselves; null if values
// do not narrow.
const uint32_t* words_of(std::span<const double> values, uint32_t* room) {
    return kernels().narrow(values.data(), values.size(), room) ? room : nullptr;
}
const uint64_t* words_of(std::span<const double> values, uint64_t* room) {
    std::memcpy(room, values.data(), values.size_bytes());
    return room;
}
const uint32_t* words_of(std::span<const uint32_t> words, uint32_t* /*room*/) {
    return words.data();
}

// Returns the end; null if a value has no word of U.
template <typename U, typename T>
std::byte* write_vectors(std::span<const T> values, std::byte* to) {
    alignas(64) std::array<U, kKernelRoom> room;
    bool decimals_unlikely = false;
    std::byte* length = to;
    to += (values.size() - 1) / kPackedValuesMax * kVectorLengthBytes;
    for (size_t at = 0; at < values.size(); at += kPackedValuesMax) {
        const size_t here = std::min(kPackedValuesMax, values.size() - at);
        const U* const words = words_of(values.subspan(at, here), room.data());
        if (words == nullptr) {
            return nullptr;
        }
        std::byte* const end = encode_vector(words, here, decimals_unlikely, to);
        const auto bytes = static_cast<size_t>(end - to);
        CHECK(bytes <= kValueVectorBytesMax - kVectorLengthBytes, "{} bytes of {} values", bytes,
              here);
        if (at + here < values.size()) {
            store_le(length, static_cast<uint16_t>(bytes));
            length += kVectorLengthBytes;
        }
        to = end;
    }
    return to;
}

Error malformed(Bytes encoded, size_t count) {
    return make_error(ErrorCode::kCorruption,
                      "value vector: {} bytes with tag {} are not {} values", encoded.size(),
                      encoded.empty() ? 0U : static_cast<unsigned>(encoded[0]), count);
}

template <typename U>
bool decode_decimals(ByteReader& reader, uint8_t tag, size_t count, U* words) {
    const unsigned exponent = reader.get<uint8_t>();
    size_t exception_count = 0;
    Bytes positions;
    Bytes exceptions;
    if ((tag & kExceptionsBit) != 0) {
        exception_count = reader.get<uint8_t>();
        positions = reader.get_bytes(exception_count);
        exceptions = reader.get_bytes(exception_count * sizeof(U));
    }
    std::array<uint64_t, kKernelRoom> integers;
    if (reader.failed() || exponent > kDecimalExponentMax ||
        ((tag & kExceptionsBit) != 0 && exception_count == 0) ||
        !read_integer_vector(reader, tag, count, integers.data())) {
        return false;
    }
    word_kernels<U>().decimal_words(integers.data(), count, exponent, words);
    for (size_t i = 0; i < exception_count; ++i) {
        const auto position = static_cast<size_t>(positions[i]);
        if (position >= count || (i > 0 && positions[i] <= positions[i - 1])) {
            return false;
        }
        words[position] = load_le<U>(exceptions.data() + i * sizeof(U));
    }
    return true;
}

template <typename U>
bool decode_vector(Bytes encoded, size_t count, U* words) {
    ByteReader reader(encoded);
    const auto tag = reader.get<uint8_t>();
    if (reader.failed() || (tag & ~kTagBits) != 0) {
        return false;
    }
    if (tag == kRawOrder) {
        const Bytes raw = reader.get_bytes(count * sizeof(U));
        if (!reader.finished()) {
            return false;
        }
        std::memcpy(words, raw.data(), raw.size());
        return true;
    }
    if ((tag & kDecimalBit) != 0) {
        return decode_decimals(reader, tag, count, words) && reader.finished();
    }
    const unsigned shift = reader.get<uint8_t>();
    if ((tag & kExceptionsBit) != 0 || shift >= std::numeric_limits<U>::digits ||
        !read_integer_vector(reader, tag, count, words) || !reader.finished()) {
        return false;
    }
    word_kernels<U>().words_of_images(words, count, shift);
    return true;
}

template <typename U>
Result<U> read_constant(Bytes payload) {
    if (payload.size() > sizeof(U)) {
        return make_error(ErrorCode::kCorruption, "constant of {} bytes, at most {} expected",
                          payload.size(), sizeof(U));
    }
    std::array<std::byte, sizeof(U)> bytes{};
    std::copy(payload.begin(), payload.end(), bytes.end() - std::ssize(payload));
    return load_le<U>(bytes.data());
}

Result<double> read_constant(ValueForm form, Bytes payload) {
    if (form.float64) {
        TRY_ASSIGN(const uint64_t word, read_constant<uint64_t>(payload));
        return std::bit_cast<double>(word);
    }
    TRY_ASSIGN(const uint32_t word, read_constant<uint32_t>(payload));
    return widen(word);
}

Status decode_constant(ValueForm form, Bytes payload, std::span<double> values) {
    TRY_ASSIGN(const double value, read_constant(form, payload));
    std::ranges::fill(values, value);
    return {};
}

void values_of(const uint32_t* words, std::span<double> values) {
    kernels().widen(words, values.size(), values.data());
}
void values_of(const uint64_t* words, std::span<double> values) {
    std::memcpy(values.data(), words, values.size_bytes());
}

template <typename U>
Status decode_one(Bytes encoded, std::span<double> values) {
    alignas(64) std::array<U, kKernelRoom> words;
    if (!decode_vector(encoded, values.size(), words.data())) {
        return malformed(encoded, values.size());
    }
    values_of(words.data(), values);
    return {};
}

}  // namespace

ValueForm encode_values(std::span<const double> values, std::byte*& to) {
    CHECK(!values.empty(), "no values to encode");
    ValueForm form;
    form.constant = all_same(values);
    if (form.constant) {
        const auto narrowed = narrow(values[0]);
        form.float64 = !narrowed.has_value();
        to = narrowed ? write_constant(*narrowed, to) : write_constant(bits_of(values[0]), to);
        return form;
    }
    std::byte* const end = write_vectors<uint32_t>(values, to);
    form.float64 = end == nullptr;
    to = form.float64 ? write_vectors<uint64_t>(values, to) : end;
    return form;
}

ValueForm encode_values(std::span<const uint32_t> words, std::byte*& to) {
    CHECK(!words.empty(), "no values to encode");
    ValueForm form;
    form.constant = all_same(words);
    to = form.constant ? write_constant(words.front(), to) : write_vectors<uint32_t>(words, to);
    return form;
}

namespace {

template <typename T>
ValueForm append_values(std::span<const T> values, std::vector<std::byte>& out) {
    const auto room = std::make_unique_for_overwrite<std::byte[]>(value_bytes_max(values.size()));
    std::byte* end = room.get();
    const ValueForm form = encode_values(values, end);
    out.insert(out.end(), room.get(), end);
    return form;
}

}  // namespace

ValueForm encode_values(std::span<const double> values, std::vector<std::byte>& out) {
    return append_values(values, out);
}

ValueForm encode_values(std::span<const uint32_t> words, std::vector<std::byte>& out) {
    return append_values(words, out);
}

Status decode_values(ValueForm form, Bytes payload, std::span<double> values) {
    CHECK(!values.empty(), "no values to decode");
    if (form.constant) {
        return decode_constant(form, payload, values);
    }
    TRY_ASSIGN(const ValueVectors vectors, ValueVectors::read(form, payload, values.size()));
    for (size_t vector = 0; !values.empty(); ++vector) {
        const size_t here = vectors.length(vector);
        TRY(vectors.decode(vector, values.first(here)));
        values = values.subspan(here);
    }
    return {};
}

Result<ValueVectors> ValueVectors::read(ValueForm form, Bytes payload, size_t count) {
    if (form.constant) {
        return ValueVectors(form, payload, count, std::nullopt);
    }
    ByteReader reader(payload);
    TRY_ASSIGN(const VectorTable table, VectorTable::read(reader, count));
    return ValueVectors(form, payload, count, table);
}

Result<std::optional<double>> ValueVectors::constant() const {
    if (table_) {
        return std::optional<double>();
    }
    TRY_ASSIGN(const double value, read_constant(form_, payload_));
    return std::optional(value);
}

Status ValueVectors::decode(size_t vector, std::span<double> values) const {
    CHECK(vector * kPackedValuesMax < count_ && values.size() == length(vector),
          "vector {} of {} values into {}", vector, count_, values.size());
    if (!table_) {
        return decode_constant(form_, payload_, values);
    }
    const Bytes encoded = table_->vector(vector);
    return form_.float64 ? decode_one<uint64_t>(encoded, values)
                         : decode_one<uint32_t>(encoded, values);
}

Status ValueVectors::decode_words(size_t vector, std::span<uint32_t> room) const {
    static_assert(kDecodedWordsRoom >= kKernelRoom);
    CHECK(is_float32() && vector * kPackedValuesMax < count_ && room.size() >= kDecodedWordsRoom,
          "vector {} of {} values into room for {} words", vector, count_, room.size());
    const size_t count = length(vector);
    if (!table_) {
        TRY_ASSIGN(const uint32_t word, read_constant<uint32_t>(payload_));
        std::ranges::fill(room.first(count), word);
        return {};
    }
    const Bytes encoded = table_->vector(vector);
    return decode_vector(encoded, count, room.data()) ? Status() : malformed(encoded, count);
}

void ValueVectors::prefetch(size_t vector) const {
    constexpr size_t kCacheLine = 64;
    if (!table_) {
        return;
    }
    const Bytes encoded = table_->vector(vector);
    for (size_t at = 0; at < encoded.size(); at += kCacheLine) {
        __builtin_prefetch(encoded.data() + at);
    }
}

Result<ValueVectorForms> count_vector_forms(ValueForm form, Bytes payload, size_t count) {
    ValueVectorForms forms;
    if (form.constant) {
        return forms;
    }
    ByteReader reader(payload);
    TRY_ASSIGN(const VectorTable table, VectorTable::read(reader, count));
    for (size_t vector = 0; vector * kPackedValuesMax < count; ++vector) {
        const Bytes encoded = table.vector(vector);
        const uint8_t tag = encoded.empty() ? kRawOrder : static_cast<uint8_t>(encoded[0]);
        size_t& counted = tag == kRawOrder           ? forms.raw
                          : (tag & kDecimalBit) != 0 ? forms.decimal
                                                     : forms.image;
        ++counted;
    }
    return forms;
}

}  // namespace stepdb
