#include "engine/segment/summary_section.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "engine/base/coding.h"
#include "engine/base/float_bits.h"
#include "engine/codec/integer_codec.h"
#include "engine/codec/value_codec.h"
#include "engine/codec/varint.h"

namespace stepdb {

namespace {

constexpr uint8_t kSummariesFormat = 1;
constexpr uint8_t kFloat64Bit = 1;
constexpr uint8_t kConstantBit = 2;

constexpr std::array<uint64_t Summary::*, 4> kCounts = {
    &Summary::count, &Summary::nan, &Summary::positive_infinity, &Summary::negative_infinity};
constexpr std::array<SummaryPoint Summary::*, 4> kPoints = {&Summary::first, &Summary::last,
                                                            &Summary::min, &Summary::max};

// Parts of one entry a column, on their way in or out.
class PartWriter {
  public:
    PartWriter(std::span<const ColumnSummary> columns, std::vector<std::byte>& out)
        : columns_(columns), out_(out), integers_(columns.size()), values_(columns.size()) {}

    template <typename Get>
    void put_integers(const Get& get) {
        std::ranges::transform(columns_, integers_.begin(), get);
        encode_integers(integers_, part_);
        append();
    }
    template <typename Get>
    void put_steps(const Get& get) {
        std::ranges::transform(columns_, integers_.begin(), get);
        encode_steps(integers_, part_);
        append();
    }
    template <typename Get>
    void put_values(const Get& get) {
        std::ranges::transform(columns_, values_.begin(), get);
        const ValueForm form = encode_values(values_, part_);
        out_.push_back(static_cast<std::byte>((form.float64 ? kFloat64Bit : 0) |
                                              (form.constant ? kConstantBit : 0)));
        append();
    }

  private:
    void append() {
        append_varint(out_, part_.size());
        out_.insert(out_.end(), part_.begin(), part_.end());
        part_.clear();
    }

    std::span<const ColumnSummary> columns_;
    std::vector<std::byte>& out_;
    std::vector<int64_t> integers_;
    std::vector<double> values_;
    std::vector<std::byte> part_;
};

class PartReader {
  public:
    PartReader(ByteReader& reader, std::vector<ColumnSummary>& columns)
        : reader_(reader), columns_(columns), integers_(columns.size()), values_(columns.size()) {}

    template <typename Set>
    Status get_integers(const Set& set) {
        TRY_ASSIGN(const Bytes part, get_part());
        TRY(decode_integers(part, integers_));
        return assign(integers_, set);
    }
    template <typename Set>
    Status get_steps(const Set& set) {
        TRY_ASSIGN(const Bytes part, get_part());
        TRY(decode_steps(part, integers_));
        return assign(integers_, set);
    }
    template <typename Set>
    Status get_values(const Set& set) {
        const auto bits = reader_.get<uint8_t>();
        if ((bits & ~(kFloat64Bit | kConstantBit)) != 0) {
            return corruption(fmt::format("summaries: a part of values begins with {:#x}", bits));
        }
        TRY_ASSIGN(const Bytes part, get_part());
        const ValueForm form{(bits & kFloat64Bit) != 0, (bits & kConstantBit) != 0};
        TRY(decode_values(form, part, values_));
        return assign(values_, set);
    }

  private:
    Result<Bytes> get_part() {
        uint64_t bytes = 0;
        if (!read_varint(reader_, bytes) || bytes > reader_.remaining()) {
            return corruption("summaries end within a part");
        }
        return reader_.get_bytes(bytes);
    }
    template <typename T, typename Set>
    Status assign(const std::vector<T>& entries, const Set& set) {
        for (size_t i = 0; i < entries.size(); ++i) {
            set(columns_[i], entries[i]);
        }
        return {};
    }

