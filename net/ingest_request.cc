#include "net/ingest_request.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <utility>

#include "engine/base/float_bits.h"
#include "engine/base/json_scanner.h"
#include "engine/base/number_text.h"
#include "engine/base/text.h"
#include "engine/model/limits.h"
#include "engine/model/schema.h"

namespace stepdb {

namespace {

constexpr std::string_view kMetricsPath = "metrics/";
constexpr std::string_view kAttributesPath = "attributes/";
// Of values of a frame, before another begins.
constexpr size_t kPartBytesMax = 4U << 20U;

Error wrong_member(const JsonLeaf& leaf, std::string_view wanted) {
    return make_error(ErrorCode::kInvalidArgument, "\"{}\": {}, not {}", printable(leaf.path),
                      wanted, printable(leaf.text, 40));
}

Result<std::string> read_text(const JsonLeaf& leaf) {
    if (leaf.kind != JsonKind::kString) {
        return wrong_member(leaf, "a text is wanted");
    }
    return std::string(leaf.text);
}

// An integer as it is written; nothing if it is none, or too large.
template <typename Integer>
std::optional<Integer> integer_of(std::string_view text) {
    Integer value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    return status == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                     : std::nullopt;
}

template <typename Integer>
Result<Integer> read_integer(const JsonLeaf& leaf, std::string_view wanted) {
    const std::optional<Integer> value =
        leaf.kind == JsonKind::kNumber ? integer_of<Integer>(leaf.text) : std::nullopt;
    if (!value) {
        return wrong_member(leaf, wanted);
    }
    return *value;
}

Result<Id128> read_writer(const JsonLeaf& leaf) {
    Id128 id;
    const std::string_view text = leaf.kind == JsonKind::kString ? leaf.text : std::string_view();
    bool is_hex = text.size() == 2 * id.bytes.size();
    for (size_t at = 0; is_hex && at < id.bytes.size(); ++at) {
        unsigned byte = 0;
        const char* const first = text.data() + 2 * at;
        const auto [end, status] = std::from_chars(first, first + 2, byte, 16);
        is_hex = status == std::errc() && end == first + 2;
        id.bytes[at] = static_cast<std::byte>(byte);
    }
    if (!is_hex || id.is_zero()) {
        return wrong_member(leaf, "32 hex digits are wanted, not all of them 0");
    }
    return id;
}

// A row as it is read, before it is known which part it belongs to.
struct IngestRow {
    IngestRow() = default;

    std::optional<double> step;
    std::optional<int64_t> time_us;
    std::vector<std::string> names;
    std::vector<std::optional<double>> values;
};

Result<std::optional<double>> read_metric(const JsonLeaf& leaf) {
    switch (leaf.kind) {
        case JsonKind::kNumber:
        case JsonKind::kBool:
            return std::optional(leaf.number);
        case JsonKind::kNull:
            return std::optional<double>();
        case JsonKind::kString:
            // The words of answers.
            if (const std::optional<double> value = parse_value(leaf.text)) {
                return value;
            }
            break;
        case JsonKind::kArray:
            break;
    }
    return wrong_member(leaf, "a number, \"NaN\", \"Infinity\", \"-Infinity\" or null is wanted");
}

Status take_row_member(const JsonLeaf& leaf, IngestRow& row) {
    if (leaf.path == "step") {
        row.step = leaf.kind == JsonKind::kNumber ? as_step(leaf.number) : std::nullopt;
        if (!row.step) {
            return wrong_member(leaf, "a finite number is wanted");
        }
        return {};
    }
    if (leaf.path == "time") {
        TRY_ASSIGN(row.time_us, read_integer<int64_t>(leaf, "microseconds since 1970 are wanted"));
        return {};
    }
    if (leaf.path.starts_with(kMetricsPath)) {
        TRY_ASSIGN(const std::optional<double> value, read_metric(leaf));
        row.names.emplace_back(leaf.path.substr(kMetricsPath.size()));
        row.values.push_back(value);
        return {};
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "\"{}\" is no member of a row; there are \"step\", \"time\" and \"metrics\"",
                      printable(leaf.path));
}

class IngestReader {
  public:
    Result<IngestRequest> read(std::string_view body) {
        TRY(scan_json_object(body, [this](const JsonLeaf& leaf) { return take(leaf); }));
        TRY(check_id("project", request_.project));
        TRY(check_id("run", request_.run));
        if (request_.writer.has_value() != has_number_) {
            return invalid_argument(
                "\"writer\" and \"number\" go together: the number of the first frame is 1, then "
                "what the last answer gave as \"next_number\"");
        }
        return std::move(request_);
    }

