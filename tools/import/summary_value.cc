#include "tools/import/summary_value.h"

#include <array>
#include <bit>
#include <cmath>

#include "engine/base/coding.h"
#include "engine/base/float_bits.h"
#include "tools/import/proto_reader.h"

namespace stepdb {

namespace {

// What the bits of an element mean.
enum class Element : uint8_t {
    kFloat,
    kDouble,
    kHalf,
    kBfloat16,
    kFloat8E5M2,
    kFloat8E4M3,
    kSigned,
    kUnsigned,
    kBool,
};

struct ElementType {
    uint64_t number;  // of the type: DataType of types.proto
    Element element;
    size_t bytes;   // in tensor_content
    uint32_t list;  // the field of TensorProto that lists such elements
};

constexpr std::array<ElementType, 16> kElementTypes = {{
    {1, Element::kFloat, 4, 5},
    {2, Element::kDouble, 8, 6},
    {3, Element::kSigned, 4, 7},
    {4, Element::kUnsigned, 1, 7},
    {5, Element::kSigned, 2, 7},
    {6, Element::kSigned, 1, 7},
    {9, Element::kSigned, 8, 10},
    {10, Element::kBool, 1, 11},
    {14, Element::kBfloat16, 2, 13},
    {17, Element::kUnsigned, 2, 7},
    {19, Element::kHalf, 2, 13},
    {22, Element::kUnsigned, 4, 16},
    {23, Element::kUnsigned, 8, 17},
    {24, Element::kFloat8E5M2, 1, 18},
    {25, Element::kFloat8E4M3, 1, 18},
    {0, Element::kFloat, 4, 5},  // not given, as proto3 leaves out what is 0; float is usual
}};
constexpr uint64_t kStringType = 7;

constexpr uint32_t kDtypeField = 1;
constexpr uint32_t kShapeField = 2;
constexpr uint32_t kContentField = 4;

double half_value(uint32_t bits) {
    const uint32_t sign = bits >> 15U & 1U;
    const uint32_t exponent = bits >> 10U & 0x1FU;
    const uint32_t fraction = bits & 0x3FFU;
    if (exponent == 0) {
        const double small = std::ldexp(static_cast<double>(fraction), -24);
        return sign != 0 ? -small : small;
    }
    const uint32_t wide_exponent = exponent == 0x1FU ? 0xFFU : exponent + (127 - 15);
    return widen(sign << 31U | wide_exponent << 23U | fraction << 13U);
}

// Four bits of exponent, three of fraction, no infinities.
double float8_value(uint32_t bits) {
    const uint32_t magnitude = bits & 0x7FU;
    if (magnitude == 0x7FU) {
        return std::bit_cast<double>(uint64_t{0x7FF8} << 48U | uint64_t{bits >> 7U} << 63U);
    }
    const auto fraction = static_cast<double>(magnitude & 7U);
    const int exponent = static_cast<int>(magnitude >> 3U);
    const double value =
        exponent == 0 ? std::ldexp(fraction, -9) : std::ldexp(8 + fraction, exponent - 10);
    return bits >> 7U != 0 ? -value : value;
}

double value_of(Element element, uint64_t bits) {
    switch (element) {
        case Element::kFloat:
            return widen(static_cast<uint32_t>(bits));
        case Element::kDouble:
            return std::bit_cast<double>(bits);
        case Element::kHalf:
            return half_value(static_cast<uint32_t>(bits));
        case Element::kBfloat16:
            return widen(static_cast<uint32_t>(bits) << 16U);
        case Element::kFloat8E5M2:
            return half_value(static_cast<uint32_t>(bits) << 8U);
        case Element::kFloat8E4M3:
            return float8_value(static_cast<uint32_t>(bits));
        case Element::kSigned:
            return static_cast<double>(static_cast<int64_t>(bits));
        case Element::kUnsigned:
            return static_cast<double>(bits);
        case Element::kBool:
            return bits != 0 ? 1 : 0;
    }
    return 0;
}

// The little-endian element at the front; integers widened to 64 bits.
uint64_t element_bits(Bytes content, const ElementType& type) {
    uint64_t bits = 0;
    for (size_t at = 0; at < type.bytes; ++at) {
        bits |= static_cast<uint64_t>(content[at]) << 8 * at;
    }
    if (type.element == Element::kSigned && type.bytes < 8) {
        const uint64_t sign = uint64_t{1} << (8 * type.bytes - 1);
        bits = (bits ^ sign) - sign;
    }
    return bits;
}

// How many elements a TensorShapeProto declares, as 0, 1 or 2 for more or an unknown number.
Result<int> count_elements(Bytes shape) {
    bool is_empty = false;
    bool has_many = false;
    ProtoReader reader(shape);
    ProtoField field;
    for (;;) {
        TRY_ASSIGN(const bool more, reader.next(field));
        if (!more) {
            break;
        }
        if (field.number == 3 && field.scalar != 0) {  // unknown_rank
            has_many = true;
        }
        if (field.number != 2 || field.type != WireType::kBytes) {
            continue;
        }
        uint64_t size = 0;
        ProtoReader dimension(field.bytes);
        ProtoField of_dimension;
        for (;;) {
            TRY_ASSIGN(const bool has_field, dimension.next(of_dimension));
            if (!has_field) {
                break;
            }
            size = of_dimension.number == 1 ? of_dimension.scalar : size;
        }
        is_empty = is_empty || size == 0;
        has_many = has_many || size > 1;  // -1 is an unknown one
    }
    return is_empty ? 0 : has_many ? 2 : 1;
}

// The parts of a TensorProto that matter to a scalar.
struct Tensor {
    Tensor() = default;

