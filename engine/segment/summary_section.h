// The summaries section of a block: what is known of its columns without decoding them. Columns
// with few values have none, they are decoded as fast. docs/format.md, "Summaries section".
//
//   u8 format        1
//   u8[3] reserved   0
//   varint           count of columns with a summary, at least 1
//   parts            integers: column; finite values, NaN, +Inf, -Inf
//                    keys: of the first, last, least, largest value (as in the axis section)
//                    times of these four, integers; not in a timed block, whose times are its keys
//                    values: first, last, least, largest, mean, sum of squared deviations
//
// Each part has one entry a column: varint n, n bytes; of values, u8 form comes first (bit 0
// float64, bit 1 constant; codec/value_codec.h). Where no value is finite, least, largest, mean and
// deviations are zeros at key and time of the first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/result.h"
#include "engine/segment/block.h"

namespace stepdb {

// Columns ascending, at least one; their deviations are plain.
std::vector<std::byte> encode_summaries(std::span<const ColumnSummary> columns, Axis axis);

// kCorruption, kUnsupportedVersion; what it returns lies within the ranges of the block.
Result<std::vector<ColumnSummary>> decode_summaries(Bytes section, const BlockInfo& info);

// Null if the column has none.
const Summary* find_summary(const std::vector<ColumnSummary>& summaries, uint32_t column);

// Whether a stored summary is that of these points: the same counts, keys and extremes, and mean
// and deviations within the bounds of summary.h.
bool agrees(const Summary& stored, const Summary& computed);

}  // namespace stepdb
