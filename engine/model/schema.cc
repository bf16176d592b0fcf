#include "engine/model/schema.h"

#include <algorithm>
#include <numeric>

#include "engine/base/coding.h"
#include "engine/base/text.h"
#include "engine/model/limits.h"

namespace stepdb {

namespace {

Error invalid(std::string message) {
    return Error(ErrorCode::kInvalidArgument, std::move(message));
}

Status check_text(std::string_view what, std::string_view text, size_t bytes_max) {
    if (text.empty()) {
        return invalid(fmt::format("{} is empty; it needs 1 to {} bytes", what, bytes_max));
    }
    if (text.size() > bytes_max) {
        return invalid(fmt::format("{} '{}' has {} bytes; at most {} are allowed", what,
                                   printable(text, 60), text.size(), bytes_max));
    }
    if (!is_valid_utf8(text)) {
        return invalid(fmt::format("{} '{}' is not valid UTF-8", what, printable(text)));
    }
    if (has_control_characters(text)) {
        return invalid(fmt::format("{} '{}' has a control character", what, printable(text)));
    }
    return {};
}

}  // namespace

Status check_id(std::string_view what, std::string_view id) {
    TRY(check_text(fmt::format("{} id", what), id, kIdBytesMax));
    const size_t bad = id.find_first_of("/#* \"'");
    if (bad != std::string_view::npos) {
        return invalid(
            fmt::format("{} id '{}' has '{}' at byte {}; `/`, `#`, `*`, blank and quotes "
                        "are not allowed",
                        what, printable(id), id[bad], bad));
    }
    return {};
}

Status check_metric(std::string_view metric) {
    return check_text("metric path", metric, kMetricBytesMax);
}

Result<Schema> Schema::create(Axis axis, std::vector<std::string> metrics) {
    if (metrics.empty() || metrics.size() > kSchemaMetricsMax) {
        return invalid(fmt::format("a schema of {} metrics; 1 to {} are allowed", metrics.size(),
                                   kSchemaMetricsMax));
    }
    for (size_t i = 0; i < metrics.size(); ++i) {
        const Status valid = check_metric(metrics[i]);
        if (!valid) {
            return valid.error().within(fmt::format("schema column {}", i));
        }
    }
    Schema schema;
    schema.axis_ = axis;
    schema.metrics_ = std::move(metrics);
    schema.sorted_.resize(schema.metrics_.size());
    std::iota(schema.sorted_.begin(), schema.sorted_.end(), 0U);
    const auto& names = schema.metrics_;
    std::sort(schema.sorted_.begin(), schema.sorted_.end(),
              [&](uint32_t a, uint32_t b) { return names[a] < names[b]; });
    for (size_t i = 1; i < schema.sorted_.size(); ++i) {
        const uint32_t a = schema.sorted_[i - 1];
        const uint32_t b = schema.sorted_[i];
        if (names[a] == names[b]) {
            return invalid(fmt::format("schema names metric '{}' twice, in columns {} and {}",
                                       names[a], std::min(a, b), std::max(a, b)));
        }
    }
    const std::vector<std::byte> canonical = schema.encode();
    if (canonical.size() > kSchemaBytesMax) {
        return invalid(fmt::format("schema of {} metrics takes {} bytes; at most {} are allowed",
                                   schema.width(), canonical.size(), kSchemaBytesMax));
    }
    schema.hash_ = sha256_128(canonical);
    return schema;
}

Result<Schema> Schema::decode(Bytes canonical) {
    ByteReader reader(canonical);
    const auto axis = reader.get<uint8_t>();
    const auto count = reader.get<uint32_t>();
    if (reader.failed() || axis > static_cast<uint8_t>(Axis::kTimed)) {
        return invalid(
            fmt::format("schema encoding of {} bytes with axis {}: axis is 0 (stepped) or "
                        "1 (timed)",
                        canonical.size(), axis));
    }
    // A path takes at least 5 bytes: an absurd count costs no memory.
    if (count > reader.remaining() / 5) {
        return invalid(
            fmt::format("schema declares {} metrics in {} bytes", count, canonical.size()));
    }
    std::vector<std::string> metrics;
    metrics.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
        const auto length = reader.get<uint32_t>();
        const Bytes text = reader.get_bytes(length);
        if (reader.failed()) {
            return invalid(fmt::format("schema encoding ends within metric {} of {}", i, count));
        }
        metrics.emplace_back(as_text(text));
    }
    if (!reader.finished()) {
        return invalid(
            fmt::format("schema encoding has {} bytes after its last metric", reader.remaining()));
    }
    return create(static_cast<Axis>(axis), std::move(metrics));
}

std::vector<std::byte> Schema::encode() const {
    ByteWriter writer;
    writer.put(static_cast<uint8_t>(axis_));
    writer.put(width());
    for (const std::string& metric : metrics_) {
        writer.put_text(metric);
    }
    return writer.take();
}

std::optional<uint32_t> Schema::find(std::string_view metric) const {
    const auto at = std::lower_bound(
        sorted_.begin(), sorted_.end(), metric,
        [&](uint32_t column, std::string_view wanted) { return metrics_[column] < wanted; });
    if (at == sorted_.end() || metrics_[*at] != metric) {
        return std::nullopt;
    }
    return *at;
}

size_t Schema::memory_bytes() const {
    size_t bytes = sizeof(*this) + sorted_.size() * sizeof(uint32_t);
    for (const std::string& metric : metrics_) {
        bytes += sizeof(metric) + (metric.capacity() > 15 ? metric.capacity() + 1 : 0);
    }
    return bytes;
}

}  // namespace stepdb
