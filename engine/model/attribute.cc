#include "engine/model/attribute.h"

#include "engine/base/text.h"
#include "engine/model/limits.h"

namespace stepdb {

namespace {

size_t value_bytes(const AttributeValue& value) {
    if (const auto* text = std::get_if<std::string>(&value)) {
        return text->size();
    }
    size_t bytes = 0;
    if (const auto* members = std::get_if<StringSet>(&value)) {
        for (const std::string& member : *members) {
            bytes += sizeof(std::string) + 32 + member.size();
        }
    }
    return bytes;
}

// An entry of the map without its texts.
constexpr size_t kEntryBytes = sizeof(std::pair<const std::string, AttributeValue>) + 32;

Status check_text(std::string_view name, std::string_view text) {
    if (text.size() > kAttributeTextBytesMax) {
        return invalid_argument(
            fmt::format("attribute '{}': a string of {} bytes; at most {} are allowed",
                        printable(name), text.size(), kAttributeTextBytesMax));
    }
    if (!is_valid_utf8(text)) {
        return invalid_argument(fmt::format("attribute '{}': its string is not UTF-8: {}",
                                            printable(name), printable(text)));
    }
    return {};
}

Status check_name(std::string_view name) {
    if (name.empty() || name.size() > kMetricBytesMax || !is_valid_utf8(name) ||
        has_control_characters(name)) {
        return invalid_argument(
            fmt::format("attribute '{}' of {} bytes: names are 1 to {} bytes of UTF-8 "
                        "without control characters",
                        printable(name), name.size(), kMetricBytesMax));
    }
    return {};
}

// What a client may do under sys/.
Status check_system_change(const AttributeChange& change) {
    using Kind = AttributeChange::Kind;
    if (change.name == kTagsAttribute) {
        return change.kind == Kind::kRemove ||
                       attribute_type(change.value) == AttributeType::kStringSet
                   ? Status()
                   : Status(invalid_argument(
                         fmt::format("tags are a string set, not {}",
                                     attribute_type_name(attribute_type(change.value)))));
    }
    if (change.name == kNameAttribute || change.name == kOwnerAttribute) {
        const bool fits =
            change.kind == Kind::kRemove ||
            (change.kind == Kind::kSet && attribute_type(change.value) == AttributeType::kString);
        return fits ? Status()
                    : Status(
                          invalid_argument(fmt::format("attribute '{}' is a string", change.name)));
    }
    return invalid_argument(
        fmt::format("attribute '{}': what is under sys/ is kept by the server; only {}, "
                    "{} and {} can be written",
                    printable(change.name), kNameAttribute, kOwnerAttribute, kTagsAttribute));
}

Status change_set(Attributes& attributes, const AttributeChange& change) {
    const auto& members = std::get<StringSet>(change.value);
    const bool adds = change.kind == AttributeChange::Kind::kAddToSet;
    auto at = attributes.find(change.name);
    if (at == attributes.end()) {
        if (adds) {
            attributes.emplace(change.name, change.value);
        }
        return {};
    }
    auto* there = std::get_if<StringSet>(&at->second);
    if (there == nullptr) {
        return make_error(ErrorCode::kFailedPrecondition,
                          "attribute '{}' is {}, not a string set; set it to one first",
                          printable(change.name), attribute_type_name(attribute_type(at->second)));
    }
    for (const std::string& member : members) {
        if (adds) {
            there->insert(member);
        } else if (const auto found = there->find(member); found != there->end()) {
            there->erase(found);
        }
    }
    return {};
}

}  // namespace

std::string_view attribute_type_name(AttributeType type) {
    switch (type) {
        case AttributeType::kNull:
            return "null";
        case AttributeType::kBool:
            return "a bool";
        case AttributeType::kInt64:
            return "an int64";
        case AttributeType::kFloat64:
            return "a float64";
        case AttributeType::kString:
            return "a string";
        case AttributeType::kDatetime:
            return "a datetime";
        case AttributeType::kStringSet:
            return "a string set";
    }
    return "of an unknown type";
}

const StringSet& tags_of(const Attributes& attributes) {
    static const StringSet none;
    const auto at = attributes.find(kTagsAttribute);
    const StringSet* tags = at == attributes.end() ? nullptr : std::get_if<StringSet>(&at->second);
    return tags == nullptr ? none : *tags;
}

Status check_attribute_change(const AttributeChange& change) {
    using Kind = AttributeChange::Kind;
    TRY(check_name(change.name));
    if (const auto* text = std::get_if<std::string>(&change.value)) {
        TRY(check_text(change.name, *text));
    }
    const auto* members = std::get_if<StringSet>(&change.value);
    if (members != nullptr) {
        for (const std::string& member : *members) {
            TRY(check_text(change.name, member));
        }
    }
    const bool changes_set = change.kind == Kind::kAddToSet || change.kind == Kind::kRemoveFromSet;
    if (changes_set && members == nullptr) {
        return invalid_argument(
            fmt::format("attribute '{}': a set is changed by a string set, not {}",
                        printable(change.name), attribute_type_name(attribute_type(change.value))));
    }
    if (change.name.starts_with(kSystemPrefix)) {
        return check_system_change(change);
    }
    return {};
}

Status apply_attribute_changes(Attributes& attributes,
                               const std::vector<AttributeChange>& changes) {
    using Kind = AttributeChange::Kind;
    for (const AttributeChange& change : changes) {
        switch (change.kind) {
            case Kind::kSet: {
                AttributeValue& there = attributes[change.name];
                const auto* integer = std::get_if<int64_t>(&change.value);
                if (integer != nullptr && attribute_type(there) == AttributeType::kFloat64) {
                    there = static_cast<double>(*integer);
                } else {
                    there = change.value;
                }
                break;
            }
            case Kind::kRemove:
                attributes.erase(change.name);
                break;
            case Kind::kAddToSet:
            case Kind::kRemoveFromSet:
                TRY(change_set(attributes, change));
                break;
        }
    }
    if (const size_t bytes = attributes_bytes(attributes); bytes > kRunAttributesBytesMax) {
        return make_error(ErrorCode::kResourceExhausted,
                          "the run's {} attributes would take {}; a run may have {}",
                          attributes.size(), format_size(bytes),
                          format_size(kRunAttributesBytesMax));
    }
    return {};
}

Attributes inherited_attributes(const Attributes& attributes) {
    Attributes inherited;
    for (const auto& [name, value] : attributes) {
        if (!name.starts_with(kSystemPrefix)) {
            inherited.emplace(name, value);
        }
    }
    StringSet tags = tags_of(attributes);
    if (const auto keep = tags.find(kKeepTag); keep != tags.end()) {
        tags.erase(keep);
    }
    if (!tags.empty()) {
        inherited.emplace(kTagsAttribute, std::move(tags));
    }
    return inherited;
}

size_t attributes_bytes(const Attributes& attributes) {
    size_t bytes = 0;
    for (const auto& [name, value] : attributes) {
        bytes += kEntryBytes + name.size() + value_bytes(value);
    }
    return bytes;
}

void encode_attribute_value(ByteWriter& writer, const AttributeValue& value) {
    writer.put(attribute_type(value));
    switch (attribute_type(value)) {
        case AttributeType::kNull:
            break;
        case AttributeType::kBool:
            writer.put(static_cast<uint8_t>(std::get<bool>(value)));
            break;
        case AttributeType::kInt64:
            writer.put(std::get<int64_t>(value));
            break;
        case AttributeType::kFloat64:
            writer.put(std::get<double>(value));
            break;
        case AttributeType::kString:
            writer.put_text(std::get<std::string>(value));
            break;
        case AttributeType::kDatetime:
            writer.put(std::get<Datetime>(value).us);
            break;
        case AttributeType::kStringSet: {
            const auto& members = std::get<StringSet>(value);
            writer.put(static_cast<uint32_t>(members.size()));
            for (const std::string& member : members) {
                writer.put_text(member);
            }
            break;
        }
    }
}

Status decode_attribute_value(ByteReader& reader, AttributeValue& value) {
    const auto type = reader.get<uint8_t>();
    switch (static_cast<AttributeType>(type)) {
        case AttributeType::kNull:
            value.emplace<std::monostate>();
            break;
        case AttributeType::kBool: {
            const auto flag = reader.get<uint8_t>();
            if (flag > 1) {
                return invalid_argument(fmt::format("a bool of {}; 0 and 1 are known", flag));
            }
            value.emplace<bool>(flag == 1);
            break;
        }
        case AttributeType::kInt64:
            value.emplace<int64_t>(reader.get<int64_t>());
            break;
        case AttributeType::kFloat64:
            value.emplace<double>(reader.get<double>());
            break;
        case AttributeType::kString:
            value.emplace<std::string>(reader.get_text(kAttributeTextBytesMax));
            break;
        case AttributeType::kDatetime:
            value.emplace<Datetime>(reader.get<int64_t>());
            break;
        case AttributeType::kStringSet: {
            const auto count = reader.get<uint32_t>();
            StringSet members;
            for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
                const std::string_view member = reader.get_text(kAttributeTextBytesMax);
                if (!members.empty() && *members.rbegin() >= member && !reader.failed()) {
                    return invalid_argument(
                        fmt::format("a string set with '{}' behind '{}'; members are in "
                                    "ascending order",
                                    printable(member), printable(*members.rbegin())));
                }
                members.emplace_hint(members.end(), member);
            }
            value.emplace<StringSet>(std::move(members));
            break;
        }
        default:
            return invalid_argument(fmt::format("attribute type {}; 0 to 6 are known", type));
    }
    if (reader.failed()) {
        return invalid_argument("a value that is cut off, or a string longer than is allowed");
    }
    return {};
}

}  // namespace stepdb
