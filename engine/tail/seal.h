// Sealing: the rows of a tail, turned into columns and encoded as a block.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/large_buffer.h"
#include "engine/base/memory_budget.h"
#include "engine/segment/block.h"
#include "engine/tail/tail.h"

namespace stepdb {

// Keeps its buffers from one block to the next. One thread at a time.
class Sealer {
  public:
    // `rows` are what a tail had, at least one row, and nothing is written to their chunks any
    // more. `info` carries run, schema, attempt, axis and columns. The block's memory is charged to
    // `budget`, if there is one.
    std::shared_ptr<const EncodedBlock> seal(const std::vector<TailPiece>& rows,
                                             const BlockInfo& info,
                                             std::shared_ptr<MemoryBudget> budget = nullptr);

  private:
    void read_axis(const std::vector<TailPiece>& rows);
    void add_dense(const std::vector<TailPiece>& rows, BlockBuilder& builder);
    void add_one_by_one(const std::vector<TailPiece>& rows, BlockBuilder& builder);

    std::vector<Key> keys_;
    std::vector<int64_t> times_;
    std::vector<uint64_t> sequences_;
    LargeBuffer strip_;  // columns of float32, then of float64
    std::vector<double> wide_;
    std::vector<uint8_t> present_;
    LargeBuffer begun_in_;  // by blocks
};

}  // namespace stepdb
