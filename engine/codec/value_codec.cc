#include "engine/codec/value_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "engine/base/coding.h"
#include "engine/codec/decimal.h"
#include "engine/codec/float_images.h"
#include "engine/codec/integer_vector.h"
#include "engine/codec/vector_table.h"

namespace stepdb {

namespace {

constexpr uint8_t kDecimalBit = 1U << 3U;
constexpr uint8_t kExceptionsBit = 1U << 4U;
constexpr uint8_t kTagBits = kOrderMask | kPatchedBit | kDecimalBit | kExceptionsBit;

using VectorBytes = std::array<std::byte, kIntegerVectorBytesMax>;

void append(std::vector<std::byte>& out, const std::byte* from, const std::byte* to) {
    out.insert(out.end(), from, to);
}

// A vector as decimals.
template <typename U>
class DecimalVector {
  public:
    // Nothing if the words are no decimals or too many are not.
    static std::optional<DecimalVector> create(const U* words, size_t count) {
        const auto exponent = guess_decimal_exponent(words, count);
        if (!exponent) {
            return std::nullopt;
        }
        std::array<uint64_t, kPackedValuesMax> integers;
        std::array<uint8_t, kPackedValuesMax> exceptions;
        const size_t exception_count =
            decimal_integers(words, count, *exponent, integers.data(), exceptions.data());
        if (exception_count > count / 2) {
            return std::nullopt;
        }
        return DecimalVector(*exponent, exceptions, exception_count,
                             IntegerVectorPlan<uint64_t>(integers.data(), count));
    }

    // Never less than append() appends.
    size_t bytes_estimate() const {
        const size_t exception_bytes =
            exception_count_ == 0 ? 0 : 1 + exception_count_ * (1 + sizeof(U));
        return 2 + exception_bytes + plan_.bytes_estimate();
    }

    void append_to(std::vector<std::byte>& out, const U* words) const {
        VectorBytes bytes;
        std::byte* to = bytes.data();
        *to++ = static_cast<std::byte>(plan_.tag() | kDecimalBit |
                                       (exception_count_ != 0 ? kExceptionsBit : 0U));
        *to++ = static_cast<std::byte>(exponent_);
        if (exception_count_ != 0) {
            *to++ = static_cast<std::byte>(exception_count_);
            std::memcpy(to, exceptions_.data(), exception_count_);
            to += exception_count_;
            for (size_t i = 0; i < exception_count_; ++i) {
                store_le(to, words[exceptions_[i]]);
                to += sizeof(U);
            }
        }
        append(out, bytes.data(), plan_.write(to));
    }

  private:
    DecimalVector(unsigned exponent, const std::array<uint8_t, kPackedValuesMax>& exceptions,
                  size_t exception_count, const IntegerVectorPlan<uint64_t>& plan)
        : exponent_(exponent),
          exceptions_(exceptions),
          exception_count_(exception_count),
          plan_(plan) {}

