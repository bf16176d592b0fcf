#include "engine/codec/integer_codec.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "engine/base/coding.h"
#include "engine/base/float_bits.h"
#include "engine/codec/integer_vector.h"
#include "engine/codec/varint.h"
#include "engine/codec/vector_table.h"

namespace stepdb {

namespace {

constexpr uint8_t kStrideForm = 0;
constexpr uint8_t kVectorsForm = 1;
constexpr uint8_t kImageSteps = 0;
constexpr uint8_t kIntegerSteps = 1;
constexpr double kIntegerStepMax = 9007199254740992.0;  // 2^53

uint64_t as_unsigned(int64_t value) {
    return static_cast<uint64_t>(value);
}

bool is_stride(std::span<const int64_t> values) {
    if (values.size() < 2) {
        return true;
    }
    const uint64_t stride = as_unsigned(values[1]) - as_unsigned(values[0]);
    uint64_t expected = as_unsigned(values[0]);
    for (const int64_t value : values) {
        if (as_unsigned(value) != expected) {
            return false;
        }
        expected += stride;
    }
    return true;
}

void encode_vector(std::span<const int64_t> values, std::vector<std::byte>& out) {
    const auto* const words = reinterpret_cast<const uint64_t*>(values.data());
    const IntegerVectorPlan<uint64_t> plan(words, values.size(),
                                           word_kernels<uint64_t>().extremes(words, values.size()));
    if (plan.bytes_estimate() >= values.size_bytes()) {
        out.push_back(std::byte{kRawOrder});
        const Bytes raw = std::as_bytes(values);
        out.insert(out.end(), raw.begin(), raw.end());
        return;
    }
    std::array<std::byte, kIntegerVectorBytesMax> bytes;
    bytes[0] = static_cast<std::byte>(plan.tag());
    out.insert(out.end(), bytes.data(), plan.write(bytes.data() + 1));
}

Status decode_vector(Bytes encoded, std::span<int64_t> values) {
    ByteReader reader(encoded);
    const auto tag = reader.get<uint8_t>();
    std::array<uint64_t, kKernelRoom> words;
    if (tag == kRawOrder && reader.remaining() == values.size_bytes()) {
        std::memcpy(values.data(), reader.get_bytes(values.size_bytes()).data(),
                    values.size_bytes());
        return {};
    }
    if (tag > (kOrderMask | kPatchedBit) ||
        !read_integer_vector(reader, tag, values.size(), words.data()) || !reader.finished()) {
        return make_error(ErrorCode::kCorruption,
                          "packed integers: {} bytes with tag {} are not {} values", encoded.size(),
                          tag, values.size());
    }
    std::memcpy(values.data(), words.data(), values.size_bytes());
    return {};
}

// Behind the form.
std::optional<IntegerStride> read_stride(ByteReader& reader) {
    uint64_t first = 0;
    uint64_t stride = 0;
    if (!read_varint(reader, first) || !read_varint(reader, stride) || !reader.finished()) {
        return std::nullopt;
    }
    return IntegerStride{unzigzag(first), unzigzag(stride)};
}

Status decode_stride(ByteReader& reader, size_t first, std::span<int64_t> values) {
    const std::optional<IntegerStride> read = read_stride(reader);
    if (!read) {
        return make_error(ErrorCode::kCorruption, "integer stride is malformed");
    }
    const uint64_t step = as_unsigned(read->stride);
    uint64_t value = as_unsigned(read->first) + first * step;
    for (int64_t& into : values) {
        into = static_cast<int64_t>(value);
        value += step;
    }
    return {};
}

}  // namespace

void encode_integers(std::span<const int64_t> values, std::vector<std::byte>& out) {
    if (values.empty()) {
        return;
    }
    if (is_stride(values)) {
        out.push_back(std::byte{kStrideForm});
        append_varint(out, zigzag(values[0]));
        const uint64_t stride =
            values.size() > 1 ? as_unsigned(values[1]) - as_unsigned(values[0]) : 0;
        append_varint(out, zigzag(static_cast<int64_t>(stride)));
        return;
    }
    out.push_back(std::byte{kVectorsForm});
    VectorTableWriter table(out, values.size());
    for (size_t at = 0; at < values.size(); at += kPackedValuesMax) {
        encode_vector(values.subspan(at, std::min(kPackedValuesMax, values.size() - at)), out);
        table.end_vector(out);
    }
}

void append_sized_integers(std::span<const int64_t> values, std::vector<std::byte>& out) {
    std::vector<std::byte> encoded;
    encode_integers(values, encoded);
    append_varint(out, encoded.size());
    out.insert(out.end(), encoded.begin(), encoded.end());
}

Result<std::vector<int64_t>> read_sized_integers(ByteReader& reader, size_t count,
                                                 std::string_view when_short) {
    uint64_t bytes = 0;
    if (!read_varint(reader, bytes) || bytes > reader.remaining()) {
        return corruption(std::string(when_short));
    }
    std::vector<int64_t> values(count);
    TRY(decode_integers(reader.get_bytes(bytes), values));
    return values;
}

Status decode_integer_range(Bytes encoded, size_t count, size_t first, std::span<int64_t> values) {
    CHECK(first <= count && values.size() <= count - first, "{} values from {} of {}",
          values.size(), first, count);
    ByteReader reader(encoded);
    if (count == 0) {
        return encoded.empty()
                   ? Status()
                   : make_error(ErrorCode::kCorruption, "{} bytes for no integers", encoded.size());
    }
    const auto form = reader.get<uint8_t>();
    if (form == kStrideForm && !reader.failed()) {
        return decode_stride(reader, first, values);
    }
    if (form != kVectorsForm) {
        return make_error(ErrorCode::kCorruption, "integers of form {} in {} bytes; 0 and 1 are",
                          form, encoded.size());
    }
    TRY_ASSIGN(const VectorTable table, VectorTable::read(reader, count));
    std::array<int64_t, kPackedValuesMax> whole;
    const size_t end = first + values.size();
    for (size_t vector = first / kPackedValuesMax; vector * kPackedValuesMax < end; ++vector) {
        const size_t from = vector * kPackedValuesMax;
        const size_t here = std::min(kPackedValuesMax, count - from);
        TRY(decode_vector(table.vector(vector), std::span(whole).first(here)));
        const size_t begin = std::max(from, first);
        const size_t stop = std::min(from + here, end);
        std::copy_n(whole.data() + (begin - from), stop - begin, values.data() + (begin - first));
    }
    return {};
}

Status decode_integers(Bytes encoded, std::span<int64_t> values) {
    return decode_integer_range(encoded, values.size(), 0, values);
}

std::optional<IntegerStride> find_stride(Bytes encoded) {
    ByteReader reader(encoded);
    const auto form = reader.get<uint8_t>();
    return reader.failed() || form != kStrideForm ? std::nullopt : read_stride(reader);
}

void encode_steps(std::span<const int64_t> images, std::vector<std::byte>& out) {
    std::vector<int64_t> integers;
    integers.reserve(images.size());
    for (const int64_t image : images) {
        const double step = from_ordered_image(image);
        if (!(std::fabs(step) <= kIntegerStepMax)) {
            break;
        }
        const auto integer = static_cast<int64_t>(step);
        if (ordered_image(static_cast<double>(integer)) != image) {
            break;
        }
        integers.push_back(integer);
    }
    const bool whole = integers.size() == images.size();
    out.push_back(std::byte{whole ? kIntegerSteps : kImageSteps});
    encode_integers(whole ? std::span<const int64_t>(integers) : images, out);
}

Status decode_steps(Bytes encoded, std::span<int64_t> images) {
    if (encoded.empty() || static_cast<uint8_t>(encoded[0]) > kIntegerSteps) {
        return make_error(ErrorCode::kCorruption, "steps begin with neither 0 nor 1");
    }
    TRY(decode_integers(encoded.subspan(1), images));
    if (static_cast<uint8_t>(encoded[0]) == kIntegerSteps) {
        for (int64_t& image : images) {
            image = ordered_image(static_cast<double>(image));
        }
    }
    return {};
}

std::optional<StepStride> find_step_stride(Bytes encoded) {
    if (encoded.empty() || static_cast<uint8_t>(encoded[0]) > kIntegerSteps) {
        return std::nullopt;
    }
    const std::optional<IntegerStride> values = find_stride(encoded.subspan(1));
    if (!values) {
        return std::nullopt;
    }
    return StepStride{*values, static_cast<uint8_t>(encoded[0]) == kIntegerSteps};
}

}  // namespace stepdb
