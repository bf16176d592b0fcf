#include "engine/compaction/flush_segment.h"

#include <array>
#include <numeric>
#include <span>
#include <utility>

#include "engine/compaction/copied_rows.h"
#include "engine/compaction/merge_output.h"
#include "engine/compaction/policy.h"
#include "engine/compaction/source_block.h"
#include "engine/compaction/stretches.h"
#include "engine/io/pause.h"

namespace stepdb {

namespace {

using Blocks = std::vector<std::shared_ptr<const EncodedBlock>>;

// Rows of a group that have come since the last flush: below this many bytes the group is a quiet
// one.
constexpr size_t kQuietGroupBytes = 64U << 10U;
// Quiet groups get a segment of their own when there is so much more of the others.
constexpr size_t kBusyFactor = 4;

// Past the last of the blocks that are of the same (run, attempt, schema) as that at `first`.
size_t group_end(const Blocks& blocks, size_t first) {
    size_t end = first + 1;
    while (end < blocks.size() && !sorts_before(blocks[first]->info, blocks[end]->info)) {
        ++end;
    }
    return end;
}

enum class GroupSize : uint8_t { kQuiet, kBusy, kWhole };
constexpr size_t kGroupSizes = 3;

// As far as can be told before it is written.
GroupSize size_of(std::span<const std::shared_ptr<const EncodedBlock>> group,
                  const MergeLimits& limits) {
    uint64_t bytes = 0;
    uint64_t rows = 0;
    uint64_t pieces = 1;
    uint64_t rows_of_piece = 0;
    for (size_t i = 0; i < group.size(); ++i) {
        const BlockInfo& info = group[i]->info;
        bytes += info.total_bytes();
        rows += info.rows;
        const bool follows = i == 0 || info.key_min > group[i - 1]->info.key_max;
        if (!follows || rows_of_piece + info.rows > limits.rows) {
            ++pieces;
            rows_of_piece = 0;
        }
        rows_of_piece += info.rows;
    }
    if (is_whole(rows, bytes, pieces, limits)) {
        return GroupSize::kWhole;
    }
    return bytes < kQuietGroupBytes ? GroupSize::kQuiet : GroupSize::kBusy;
}

// Blocks, by position, that are written as one row after the other; or one as it is.
using Portion = std::vector<size_t>;

class FlushSegment {
  public:
    explicit FlushSegment(FlushInput input) : input_(std::move(input)) {}

    Task<Result<std::shared_ptr<const SegmentMeta>>> run() {
        plan();
        MergeOutput output(*input_.files, input_.path, input_.store, input_.file_id, input_.catalog,
                           input_.turns, expected_bytes());
        for (const Portion& portion : portions_) {
            const Status put = co_await put_portion(&output, &portion);
            if (!put) {
                co_await output.abandon();
                co_return put.error();
            }
        }
        co_return co_await output.finish(SyncSite::kSegmentData);
    }

  private:
    void plan() {
        const Blocks& blocks = input_.blocks;
        for (size_t first = 0; first < blocks.size();) {
            const size_t end = group_end(blocks, first);
            plan_group(first, end);
            first = end;
        }
    }

    // Of one (run, attempt, schema).
    void plan_group(size_t first, size_t end) {
        std::vector<BlockInfo> infos;
        infos.reserve(end - first);
        for (size_t i = first; i < end; ++i) {
            infos.push_back(input_.blocks[i]->info);
        }
        StretchRules rules;
        rules.schema = infos.front().schema;
        rules.limits = input_.limits;
        for (const MergeStretch& stretch : plan_stretches(infos, rules)) {
            Portion portion;
            for (const Tile& tile : stretch.tiles) {
                for (const size_t i : tile) {
                    portion.push_back(first + i);
                    if (!stretch.copied || tile.size() != 1) {
                        portions_.push_back(std::exchange(portion, {}));
                    }
                }
            }
            if (!portion.empty()) {
                portions_.push_back(std::move(portion));
            }
        }
    }

