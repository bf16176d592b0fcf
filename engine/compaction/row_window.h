// Rows of many blocks of one attempt, a window of keys at a time: sorted, each once, in memory that
// does not depend on how many there are in all or on how the blocks overlap.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/task.h"
#include "engine/compaction/source_block.h"
#include "engine/segment/block.h"

namespace stepdb {

// Where the rows of one block lie in a window: row first_row + i is at places[i].
struct RowPlaces {
    uint32_t first_row = 0;
    std::vector<uint32_t> places;
};

class RowWindow {
  public:
    // `blocks` outlive this. A window has at most `rows_max` rows; rows above `last_key` are left
    // out.
    RowWindow(std::vector<SourceBlock*> blocks, size_t rows_max, Key last_key);

    // Moves on to the next window; false behind the last one. The error of the block `failed()`.
    Task<Result<bool>> next();

    // The rows of the window. Rows of equal keys stay together if there are not too many of them.
    const AxisColumns& axis() const { return axis_; }
    size_t rows() const { return axis_.keys.size(); }

    // The blocks that may have rows in the window.
    const std::vector<SourceBlock*>& blocks() const { return in_window_; }

    // Where its rows of the window lie.
    Task<Result<RowPlaces>> places_of(SourceBlock* block);

    const SourceBlock* failed() const { return failed_; }

  private:
    struct Row {
        Key key;
        uint64_t sequence;
        int64_t time;

        std::pair<Key, uint64_t> position() const { return {key, sequence}; }
    };

    void take_rows(const AxisColumns& axis);
    void keep_lowest();
    size_t cut() const;

    std::vector<SourceBlock*> blocks_;  // by lowest key
    size_t rows_max_;
    Key last_key_;
    std::optional<std::pair<Key, uint64_t>> above_;  // where the window before ended
    std::optional<std::pair<Key, uint64_t>> limit_;  // no row beyond it can be in this window
    std::vector<Row> candidates_;
    bool is_sorted_ = true;
    AxisColumns axis_;
    std::vector<SourceBlock*> in_window_;
    const SourceBlock* failed_ = nullptr;
};

}  // namespace stepdb