  private:
    Status take(const JsonLeaf& leaf);
    Status take_writer(const JsonLeaf& leaf);
    Status take_state(const JsonLeaf& leaf);
    Status take_tags(const JsonLeaf& leaf);
    Status take_attribute(const JsonLeaf& leaf);
    Status take_rows(std::string_view array);
    Status take_row(IngestRow row);
    Status begin_part(const IngestRow& row, Axis axis);
    bool fits_last_part(const IngestRow& row, Axis axis) const;

    IngestRequest request_;
    bool has_number_ = false;
    bool has_times_ = false;          // of the last part
    std::vector<std::string> names_;  // of its metrics
};

Status IngestReader::take(const JsonLeaf& leaf) {
    if (leaf.path == "project") {
        TRY_ASSIGN(request_.project, read_text(leaf));
        return {};
    }
    if (leaf.path == "run") {
        TRY_ASSIGN(request_.run, read_text(leaf));
        return {};
    }
    if (leaf.path == "rows" && leaf.kind == JsonKind::kArray) {
        return take_rows(leaf.text);
    }
    if (leaf.path == "tags" && leaf.kind == JsonKind::kArray) {
        return take_tags(leaf);
    }
    if (leaf.path.starts_with(kAttributesPath)) {
        return take_attribute(leaf);
    }
    if (leaf.path == "writer" || leaf.path == "number") {
        return take_writer(leaf);
    }
    if (leaf.path == "attempt") {
        TRY_ASSIGN(request_.attempt,
                   read_integer<uint32_t>(leaf, "the attempt's number is wanted"));
        return {};
    }
    if (leaf.path == "state") {
        return take_state(leaf);
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "\"{}\" is no member of the request; there are \"project\", \"run\", "
                      "\"rows\" [...], \"attributes\" {{...}}, \"tags\" [...], \"state\", "
                      "\"attempt\", \"writer\" and \"number\"",
                      printable(leaf.path));
}

Status IngestReader::take_writer(const JsonLeaf& leaf) {
    if (leaf.path == "writer") {
        TRY_ASSIGN(request_.writer, read_writer(leaf));
        return {};
    }
    TRY_ASSIGN(request_.number, read_integer<uint64_t>(leaf, "a frame's number is wanted"));
    if (request_.number == 0) {
        return wrong_member(leaf, "numbers begin with 1");
    }
    has_number_ = true;
    return {};
}

Status IngestReader::take_state(const JsonLeaf& leaf) {
    for (const RunState state : {RunState::kFinished, RunState::kFailed}) {
        if (leaf.kind == JsonKind::kString && leaf.text == run_state_name(state)) {
            request_.state = state;
            return {};
        }
    }
    return wrong_member(leaf, "\"finished\" or \"failed\" is wanted");
}

Status IngestReader::take_tags(const JsonLeaf& leaf) {
    StringSet tags;
    TRY(scan_json_array(leaf.text, [&](const JsonLeaf& tag) -> Status {
        if (tag.kind != JsonKind::kString || !tag.path.empty()) {
            return invalid_argument("\"tags\": texts are wanted");
        }
        tags.emplace(tag.text);
        return {};
    }));
    request_.changes.emplace_back(AttributeChange::Kind::kAddToSet, std::string(kTagsAttribute),
                                  std::move(tags));
    return check_attribute_change(request_.changes.back());
}

Status IngestReader::take_attribute(const JsonLeaf& leaf) {
    AttributeValue value;
    switch (leaf.kind) {
        case JsonKind::kNull:
            break;
        case JsonKind::kBool:
            value = leaf.number != 0;
            break;
        case JsonKind::kNumber:
            if (const auto integer = integer_of<int64_t>(leaf.text)) {
                value = *integer;
            } else {
                value = leaf.number;
            }
            break;
        case JsonKind::kString:
            value = std::string(leaf.text);
            break;
        case JsonKind::kArray: {
            StringSet set;
            TRY(scan_json_array(leaf.text, [&](const JsonLeaf& member) -> Status {
                if (member.kind != JsonKind::kString || !member.path.empty()) {
                    return wrong_member(leaf, "an array of texts is wanted");
                }
                set.emplace(member.text);
                return {};
            }));
            value = std::move(set);
            break;
        }
    }
    request_.changes.emplace_back(AttributeChange::Kind::kSet,
                                  std::string(leaf.path.substr(kAttributesPath.size())),
                                  std::move(value));
    return check_attribute_change(request_.changes.back());
}

Status IngestReader::take_rows(std::string_view array) {
    return scan_json_elements(array, [this](std::string_view text) -> Status {
        IngestRow row;
        Status taken = scan_json_object(
            text, [&](const JsonLeaf& leaf) { return take_row_member(leaf, row); });
        if (taken) {
            taken = take_row(std::move(row));
        }
        ++request_.row_count;
        return taken
                   ? taken
                   : Status(taken.error().within(fmt::format("rows[{}]", request_.row_count - 1)));
    });
}

Status IngestReader::take_row(IngestRow row) {
    if (!row.step && !row.time_us) {
        return invalid_argument("a row takes a \"step\", a \"time\" or both");
    }
    if (row.names.empty()) {
        return invalid_argument("there are no \"metrics\"");
    }
    const Axis axis = row.step ? Axis::kStepped : Axis::kTimed;
    if (!fits_last_part(row, axis)) {
        TRY(begin_part(row, axis));
    }
    IngestRequest::Part& part = request_.parts.back();
    part.rows->add(row.step, row.time_us, row.values);
    ++part.row_count;
    return {};
}

bool IngestReader::fits_last_part(const IngestRow& row, Axis axis) const {
    if (request_.parts.empty()) {
        return false;
    }
    const IngestRequest::Part& last = request_.parts.back();
    return last.schema->axis() == axis && has_times_ == row.time_us.has_value() &&
           names_ == row.names && last.rows->rows() < kFrameRowsMax &&
           last.rows->bytes_estimate() < kPartBytesMax;
}

Status IngestReader::begin_part(const IngestRow& row, Axis axis) {
    if (request_.parts.size() == kIngestFramesMax) {
        return make_error(ErrorCode::kInvalidArgument,
                          "the metrics of the rows change more than {} times; send rows of the "
                          "same metrics behind each other, with null for what a row lacks",
                          kIngestFramesMax);
    }
    IngestRequest::Part part;
    const bool is_same = !request_.parts.empty() && names_ == row.names &&
                         request_.parts.back().schema->axis() == axis;
    if (is_same) {
        part.schema = request_.parts.back().schema;
    } else {
        TRY_ASSIGN(Schema schema, Schema::create(axis, row.names));
        part.schema = std::make_shared<const Schema>(std::move(schema));
    }
    part.rows = std::make_shared<RowsBuilder>(part.schema);
    part.first_row = request_.row_count;
    names_ = row.names;
    has_times_ = row.time_us.has_value();
    request_.parts.push_back(std::move(part));
    return {};
}

}  // namespace

Result<IngestRequest> read_ingest_json(std::string_view body) {
    return IngestReader().read(body);
}

}  // namespace stepdb
