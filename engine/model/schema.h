// A schema: an ordered list of metric paths with an axis, named by its content. It says what the
// columns of a row mean; every run of a sweep shares one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/result.h"
#include "engine/model/key.h"

namespace stepdb {

// The first 128 bits of the SHA-256 of the canonical encoding.
using SchemaHash = Id128;

// Immutable once made; shared by shared_ptr.
class Schema {
  public:
    // Checks count, paths (UTF-8, 1 to 1,024 bytes, no control characters) and that no metric comes
    // twice; kInvalidArgument naming the metric and its position.
    static Result<Schema> create(Axis axis, std::vector<std::string> metrics);

    // The canonical encoding: u8 axis, u32 count, then every path as u32 length and bytes, all
    // little-endian.
    static Result<Schema> decode(Bytes canonical);
    std::vector<std::byte> encode() const;

    Axis axis() const { return axis_; }
    const SchemaHash& hash() const { return hash_; }
    uint32_t width() const { return static_cast<uint32_t>(metrics_.size()); }
    const std::vector<std::string>& metrics() const { return metrics_; }
    const std::string& metric(uint32_t column) const { return metrics_[column]; }

    // Column of a metric, if it has one.
    std::optional<uint32_t> find(std::string_view metric) const;

    size_t memory_bytes() const;

  private:
    Schema() = default;

    Axis axis_ = Axis::kStepped;
    SchemaHash hash_;
    std::vector<std::string> metrics_;
    std::vector<uint32_t> sorted_;  // columns by path, for find
};

// Checks an id of a project or run: 1 to 128 bytes of UTF-8, no `/`, `#`, `*`, blank, quote or
// control character. `what` is "project" or "run".
Status check_id(std::string_view what, std::string_view id);

Status check_metric(std::string_view metric);

}  // namespace stepdb
