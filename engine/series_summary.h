// The summary of one series as a reader sees it, from the summaries that long chunks carry: a chunk
// whose keys no other piece of the series has a point among counts as it is, all others are read.
// What is known of a chunk, a short one that was read too, is kept for the next query. So it costs
// what lies in tails, in small blocks that nobody has asked for and where pieces overlap, not what
// lies in the series.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "engine/base/memory_budget.h"
#include "engine/model/summary.h"
#include "engine/series_cursor.h"

namespace stepdb {

// Summaries of blocks that were read, for the next series of the same blocks. Of one reader.
class BlockSummaries {
  public:
    // What it keeps is charged to `budget`, if there is one; where that is used up it keeps
    // nothing.
    BlockSummaries(SegmentFiles& files, std::shared_ptr<MemoryBudget> budget)
        : files_(files), charge_(std::move(budget)) {}

    // Of a block that has summaries.
    Task<Result<std::shared_ptr<const std::vector<ColumnSummary>>>> get(SegmentPiece piece,
                                                                        ReadCost& cost);

  private:
    SegmentFiles& files_;
    MemoryCharge charge_;
    size_t kept_columns_ = 0;
    std::map<std::pair<uint64_t, size_t>, std::shared_ptr<const std::vector<ColumnSummary>>> kept_;
};

// `pieces` are those of find_pieces for one metric. The references live until the task has ended.
Task<Result<Summary>> summarize_series(SegmentFiles& files, BlockSummaries& summaries,
                                       ReadCost& cost, std::vector<SeriesPiece> pieces,
                                       std::shared_ptr<MemoryBudget> budget);

}  // namespace stepdb