    uint64_t type = 0;
    int elements = 1;  // without a shape
    Bytes content;
    // The list fields, numbers 5 to 18: how many values, and the bits of the first.
    std::array<uint64_t, 19> listed{};
    std::array<uint64_t, 19> first{};
};

// A list field: packed, or a value by itself.
Status read_list(const ProtoField& field, Tensor& tensor) {
    const auto add = [&](uint64_t bits) {
        if (tensor.listed[field.number]++ == 0) {
            tensor.first[field.number] = bits;
        }
    };
    if (field.type != WireType::kBytes) {
        add(field.scalar);
        return {};
    }
    if (field.number == 18) {
        for (const std::byte byte : field.bytes) {
            add(static_cast<uint64_t>(byte));
        }
        return {};
    }
    const size_t fixed = field.number == 5 ? 4 : field.number == 6 ? 8 : 0;
    if (fixed > 0) {
        if (field.bytes.size() % fixed != 0) {
            return make_error(ErrorCode::kCorruption, "a list of {} bytes, not of {} each",
                              field.bytes.size(), fixed);
        }
        for (size_t at = 0; at < field.bytes.size(); at += fixed) {
            add(fixed == 4 ? load_le<uint32_t>(field.bytes.data() + at)
                           : load_le<uint64_t>(field.bytes.data() + at));
        }
        return {};
    }
    ProtoReader packed(field.bytes);
    while (!packed.at_end()) {
        TRY_ASSIGN(const uint64_t bits, packed.varint());
        add(bits);
    }
    return {};
}

bool is_number_list(uint32_t field) {
    return field == 5 || field == 6 || field == 7 || field == 10 || field == 11 || field == 13 ||
           (field >= 16 && field <= 18);
}

Result<Tensor> read_tensor(Bytes message) {
    Tensor tensor;
    ProtoReader reader(message);
    ProtoField field;
    for (;;) {
        TRY_ASSIGN(const bool more, reader.next(field));
        if (!more) {
            return tensor;
        }
        if (field.number == kDtypeField) {
            tensor.type = field.scalar;
        } else if (field.number == kShapeField && field.type == WireType::kBytes) {
            TRY_ASSIGN(tensor.elements, count_elements(field.bytes));
        } else if (field.number == kContentField && field.type == WireType::kBytes) {
            tensor.content = field.bytes;
        } else if (is_number_list(field.number)) {
            TRY(read_list(field, tensor));
        }
    }
}

void take_tensor(const Tensor& tensor, SummaryValue& value) {
    value.scalar.reset();
    value.kind = "tensors of no numeric type";
    if (tensor.type == kStringType) {
        value.kind = "text";
        return;
    }
    for (const ElementType& type : kElementTypes) {
        if (type.number != tensor.type) {
            continue;
        }
        if (tensor.elements != 1) {
            value.kind = tensor.elements == 0 ? "empty tensors" : "tensors of many elements";
            return;
        }
        const uint64_t listed = tensor.listed[type.list];
        if (tensor.content.empty() ? listed > 1 : tensor.content.size() != type.bytes) {
            value.kind = "tensors of another size than they say";
            return;
        }
        // An element that is left out is 0.
        const uint64_t bits =
            tensor.content.empty() ? tensor.first[type.list] : element_bits(tensor.content, type);
        value.scalar = value_of(type.element, bits);
        return;
    }
}

// The name in a SummaryMetadata: plugin_data 1 { plugin_name 1 }.
Result<std::string_view> read_plugin(Bytes metadata) {
    std::string_view name;
    ProtoReader reader(metadata);
    ProtoField field;
    for (;;) {
        TRY_ASSIGN(const bool more, reader.next(field));
        if (!more) {
            return name;
        }
        if (field.number != 1 || field.type != WireType::kBytes) {
            continue;
        }
        ProtoReader plugin(field.bytes);
        ProtoField of_plugin;
        for (;;) {
            TRY_ASSIGN(const bool has_field, plugin.next(of_plugin));
            if (!has_field) {
                break;
            }
            if (of_plugin.number == 1 && of_plugin.type == WireType::kBytes) {
                name = as_text(of_plugin.bytes);
            }
        }
    }
}

// Newer writers put everything into tensors; the plugin says what it is.
std::string_view kind_of_plugin(std::string_view plugin) {
    for (const std::string_view kind : {"histograms", "images", "audio", "text"}) {
        if (plugin == kind) {
            return kind;
        }
    }
    return {};
}

}  // namespace

Result<SummaryValue> read_summary_value(Bytes message) {
    SummaryValue value;
    value.kind = "without a value";
    std::string_view kind_by_plugin;
    ProtoReader reader(message);
    ProtoField field;
    for (;;) {
        TRY_ASSIGN(const bool more, reader.next(field));
        if (!more) {
            break;
        }
        const bool is_message = field.type == WireType::kBytes;
        if (field.number == 1 && is_message) {
            value.tag = as_text(field.bytes);
        } else if (field.number == 2 && field.type == WireType::kFixed32) {
            value.scalar = widen(static_cast<uint32_t>(field.scalar));
        } else if (field.number == 8 && is_message) {
            TRY_ASSIGN(const Tensor tensor, read_tensor(field.bytes));
            take_tensor(tensor, value);
        } else if (field.number == 9 && is_message) {
            TRY_ASSIGN(const std::string_view plugin, read_plugin(field.bytes));
            kind_by_plugin = kind_of_plugin(plugin);
        } else if (is_message && field.number >= 3 && field.number <= 6) {
            value.scalar.reset();
            value.kind = field.number == 4 ? "images" : field.number == 6 ? "audio" : "histograms";
        }
    }
    if (!value.scalar && !kind_by_plugin.empty()) {
        value.kind = kind_by_plugin;
    }
    return value;
}

}  // namespace stepdb
