// Buckets of one series from its pieces. Blocks are bucketed where they lie, by their index nodes
// and vector by vector, without a row being made. Pieces that reach in among the keys of a block,
// such as late rows, are gone around point by point (overlay.h); only where they are many is all
// of it read by a cursor.
#pragma once

#include <memory>
#include <vector>

#include "engine/base/memory_budget.h"
#include "engine/model/bucket.h"
#include "engine/series_cursor.h"

namespace stepdb {

// `pieces` are those of find_pieces for one metric. What `row` names outlives the scan.
std::unique_ptr<BucketScan> make_bucket_scan(SegmentFiles& files, ReadCost& cost,
                                             std::vector<SeriesPiece> pieces, const BucketRow& row,
                                             std::shared_ptr<MemoryBudget> budget);

}  // namespace stepdb