    ByteReader& reader_;
    std::vector<ColumnSummary>& columns_;
    std::vector<int64_t> integers_;
    std::vector<double> values_;
};

Status read_points(PartReader& parts, Axis axis) {
    for (const auto point : kPoints) {
        const auto set_key = [point](ColumnSummary& of, int64_t key) {
            (of.summary.*point).key = key;
            (of.summary.*point).time = key;
        };
        TRY(axis == Axis::kStepped ? parts.get_steps(set_key) : parts.get_integers(set_key));
    }
    if (axis == Axis::kTimed) {
        return {};
    }
    for (const auto point : kPoints) {
        TRY(parts.get_integers(
            [point](ColumnSummary& of, int64_t time) { (of.summary.*point).time = time; }));
    }
    return {};
}

Status read_values(PartReader& parts) {
    for (const auto point : kPoints) {
        TRY(parts.get_values(
            [point](ColumnSummary& of, double value) { (of.summary.*point).value = value; }));
    }
    TRY(parts.get_values([](ColumnSummary& of, double mean) {
        of.summary.sum = CompensatedSum(mean, of.summary.count);
    }));
    return parts.get_values([](ColumnSummary& of, double deviations) {
        of.summary.deviations = DeviationSum(deviations);
    });
}

bool can_be(const Summary& summary, const BlockInfo& info) {
    for (const auto count : kCounts) {
        if (summary.*count > info.rows) {
            return false;
        }
    }
    const KeyRange keys{summary.first.key, summary.last.key};
    for (const auto point : kPoints) {
        const SummaryPoint& at = summary.*point;
        if (!keys.contains(at.key) || at.time < info.time_min || at.time > info.time_max) {
            return false;
        }
    }
    const double deviations = summary.deviations.plain();
    return summary.points() >= 1 && summary.points() <= info.rows && keys.first >= info.key_min &&
           keys.last <= info.key_max && std::isfinite(summary.min.value) &&
           std::isfinite(summary.max.value) && summary.min.value <= summary.max.value &&
           std::isfinite(deviations) && deviations >= 0 &&
           (summary.count == 0 || std::isfinite(summary.mean()));
}

Status check(const std::vector<ColumnSummary>& columns, const BlockInfo& info) {
    for (size_t i = 0; i < columns.size(); ++i) {
        const uint32_t column = columns[i].column;
        if (!info.may_hold(column) || (i > 0 && column <= columns[i - 1].column) ||
            !can_be(columns[i].summary, info)) {
            return corruption(fmt::format("summary {} of {}, of column {}, cannot be", i,
                                          columns.size(), column));
        }
    }
    return {};
}

// Equal, which may be infinite, or apart by the bound; what lies below the normal numbers is
// rounded more coarsely than any relative bound.
bool is_near(double a, double b, double bound) {
    return a == b || std::fabs(a - b) <= bound + std::numeric_limits<double>::min();
}

}  // namespace

std::vector<std::byte> encode_summaries(std::span<const ColumnSummary> columns, Axis axis) {
    CHECK(!columns.empty(), "no summaries to encode");
    std::vector<std::byte> out = {std::byte{kSummariesFormat}, {}, {}, {}};
    append_varint(out, columns.size());
    PartWriter parts(columns, out);
    parts.put_integers([](const ColumnSummary& of) { return int64_t{of.column}; });
    for (const auto count : kCounts) {
        parts.put_integers(
            [count](const ColumnSummary& of) { return static_cast<int64_t>(of.summary.*count); });
    }
    for (const auto point : kPoints) {
        const auto key_of = [point](const ColumnSummary& of) { return (of.summary.*point).key; };
        if (axis == Axis::kStepped) {
            parts.put_steps(key_of);
        } else {
            parts.put_integers(key_of);
        }
    }
    if (axis == Axis::kStepped) {
        for (const auto point : kPoints) {
            parts.put_integers(
                [point](const ColumnSummary& of) { return (of.summary.*point).time; });
        }
    }
    for (const auto point : kPoints) {
        parts.put_values([point](const ColumnSummary& of) { return (of.summary.*point).value; });
    }
    parts.put_values(
        [](const ColumnSummary& of) { return of.summary.count == 0 ? 0.0 : of.summary.mean(); });
    parts.put_values([](const ColumnSummary& of) { return of.summary.deviations.plain(); });
    return out;
}

Result<std::vector<ColumnSummary>> decode_summaries(Bytes section, const BlockInfo& info) {
    ByteReader reader(section);
    const auto format = reader.get<uint8_t>();
    const Bytes reserved = reader.get_bytes(3);
    if (!reader.failed() && format != kSummariesFormat) {
        return make_error(ErrorCode::kUnsupportedVersion,
                          "summaries have format {}; this program reads {}", format,
                          kSummariesFormat);
    }
    uint64_t count = 0;
    if (reader.failed() || std::ranges::any_of(reserved, [](auto b) { return b != std::byte{}; }) ||
        !read_varint(reader, count) || count == 0 || count > info.columns) {
        return corruption(fmt::format("summaries of {} of {} columns in {} bytes", count,
                                      info.columns, section.size()));
    }
    std::vector<ColumnSummary> columns(count);
    PartReader parts(reader, columns);
    TRY(parts.get_integers([](ColumnSummary& of, int64_t column) {
        of.column = static_cast<uint32_t>(std::clamp<int64_t>(column, 0, UINT32_MAX));
    }));
    for (const auto field : kCounts) {
        TRY(parts.get_integers([field](ColumnSummary& of, int64_t value) {
            of.summary.*field = static_cast<uint64_t>(value);
        }));
    }
    TRY(read_points(parts, info.axis));
    TRY(read_values(parts));
    if (!reader.finished()) {
        return corruption(
            fmt::format("summaries of {} bytes have more than they should", section.size()));
    }
    TRY(check(columns, info));
    return columns;
}

const Summary* find_summary(const std::vector<ColumnSummary>& summaries, uint32_t column) {
    const auto at = std::ranges::lower_bound(summaries, column, {}, &ColumnSummary::column);
    return at == summaries.end() || at->column != column ? nullptr : &at->summary;
}

bool agrees(const Summary& stored, const Summary& computed) {
    const auto same_count = [&](auto count) { return stored.*count == computed.*count; };
    const auto same_point = [&](auto point) {
        const SummaryPoint& a = stored.*point;
        const SummaryPoint& b = computed.*point;
        return a.key == b.key && a.time == b.time && same_bits(a.value, b.value);
    };
    if (!std::ranges::all_of(kCounts, same_count) || !std::ranges::all_of(kPoints, same_point)) {
        return false;
    }
    if (stored.count == 0) {
        return true;
    }
    const double magnitude = std::max(std::fabs(stored.min.value), std::fabs(stored.max.value));
    const double variance = computed.variance();
    const double deviation = std::sqrt(variance);
    return is_near(stored.mean(), computed.mean(), 1e-12 * magnitude) &&
           is_near(stored.variance(), variance,
                   1e-9 * variance + 1e-15 * std::fabs(computed.mean()) * deviation);
}

}  // namespace stepdb
