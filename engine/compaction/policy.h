// Which segments are merged next: a pure function of what is known of them without reading them.
//
// Segments of similar size are merged four at a time, so that a row is written again once for every
// fourfold growth of what lies with it, up to about kMergedBytesMax. Segments with much that
// nobody reads any more are written anew by themselves, and in a settled store those whose series
// are in many small blocks. Segments of small blocks, which quiet runs leave, and others are not
// mixed: the former would be written again with every merge of the latter. Segments whose blocks
// are large already, as a flush of a busy run leaves them, are left alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/catalog/catalog.h"
#include "engine/compaction/live_rows.h"
#include "engine/compaction/merge_limits.h"
#include "engine/segment/segment_reader.h"

namespace stepdb {

struct SegmentStats {
    uint64_t file_id = 0;
    uint64_t bytes = 0;
    uint64_t dead_bytes = 0;   // of blocks that nobody reads any more, as far as the index tells
    uint64_t whole_bytes = 0;  // of blocks that are large enough: see is_whole
    // Of the others, blocks that the series of the segment are in, one of each (run, attempt,
    // schema) added up, and how many would do.
    uint64_t pieces = 0;
    uint64_t pieces_least = 0;
    // Of one of these series, the most blocks beyond those that would do, and one; if there are
    // about as many as would do, one.
    uint64_t pieces_most = 0;
    uint64_t blocks = 0;
    bool merged = false;  // written by a merge since the store was opened
};

// Whether it is of no use to put together the blocks of a (run, attempt, schema) that has so many
// rows of so many bytes in `pieces` blocks: because they have many rows, or because who reads one
// series finds another piece of it only after as many bytes of others.
bool is_whole(uint64_t rows, uint64_t bytes, uint64_t pieces, const MergeLimits& limits);

// Deletes of metrics up to sequence `deletes_done` have been seen by the merge that wrote the
// segment: what they killed is gone, though its columns may lie between others.
SegmentStats measure_segment(const SegmentMeta& segment, const LiveRows& live,
                             const MergeLimits& limits, uint64_t deletes_done = 0);

// Of one metric, in how many blocks it is because as many schemas of an attempt name it, about: a
// run may log another set of metrics with every row.
uint64_t pieces_by_schemas(const SegmentMeta& segment, const Catalog& catalog);

enum class MergeUrgency : uint8_t {
    kBusy,     // while rows come in
    kSettled,  // none have come for a while: what is in pieces is put together too
    kFull,     // asked for: everything that fits together is merged
};

// The file ids of the segments to merge into one; none if there is nothing to do.
std::vector<uint64_t> choose_segments(std::span<const SegmentStats> segments, MergeUrgency urgency);

}  // namespace stepdb
