// Attributes: typed facts of a run ("config/lr" is 3e-4), and the changes that a frame makes to
// them. docs/protocol.md, "set_attributes".
//
// Names are 1 to 1,024 bytes of UTF-8 without control characters. Names under `sys/` belong to the
// system; of them a client may set `sys/name` and `sys/owner` (strings) and change `sys/tags` (the
// run's tags, a string set).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/coding.h"
#include "engine/base/result.h"

namespace stepdb {

struct Datetime {
    Datetime() = default;
    explicit Datetime(int64_t its_us) : us(its_us) {}

    int64_t us = 0;  // since the Unix epoch, UTC

    auto operator<=>(const Datetime&) const = default;
};

using StringSet = std::set<std::string, std::less<>>;

// The alternatives are in the order of AttributeType. Null is a value: known to be nothing.
using AttributeValue =
    std::variant<std::monostate, bool, int64_t, double, std::string, Datetime, StringSet>;

enum class AttributeType : uint8_t {
    kNull = 0,
    kBool = 1,
    kInt64 = 2,
    kFloat64 = 3,
    kString = 4,
    kDatetime = 5,
    kStringSet = 6,
};

inline AttributeType attribute_type(const AttributeValue& value) {
    return static_cast<AttributeType>(value.index());
}
// "an int64", "a string set", for messages.
std::string_view attribute_type_name(AttributeType type);

using Attributes = std::map<std::string, AttributeValue, std::less<>>;

inline constexpr std::string_view kSystemPrefix = "sys/";
inline constexpr std::string_view kNameAttribute = "sys/name";
inline constexpr std::string_view kOwnerAttribute = "sys/owner";
inline constexpr std::string_view kTagsAttribute = "sys/tags";
// Spares a run from retention; not inherited by forks.
inline constexpr std::string_view kKeepTag = "keep";

// Notes at a step or a time are attributes `note/step/STEP` and `note/time/MICROSECONDS`, sets of
// strings (or a string): what happened there, in words, one for each note.
inline constexpr std::string_view kNoteAtStepPrefix = "note/step/";
inline constexpr std::string_view kNoteAtTimePrefix = "note/time/";

// The set under that name; empty if there is none.
const StringSet& tags_of(const Attributes& attributes);

// One change of one attribute.
struct AttributeChange {
    enum class Kind : uint8_t {
        kSet = 1,            // the value replaces what was there, whatever its type
        kRemove = 2,         // no value; nothing happens if it is not there
        kAddToSet = 3,       // a string set: its members join those that are there
        kRemoveFromSet = 4,  // a string set: its members leave
    };

    AttributeChange() = default;
    AttributeChange(Kind its_kind, std::string its_name, AttributeValue its_value = {})
        : kind(its_kind), name(std::move(its_name)), value(std::move(its_value)) {}

    Kind kind = Kind::kSet;
    std::string name;
    AttributeValue value;
};

// Name and value are allowed for a client to write. kInvalidArgument naming the attribute.
Status check_attribute_change(const AttributeChange& change);

// Applies changes in order. kFailedPrecondition naming the attribute if a set change meets a value
// that is no set, kResourceExhausted beyond kRunAttributesBytesMax; `attributes` is then undefined.
// An int64 that replaces a float64 becomes one: a run that logs lr as 1 and 0.1 has one type.
Status apply_attribute_changes(Attributes& attributes, const std::vector<AttributeChange>& changes);

// What a fork starts with: everything of the user's and the tags but `keep`.
Attributes inherited_attributes(const Attributes& attributes);

// About, in memory and encoded.
size_t attributes_bytes(const Attributes& attributes);

// u8 type, then: bool u8; int64, float64, datetime 8 bytes; string text; string set u32 count and
// texts in byte order without repetition.
void encode_attribute_value(ByteWriter& writer, const AttributeValue& value);
// kInvalidArgument saying what is wrong; the caller adds the name.
// An out parameter because g++ 12 warns of moved variants.
Status decode_attribute_value(ByteReader& reader, AttributeValue& value);

}  // namespace stepdb
