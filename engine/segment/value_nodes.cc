#include "engine/segment/value_nodes.h"

#include <cmath>
#include <limits>

#include "engine/base/coding.h"
#include "engine/base/float_bits.h"
#include "engine/codec/varint.h"
#include "engine/model/value_loops.h"

namespace stepdb {

namespace {

constexpr size_t kLengthBytes = sizeof(uint32_t);
static_assert(kPackedValuesMax <= kPlainValues, "one plain sum a vector");

double number_of(double value) {
    return value;
}
double number_of(uint32_t word) {
    return widen(word);
}

// Value by value: the same node, if not the same sum, as the loops give where all are finite.
template <typename T>
ValueNode look_at_each(std::span<const T> values) {
    ValueNode node;
    for (uint32_t at = 0; at < values.size(); ++at) {
        const double value = number_of(values[at]);
        if (!std::isfinite(value)) {
            ++(std::isnan(value) ? node.nan
               : value > 0       ? node.positive_infinity
                                 : node.negative_infinity);
            continue;
        }
        const int64_t image = ordered_image(value);
        if (node.count == 0 || image < ordered_image(node.min)) {
            node.min = value;
            node.min_at = at;
        }
        if (node.count == 0 || image > ordered_image(node.max)) {
            node.max = value;
            node.max_at = at;
        }
        node.sum += value;
        ++node.count;
    }
    return node;
}

template <typename T>
ValueNode node_of(std::span<const T> values) {
    double sum = 0;
    const ValueScan scan = scan_values(values, {&sum, 1});
    ValueNode node;
    if (scan.finite) {
        node.count = static_cast<uint32_t>(values.size());
        node.min = scan.min;
        node.max = scan.max;
        node.min_at = static_cast<uint32_t>(find_value(values, node.min));
        node.max_at = static_cast<uint32_t>(find_value(values, node.max));
        node.sum = sum;
    } else {
        node = look_at_each(values);
    }
    if (!std::isfinite(node.sum)) {
        node.sum = std::numeric_limits<double>::quiet_NaN();
    }
    return node;
}

std::byte* write_word(double value, bool float64, std::byte* to) {
    if (float64) {
        store_le(to, bits_of(value));
        return to + sizeof(double);
    }
    const std::optional<uint32_t> word = narrow(value);
    CHECK(word.has_value(), "{} is no float32", value);
    store_le(to, *word);
    return to + sizeof(float);
}

template <typename T>
std::byte* write(std::span<const T> values, bool float64, std::byte* to) {
    std::byte* const begin = to;
    std::vector<std::pair<size_t, ValueNode>> not_finite;
    for (size_t at = 0; at < values.size(); at += kPackedValuesMax) {
        const ValueNode node =
            node_of(values.subspan(at, std::min(kPackedValuesMax, values.size() - at)));
        to = write_word(node.min, float64, to);
        to = write_word(node.max, float64, to);
        *to++ = static_cast<std::byte>(node.min_at);
        *to++ = static_cast<std::byte>(node.max_at);
        store_le(to, bits_of(node.sum));
        to += sizeof(double);
        if (node.nan + node.positive_infinity + node.negative_infinity != 0) {
            not_finite.emplace_back(at / kPackedValuesMax, node);
        }
    }
    to = write_varint(to, not_finite.size());
    size_t before = 0;
    for (const auto& [vector, node] : not_finite) {
        to = write_varint(to, vector - before);
        to = write_varint(to, node.nan);
        to = write_varint(to, node.positive_infinity);
        to = write_varint(to, node.negative_infinity);
        before = vector;
    }
    store_le(to, static_cast<uint32_t>(to - begin));
    return to + kLengthBytes;
}

}  // namespace

std::byte* write_nodes(std::span<const double> values, bool float64, std::byte* to) {
    return write(values, float64, to);
}

std::byte* write_nodes(std::span<const uint32_t> words, std::byte* to) {
    return write(words, false, to);
}

void ValueNodes::add_not_finite(size_t vector, ValueNode& node) const {
    const auto found = std::ranges::lower_bound(not_finite_, vector, {}, &NotFinite::vector);
    if (found != not_finite_.end() && found->vector == vector) {
        node.count -= found->values();
        node.nan = found->nan;
        node.positive_infinity = found->positive_infinity;
        node.negative_infinity = found->negative_infinity;
    }
}

Result<ValueNodes> ValueNodes::read(Bytes& bytes, bool float64, size_t count) {
    const size_t fixed_bytes = node_count(count) * node_bytes(float64);
    if (bytes.size() < kLengthBytes) {
        return corruption(fmt::format("chunk ends within the length of its index nodes"));
    }
    const size_t length = load_le<uint32_t>(bytes.last(kLengthBytes).data());
    bytes = bytes.first(bytes.size() - kLengthBytes);
    if (length > bytes.size() || length < fixed_bytes) {
        return corruption(
            fmt::format("{} bytes of index nodes over {} values, of the {} of a chunk", length,
                        count, bytes.size()));
    }
    const Bytes section = bytes.last(length);
    bytes = bytes.first(bytes.size() - length);
    ValueNodes nodes(section.first(fixed_bytes), float64, count);
    ByteReader reader(section.subspan(fixed_bytes));
    TRY(nodes.read_not_finite(reader));
    return nodes;
}

Status ValueNodes::read_not_finite(ByteReader& reader) {
    uint64_t listed = 0;
    const size_t vectors = node_count(count_);
    if (!read_varint(reader, listed) || listed > vectors) {
        return corruption(
            fmt::format("{} of {} index nodes are of values that are not finite", listed, vectors));
    }
    not_finite_.reserve(listed);
    size_t vector = 0;
    for (uint64_t i = 0; i < listed; ++i) {
        uint64_t ahead = 0;
        uint64_t nan = 0;
        uint64_t positive = 0;
        uint64_t negative = 0;
        const bool is_whole = read_varint(reader, ahead) && read_varint(reader, nan) &&
                              read_varint(reader, positive) && read_varint(reader, negative);
        if (!is_whole || (i > 0 && ahead == 0) || ahead >= vectors - vector ||
            nan > kPackedValuesMax || positive > kPackedValuesMax || negative > kPackedValuesMax) {
            return corruption(fmt::format("index node {} behind {} of {}: {} NaN, {} +Inf, {} -Inf",
                                          ahead, vector, vectors, nan, positive, negative));
        }
        vector += ahead;
        NotFinite found;
        found.vector = vector;
        found.nan = static_cast<uint32_t>(nan);
        found.positive_infinity = static_cast<uint32_t>(positive);
        found.negative_infinity = static_cast<uint32_t>(negative);
        if (found.values() == 0 || found.values() > length(vector)) {
            return corruption(fmt::format("index node {} counts {} of {} values as not finite",
                                          vector, found.values(), length(vector)));
        }
        not_finite_.push_back(found);
    }
    if (!reader.finished()) {
        return corruption(fmt::format("{} bytes behind the index nodes", reader.remaining()));
    }
    return {};
}

bool ValueNodes::agrees(std::span<const double> values) const {
    for (size_t vector = 0; vector < node_count(count_); ++vector) {
        const std::optional<ValueNode> stored = node(vector);
        if (!stored) {
            continue;
        }
        const auto of_vector = values.subspan(vector * kPackedValuesMax, length(vector));
        ValueNode computed = look_at_each(of_vector);
        double magnitude = 0;
        for (const double value : of_vector) {
            magnitude += std::isfinite(value) ? std::fabs(value) : 0;
        }
        constexpr double kRounding = 1e-13;
        if (std::isfinite(magnitude) &&
            !(std::fabs(computed.sum - stored->sum) <= kRounding * magnitude)) {
            return false;
        }
        computed.sum = stored->sum;
        if (!(computed == *stored) || !same_bits(computed.min, stored->min) ||
            !same_bits(computed.max, stored->max)) {
            return false;
        }
    }
    return true;
}

}  // namespace stepdb