    unsigned exponent_;
    std::array<uint8_t, kPackedValuesMax> exceptions_;
    size_t exception_count_;
    IntegerVectorPlan<uint64_t> plan_;
};

template <typename U>
void encode_vector(const U* words, size_t count, std::vector<std::byte>& out) {
    // Decimals of so few bits a value are not beaten by images, which then need no look.
    constexpr size_t kFewBits = 12;
    const auto decimals = DecimalVector<U>::create(words, count);
    if (decimals && decimals->bytes_estimate() <= count * kFewBits / 8) {
        decimals->append_to(out, words);
        return;
    }
    U all = 0;
    for (size_t i = 0; i < count; ++i) {
        all |= words[i];
    }
    const unsigned shift = all == 0 ? 0 : static_cast<unsigned>(std::countr_zero(all));
    std::array<U, kPackedValuesMax> images;
    for (size_t i = 0; i < count; ++i) {
        images[i] = shifted_image(words[i], shift);
    }
    const IntegerVectorPlan<U> plan(images.data(), count);
    const size_t raw_bytes = 1 + count * sizeof(U);
    const size_t image_bytes = 2 + plan.bytes_estimate();
    if (decimals && decimals->bytes_estimate() < std::min(raw_bytes, image_bytes)) {
        decimals->append_to(out, words);
        return;
    }
    if (raw_bytes <= image_bytes) {
        out.push_back(std::byte{kRawOrder});
        const Bytes raw = std::as_bytes(std::span(words, count));
        append(out, raw.data(), raw.data() + raw.size());
        return;
    }
    VectorBytes bytes;
    bytes[0] = static_cast<std::byte>(plan.tag());
    bytes[1] = static_cast<std::byte>(shift);
    append(out, bytes.data(), plan.write(bytes.data() + 2));
}

template <typename U>
void encode_constant(U word, std::vector<std::byte>& out) {
    const Bytes bytes = std::as_bytes(std::span(&word, 1));
    const size_t zeros = word == 0 ? sizeof(U) : static_cast<size_t>(std::countr_zero(word)) / 8;
    append(out, bytes.data() + zeros, bytes.data() + bytes.size());
}

bool all_same(std::span<const double> values) {
    uint64_t different = 0;
    for (const double value : values) {
        different |= bits_of(value) ^ bits_of(values[0]);
    }
    return different == 0;
}

bool words_of(std::span<const double> values, uint32_t* words) {
    return narrow_all(values, words);
}
bool words_of(std::span<const double> values, uint64_t* words) {
    std::transform(values.begin(), values.end(), words,
                   [](double value) { return bits_of(value); });
    return true;
}

bool all_narrow(std::span<const double> values) {
    std::array<uint32_t, kPackedValuesMax> words;
    for (size_t at = 0; at < values.size(); at += kPackedValuesMax) {
        const size_t here = std::min(kPackedValuesMax, values.size() - at);
        if (!narrow_all(values.subspan(at, here), words.data())) {
            return false;
        }
    }
    return true;
}

template <typename U>
void encode_vectors(std::span<const double> values, std::vector<std::byte>& out) {
    VectorTableWriter table(out, values.size());
    std::array<U, kPackedValuesMax> words;
    for (size_t at = 0; at < values.size(); at += kPackedValuesMax) {
        const size_t here = std::min(kPackedValuesMax, values.size() - at);
        CHECK(words_of(values.subspan(at, here), words.data()), "values at {} changed", at);
        encode_vector(words.data(), here, out);
        table.end_vector(out);
    }
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
    std::array<uint64_t, kPackedValuesMax> integers;
    if (reader.failed() || exponent > kDecimalExponentMax ||
        ((tag & kExceptionsBit) != 0 && exception_count == 0) ||
        !read_integer_vector(reader, tag, count, integers.data())) {
        return false;
    }
    decimal_words(integers.data(), count, exponent, words);
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
    for (size_t i = 0; i < count; ++i) {
        words[i] = word_of_shifted_image(words[i], shift);
    }
    return true;
}

template <typename U>
Status decode_constant(Bytes payload, std::span<double> values) {
    if (payload.size() > sizeof(U)) {
        return make_error(ErrorCode::kCorruption, "constant of {} bytes, at most {} expected",
                          payload.size(), sizeof(U));
    }
    std::array<std::byte, sizeof(U)> bytes{};
    std::copy(payload.begin(), payload.end(), bytes.end() - std::ssize(payload));
    const U word = load_le<U>(bytes.data());
    if constexpr (sizeof(U) == 4) {
        std::fill(values.begin(), values.end(), widen(word));
    } else {
        std::fill(values.begin(), values.end(), std::bit_cast<double>(word));
    }
    return {};
}

// Vectors `first` and on, as many as `values` has room for.
template <typename U>
Status decode_vectors(Bytes payload, size_t count, size_t first, std::span<double> values) {
    ByteReader reader(payload);
    TRY_ASSIGN(const VectorTable table, VectorTable::read(reader, count));
    std::array<U, kPackedValuesMax> words;
    for (size_t vector = first; !values.empty(); ++vector) {
        const size_t here = std::min(kPackedValuesMax, values.size());
        const Bytes encoded = table.vector(vector);
        if (!decode_vector(encoded, here, words.data())) {
            return malformed(encoded, here);
        }
        widen_all(words.data(), values.first(here));
        values = values.subspan(here);
    }
    return {};
}

Status decode(ValueForm form, Bytes payload, size_t count, size_t first, std::span<double> values) {
    if (form.constant) {
        return form.float64 ? decode_constant<uint64_t>(payload, values)
                            : decode_constant<uint32_t>(payload, values);
    }
    return form.float64 ? decode_vectors<uint64_t>(payload, count, first, values)
                        : decode_vectors<uint32_t>(payload, count, first, values);
}

}  // namespace

ValueForm encode_values(std::span<const double> values, std::vector<std::byte>& out) {
    CHECK(!values.empty(), "no values to encode");
    ValueForm form;
    form.constant = all_same(values);
    if (form.constant) {
        const auto narrowed = narrow(values[0]);
        form.float64 = !narrowed.has_value();
        narrowed ? encode_constant(*narrowed, out) : encode_constant(bits_of(values[0]), out);
        return form;
    }
    form.float64 = !all_narrow(values);
    form.float64 ? encode_vectors<uint64_t>(values, out) : encode_vectors<uint32_t>(values, out);
    return form;
}

ValueForm encode_values(std::span<const uint32_t> words, std::vector<std::byte>& out) {
    CHECK(!words.empty(), "no values to encode");
    ValueForm form;
    form.constant =
        std::ranges::all_of(words, [&](uint32_t word) { return word == words.front(); });
    if (form.constant) {
        encode_constant(words.front(), out);
        return form;
    }
    VectorTableWriter table(out, words.size());
    for (size_t at = 0; at < words.size(); at += kPackedValuesMax) {
        encode_vector(words.data() + at, std::min(kPackedValuesMax, words.size() - at), out);
        table.end_vector(out);
    }
    return form;
}

Status decode_values(ValueForm form, Bytes payload, std::span<double> values) {
    CHECK(!values.empty(), "no values to decode");
    return decode(form, payload, values.size(), 0, values);
}

Status decode_value_vector(ValueForm form, Bytes payload, size_t count, size_t vector,
                           std::span<double> values) {
    const size_t from = vector * kPackedValuesMax;
    CHECK(from < count && values.size() == std::min(kPackedValuesMax, count - from),
          "vector {} of {} values into {}", vector, count, values.size());
    return decode(form, payload, count, vector, values);
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
