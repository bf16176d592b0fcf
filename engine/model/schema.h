// A schema: an ordered list of metric paths with an axis, named by its content. It says what the
// columns of a row mean; every run of a sweep shares one.
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/result.h"
#include "engine/model/key.h"

namespace stepdb {

// The first 128 bits of the SHA-256 of the canonical encoding.
using SchemaHash = Id128;

// Immutable once made; shared by shared_ptr. A store may have 100,000 of them, so one is kept in
// little more than the bytes of its paths.
class Schema {
  public:
    // The metrics in the order of their columns; views that live as long as the schema.
    class Metrics;

    // Checks count, paths (UTF-8, 1 to 1,024 bytes, no control characters) and that no metric comes
    // twice; kInvalidArgument naming the metric and its position.
    static Result<Schema> create(Axis axis, std::vector<std::string> metrics);
    static Result<Schema> create(Axis axis, std::span<const std::string_view> metrics);

    // The canonical encoding: u8 axis, u32 count, then every path as u32 length and bytes, all
    // little-endian.
    static Result<Schema> decode(Bytes canonical);
    std::vector<std::byte> encode() const;

    Axis axis() const { return axis_; }
    const SchemaHash& hash() const { return hash_; }
    uint32_t width() const { return static_cast<uint32_t>(ends_.size()); }
    Metrics metrics() const;
    std::string_view metric(uint32_t column) const {
        const uint32_t begin = column == 0 ? 0 : ends_[column - 1];
        return std::string_view(text_).substr(begin, ends_[column] - begin);
    }

    // Column of a metric, if it has one.
    std::optional<uint32_t> find(std::string_view metric) const;

    // The first column from `column` on whose path holds this text, which is not empty; width() if
    // none does. All paths are searched as one text, at some gigabytes a second.
    uint32_t find_holding(std::string_view text, uint32_t column) const;

    size_t memory_bytes() const;

  private:
    Schema() = default;

    Axis axis_ = Axis::kStepped;
    SchemaHash hash_;
    std::string text_;              // the paths, one behind the other
    std::vector<uint32_t> ends_;    // of each in the text
    std::vector<uint32_t> sorted_;  // columns by path, for find; none if there are few
};

class Schema::Metrics {
  public:
    class Iterator {
      public:
        using iterator_category = std::input_iterator_tag;
        using iterator_concept = std::forward_iterator_tag;
        using value_type = std::string_view;
        using difference_type = ptrdiff_t;
        using pointer = void;
        using reference = std::string_view;

        Iterator() = default;
        Iterator(const Schema* schema, uint32_t column) : schema_(schema), column_(column) {}

        std::string_view operator*() const { return schema_->metric(column_); }
        Iterator& operator++() {
            ++column_;
            return *this;
        }
        Iterator operator++(int) { return {schema_, column_++}; }
        bool operator==(const Iterator&) const = default;

      private:
        const Schema* schema_ = nullptr;
        uint32_t column_ = 0;
    };

    explicit Metrics(const Schema& schema) : schema_(&schema) {}

    Iterator begin() const { return {schema_, 0}; }
    Iterator end() const { return {schema_, schema_->width()}; }
    size_t size() const { return schema_->width(); }
    std::string_view operator[](size_t column) const {
        return schema_->metric(static_cast<uint32_t>(column));
    }

  private:
    const Schema* schema_;
};

inline Schema::Metrics Schema::metrics() const {
    return Metrics(*this);
}

// Checks an id of a project or run: 1 to 128 bytes of UTF-8, no `/`, `#`, `*`, blank, quote or
// control character. `what` is "project" or "run".
Status check_id(std::string_view what, std::string_view id);

Status check_metric(std::string_view metric);

}  // namespace stepdb