    // Of the blocks that stay what they are, with the header.
    uint64_t expected_bytes() const {
        uint64_t bytes = kPageBytes;
        for (const Portion& portion : portions_) {
            const BlockInfo& info = input_.blocks[portion.front()]->info;
            bytes += portion.size() == 1 ? info.total_bytes() - info.summaries_bytes : 0;
        }
        return bytes;
    }

    Task<Status> put_portion(MergeOutput* output, const Portion* portion) {
        if (portion->size() > 1) {
            const Result<bool> put = co_await put_together(output, portion);
            if (!put || *put) {
                co_return put ? Status() : Status(put.error());
            }
        }
        for (const size_t i : *portion) {
            const Status put =
                co_await output->put_block(input_.blocks[i], input_.limits.summary_values);
            if (!put) {
                co_return put;
            }
        }
        co_return Status();
    }

    // False if they are not such rows: a key comes twice in a block.
    Task<Result<bool>> put_together(MergeOutput* output, const Portion* portion) {
        std::vector<SourceBlock> sources;
        sources.reserve(portion->size());
        std::vector<std::vector<SourceBlock*>> tiles;
        tiles.reserve(portion->size());
        for (const size_t i : *portion) {
            tiles.push_back({&sources.emplace_back(*input_.blocks[i])});
        }
        CopiedRows rows(std::move(tiles), group_of(sources.front().info().schema), input_.limits,
                        reader_);
        const Result<bool> opened = co_await rows.open();
        if (!opened || !*opened) {
            co_return opened;
        }
        while (true) {
            const Result<const CopiedBlock*> next = co_await rows.next();
            if (!next) {
                co_return next.error();
            }
            if (*next == nullptr) {
                co_return true;
            }
            const Status put = co_await output->put_copied(*next);
            if (!put) {
                co_return put.error();
            }
            co_await Pause(*input_.executor);
        }
    }

    // All of the schema; runs of a sweep have the same one after the other.
    const MergeGroup& group_of(uint64_t schema_id) {
        if (group_.schema == nullptr || group_.schema_id != schema_id) {
            group_.schema_id = schema_id;
            group_.schema = input_.catalog->find_schema(schema_id)->schema;
            group_.columns.resize(group_.schema->width());
            std::iota(group_.columns.begin(), group_.columns.end(), 0U);
        }
        return group_;
    }

    FlushInput input_;
    std::vector<Portion> portions_;
    MergeGroup group_;
    RangeReader reader_;  // of what is in memory it reads nothing
};

Task<Result<std::shared_ptr<const SegmentMeta>>> run_flush(std::unique_ptr<FlushSegment> flush) {
    co_return co_await flush->run();
}

}  // namespace

std::vector<Blocks> share_out(const Blocks& blocks, const MergeLimits& limits) {
    std::vector<GroupSize> sizes;
    sizes.reserve(blocks.size());
    std::array<uint64_t, kGroupSizes> bytes = {};
    for (size_t first = 0; first < blocks.size();) {
        const size_t end = group_end(blocks, first);
        const GroupSize size = size_of(std::span(blocks).subspan(first, end - first), limits);
        for (; first < end; ++first) {
            sizes.push_back(size);
            bytes[static_cast<size_t>(size)] += blocks[first]->info.total_bytes();
        }
    }
    const auto quiet = static_cast<size_t>(GroupSize::kQuiet);
    const auto busy = static_cast<size_t>(GroupSize::kBusy);
    const bool with_busy = bytes[busy] != 0 && bytes[busy] < kBusyFactor * bytes[quiet];
    std::array<Blocks, kGroupSizes> parts;
    for (size_t i = 0; i < blocks.size(); ++i) {
        const auto part = static_cast<size_t>(sizes[i]);
        parts[part == quiet && with_busy ? busy : part].push_back(blocks[i]);
    }
    std::vector<Blocks> shares;
    for (Blocks& part : parts) {
        if (!part.empty()) {
            shares.push_back(std::move(part));
        }
    }
    return shares;
}

Task<Result<std::shared_ptr<const SegmentMeta>>> write_flush_segment(FlushInput input) {
    return run_flush(std::make_unique<FlushSegment>(std::move(input)));
}

}  // namespace stepdb
