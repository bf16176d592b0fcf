#include "engine/model/schema.h"

#include <algorithm>
#include <numeric>

#include "engine/base/coding.h"
#include "engine/base/find_text.h"
#include "engine/base/text.h"
#include "engine/model/limits.h"

namespace stepdb {

namespace {

// So few columns are looked through; a list of them by path would be a tenth of the schema.
constexpr size_t kUnsortedMax = 32;

Status check_text(std::string_view what, std::string_view text, size_t bytes_max) {
    if (text.empty()) {
        return invalid_argument(
            fmt::format("{} is empty; it needs 1 to {} bytes", what, bytes_max));
    }
    if (text.size() > bytes_max) {
        return invalid_argument(fmt::format("{} '{}' has {} bytes; at most {} are allowed", what,
                                            printable(text, 60), text.size(), bytes_max));
    }
    if (!is_valid_utf8(text)) {
        return invalid_argument(fmt::format("{} '{}' is not valid UTF-8", what, printable(text)));
    }
    if (has_control_characters(text)) {
        return invalid_argument(
            fmt::format("{} '{}' has a control character", what, printable(text)));
    }
    return {};
}

}  // namespace

Status check_id(std::string_view what, std::string_view id) {
    TRY(check_text(fmt::format("{} id", what), id, kIdBytesMax));
    const size_t bad = id.find_first_of("/#* \"'");
    if (bad != std::string_view::npos) {
        return invalid_argument(
            fmt::format("{} id '{}' has '{}' at byte {}; `/`, `#`, `*`, blank and quotes "
                        "are not allowed",
                        what, printable(id), id[bad], bad));
    }
    return {};
}

Status check_metric(std::string_view metric) {
    return check_text("metric path", metric, kMetricBytesMax);
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): those who made them give them away
Result<Schema> Schema::create(Axis axis, std::vector<std::string> metrics) {
    return create(axis, std::vector<std::string_view>(metrics.begin(), metrics.end()));
}

Result<Schema> Schema::create(Axis axis, std::span<const std::string_view> metrics) {
    if (metrics.empty() || metrics.size() > kSchemaMetricsMax) {
        return invalid_argument(fmt::format("a schema of {} metrics; 1 to {} are allowed",
                                            metrics.size(), kSchemaMetricsMax));
    }
    constexpr size_t kCanonicalBytes = 5;  // of the encoding, and four more a metric
    size_t text_bytes = 0;
    for (size_t i = 0; i < metrics.size(); ++i) {
        const Status valid = check_metric(metrics[i]);
        if (!valid) {
            return valid.error().within(fmt::format("schema column {}", i));
        }
        text_bytes += metrics[i].size();
    }
    const size_t canonical_bytes = kCanonicalBytes + 4 * metrics.size() + text_bytes;
    if (canonical_bytes > kSchemaBytesMax) {
        return invalid_argument(
            fmt::format("schema of {} metrics takes {} bytes; at most {} are allowed",
                        metrics.size(), canonical_bytes, kSchemaBytesMax));
    }
    std::vector<uint32_t> sorted(metrics.size());
    std::iota(sorted.begin(), sorted.end(), 0U);
    std::sort(sorted.begin(), sorted.end(),
              [&](uint32_t a, uint32_t b) { return metrics[a] < metrics[b]; });
    for (size_t i = 1; i < sorted.size(); ++i) {
        const uint32_t a = sorted[i - 1];
        const uint32_t b = sorted[i];
        if (metrics[a] == metrics[b]) {
            return invalid_argument(
                fmt::format("schema names metric '{}' twice, in columns {} and {}", metrics[a],
                            std::min(a, b), std::max(a, b)));
        }
    }
    Schema schema;
    schema.axis_ = axis;
    schema.text_.reserve(text_bytes);
    schema.ends_.reserve(metrics.size());
    for (const std::string_view metric : metrics) {
        schema.text_ += metric;
        schema.ends_.push_back(static_cast<uint32_t>(schema.text_.size()));
    }
    if (metrics.size() > kUnsortedMax) {
        schema.sorted_ = std::move(sorted);
    }
    schema.hash_ = sha256_128(schema.encode());
    return schema;
}

Result<Schema> Schema::decode(Bytes canonical) {
    ByteReader reader(canonical);
    const auto axis = reader.get<uint8_t>();
    const auto count = reader.get<uint32_t>();
    if (reader.failed() || axis > static_cast<uint8_t>(Axis::kTimed)) {
        return invalid_argument(
            fmt::format("schema encoding of {} bytes with axis {}: axis is 0 (stepped) or "
                        "1 (timed)",
                        canonical.size(), axis));
    }
    // A path takes at least 5 bytes: an absurd count costs no memory.
    if (count > reader.remaining() / 5) {
        return invalid_argument(
            fmt::format("schema declares {} metrics in {} bytes", count, canonical.size()));
    }
    std::vector<std::string_view> metrics;
    metrics.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
        const auto length = reader.get<uint32_t>();
        const Bytes text = reader.get_bytes(length);
        if (reader.failed()) {
            return invalid_argument(
                fmt::format("schema encoding ends within metric {} of {}", i, count));
        }
        metrics.push_back(as_text(text));
    }
    if (!reader.finished()) {
        return invalid_argument(
            fmt::format("schema encoding has {} bytes after its last metric", reader.remaining()));
    }
    return create(static_cast<Axis>(axis), metrics);
}

std::vector<std::byte> Schema::encode() const {
    ByteWriter writer;
    writer.put(static_cast<uint8_t>(axis_));
    writer.put(width());
    for (const std::string_view metric : metrics()) {
        writer.put_text(metric);
    }
    return writer.take();
}

std::optional<uint32_t> Schema::find(std::string_view metric) const {
    if (sorted_.empty()) {
        for (uint32_t column = 0; column < width(); ++column) {
            if (this->metric(column) == metric) {
                return column;
            }
        }
        return std::nullopt;
    }
    const auto at = std::lower_bound(
        sorted_.begin(), sorted_.end(), metric,
        [&](uint32_t column, std::string_view wanted) { return this->metric(column) < wanted; });
    if (at == sorted_.end() || this->metric(*at) != metric) {
        return std::nullopt;
    }
    return *at;
}

uint32_t Schema::find_holding(std::string_view text, uint32_t column) const {
    size_t from = column == 0 ? 0 : ends_[column - 1];
    while (true) {
        const size_t at = find_text(text_, text, from);
        if (at == std::string::npos) {
            return width();
        }
        const auto end = std::upper_bound(ends_.begin() + column, ends_.end(), at);
        column = static_cast<uint32_t>(end - ends_.begin());
        if (at + text.size() <= *end) {
            return column;
        }
        from = at + 1;  // it begins in one path and ends in the next
    }
}

size_t Schema::memory_bytes() const {
    const size_t allocated = sorted_.empty() ? 32 : 48;  // what the allocator adds
    return sizeof(*this) + allocated + text_.capacity() +
           (ends_.capacity() + sorted_.capacity()) * sizeof(uint32_t);
}

}  // namespace stepdb
