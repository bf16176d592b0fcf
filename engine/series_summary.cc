#include "engine/series_summary.h"

#include <algorithm>
#include <optional>

#include "engine/model/limits.h"
#include "engine/query_memory.h"
#include "engine/segment/summary_section.h"

namespace stepdb {

namespace {

// Some 1.5 MB of summaries, those of a few blocks.
constexpr size_t kKeptColumnsMax = 8192;

// Of more pieces than these what has no summary is read together.
constexpr size_t kPiecesAlone = 4;

// A chunk with a summary that may count as it is.
struct WholeChunk {
    SeriesPiece piece;
    Summary summary;
    bool is_shared = false;  // another piece has a point among its keys
    bool was_read = false;   // to know its summary

    Key first_key() const { return summary.first.key; }
    Key last_key() const { return summary.last.key; }
};

const BlockInfo& info_of(const SegmentPiece& piece) {
    return piece.segment->blocks()[piece.block].info;
}

// In a block of a segment of which every row counts.
bool is_whole(const SeriesPiece& piece) {
    return piece.segment_block != nullptr &&
           info_of(*piece.segment_block).sequence_min > piece.deleted_through;
}

// Null if it is not known; stays until the next one is looked for.
const Summary* find_kept(SegmentFiles& files, const SeriesPiece& piece) {
    if (!is_whole(piece)) {
        return nullptr;
    }
    const SegmentPiece& block = *piece.segment_block;
    return files.summary_pages().find(*block.segment, block.block, piece.column);
}

void keep(SegmentFiles& files, const SeriesPiece& piece, const Summary& summary) {
    const SegmentPiece& block = *piece.segment_block;
    files.summary_pages().keep(*block.segment, block.block, piece.column, summary);
}

class Summarizer {
  public:
    Summarizer(SegmentFiles& files, BlockSummaries& summaries, ReadCost& cost,
               std::vector<SeriesPiece> pieces, std::shared_ptr<MemoryBudget> budget)
        : files_(files),
          summaries_(summaries),
          cost_(cost),
          pieces_(std::move(pieces)),
          budget_(std::move(budget)) {}

    Task<Result<Summary>> run() {
        const Status read = co_await read_summaries();
        if (!read) {
            co_return read.error();
        }
        std::ranges::sort(whole_, {}, &WholeChunk::first_key);
        mark_overlaps();
        open_shared();
        Result<Summary> summary = co_await add_up();
        // Points among the keys of a chunk are known now: what is read once more shares nothing.
        if (summary && open_shared()) {
            summary = co_await add_up();
            CHECK(!summary || !open_shared(), "{} pieces share keys with {} chunks", open_.size(),
                  whole_.size());
        }
        cost_.summaries_used +=
            static_cast<uint64_t>(std::ranges::count(whole_, false, &WholeChunk::was_read));
        co_return summary;
    }

  private:
    // Takes pieces_ apart into those with a summary and those that have to be read.
    Task<Status> read_summaries() {
        for (size_t at = 0; at < pieces_.size(); ++at) {
            const SeriesPiece& piece = pieces_[at];
            if (const Summary* const kept = find_kept(files_, piece)) {
                take(piece, *kept, false);
                continue;
            }
            const Summary* summary = nullptr;
            std::shared_ptr<const std::vector<ColumnSummary>> of_block;
            if (is_whole(piece) && info_of(*piece.segment_block).summaries_bytes != 0) {
                const auto summaries = co_await summaries_.get(*piece.segment_block, cost_);
                if (!summaries) {
                    co_return summaries.error();
                }
                of_block = *summaries;
                summary = find_summary(*of_block, piece.column);
            }
            if (summary != nullptr) {
                keep(files_, piece, *summary);
                take(piece, *summary, false);
            } else if (is_worth_keeping(at)) {
                const Result<Summary> read = co_await summarize_alone(piece);
                if (!read) {
                    co_return read.error();
                }
                keep(files_, piece, *read);
                take(piece, *read, true);
            } else {
                open_.push_back(piece);
            }
        }
        co_return Status();
    }

    void take(const SeriesPiece& piece, const Summary& summary, bool was_read) {
        if (summary.points() == 0) {
            return;
        }
        if (piece.range.contains(summary.first.key) && piece.range.contains(summary.last.key)) {
            whole_.push_back({piece, summary, false, was_read});
        } else if (piece.range.overlaps(summary.first.key, summary.last.key)) {
            open_.push_back(piece);
        }
    }

    // Whether a short chunk that has no summary is asked for as a whole and no other piece lies
    // where it lies: its summary is then worth as much as one that is stored.
    bool is_worth_keeping(size_t at) const {
        const SeriesPiece& piece = pieces_[at];
        if (pieces_.size() > kPiecesAlone || !is_whole(piece) ||
            !piece.range.contains(piece.key_min) || !piece.range.contains(piece.key_max)) {
            return false;
        }
        return std::ranges::none_of(pieces_, [&piece](const SeriesPiece& other) {
            return &other != &piece && other.key_min <= piece.key_max &&
                   piece.key_min <= other.reach();
        });
    }

    Task<Result<Summary>> summarize_alone(SeriesPiece piece) {
        std::vector<SeriesPiece> alone(1, piece);
        const std::unique_ptr<SeriesCursor> cursor =
            make_cursor(files_, cost_, std::move(alone), budget_);
        Summary summary;
        Points batch;
        while (true) {
            const Result<bool> more = co_await cursor->next(batch);
            if (!more) {
                co_return more.error();
            }
            if (!*more) {
                co_return summary;
            }
            summary.append(summarize(batch.keys, batch.times, batch.values));
        }
    }

    // Chunks that reach into one another.
    void mark_overlaps() {
        for (size_t i = 0; i < whole_.size();) {
            Key reach = whole_[i].last_key();
            size_t end = i + 1;
            while (end < whole_.size() && whole_[end].first_key() <= reach) {
                reach = std::max(reach, whole_[end].last_key());
                ++end;
            }
            for (size_t at = i; at < end; ++at) {
                whole_[at].is_shared = end - i > 1;
            }
            i = end;
        }
    }

    // Has those that share keys read; false if there is none.
    bool open_shared() {
        const size_t before = open_.size();
        for (const WholeChunk& chunk : whole_) {
            if (chunk.is_shared) {
                open_.push_back(chunk.piece);
            }
        }
        std::erase_if(whole_, [](const WholeChunk& chunk) { return chunk.is_shared; });
        std::ranges::stable_sort(open_, {}, &SeriesPiece::key_min);
        return open_.size() != before;
    }

    // The summary, if no chunk turns out to share keys with a point that is read; else they are
    // marked.
    Task<Result<Summary>> add_up() {
        if (open_.empty() && whole_.size() == 1) {
            co_return whole_.front().summary;
        }
        const std::unique_ptr<SeriesCursor> cursor = make_cursor(files_, cost_, open_, budget_);
        Summary sum;
        auto next = whole_.begin();
        Points batch;
        while (true) {
            const Result<bool> more = co_await cursor->next(batch);
            if (!more) {
                co_return more.error();
            }
            if (!*more) {
                break;
            }
            add_points(batch, next, sum);
        }
        for (; next != whole_.end(); ++next) {
            sum.append(next->summary);
        }
        co_return sum;
    }

    void add_points(const Points& batch, std::vector<WholeChunk>::iterator& next, Summary& sum) {
        for (size_t at = 0; at < batch.size();) {
            const Key key = batch.keys[at];
            for (; next != whole_.end() && next->first_key() <= key; ++next) {
                next->is_shared = next->last_key() >= key;
                if (!next->is_shared) {
                    sum.append(next->summary);
                }
            }
            const auto from = batch.keys.begin() + static_cast<ptrdiff_t>(at);
            const auto to = next == whole_.end()
                                ? batch.keys.end()
                                : std::lower_bound(from, batch.keys.end(), next->first_key());
            const auto count = static_cast<size_t>(to - from);
            sum.append(summarize(std::span(batch.keys).subspan(at, count),
                                 std::span(batch.times).subspan(at, count),
                                 std::span(batch.values).subspan(at, count)));
            at += count;
        }
    }

    SegmentFiles& files_;
    BlockSummaries& summaries_;
    ReadCost& cost_;
    std::vector<SeriesPiece> pieces_;
    std::shared_ptr<MemoryBudget> budget_;
    std::vector<WholeChunk> whole_;  // by first key
    std::vector<SeriesPiece> open_;  // read point by point, by lowest key
};

// Of a series that is one chunk of which a query has asked before.
std::optional<Summary> find_at_once(SegmentFiles& files, std::span<const SeriesPiece> pieces) {
    if (pieces.size() != 1) {
        return std::nullopt;
    }
    const Summary* const kept = find_kept(files, pieces.front());
    const bool is_all = kept != nullptr && kept->points() > 0 &&
                        pieces.front().range.contains(kept->first.key) &&
                        pieces.front().range.contains(kept->last.key);
    return is_all ? std::optional(*kept) : std::nullopt;
}

Task<Result<Summary>> give(Summary summary) {
    co_return summary;
}

Task<Result<Summary>> run_summarizer(std::unique_ptr<Summarizer> summarizer) {
    co_return co_await summarizer->run();
}

}  // namespace

Task<Result<std::shared_ptr<const std::vector<ColumnSummary>>>> BlockSummaries::get(
    SegmentPiece piece, ReadCost& cost) {
    const std::pair<uint64_t, size_t> place(piece.segment->file_id(), piece.block);
    const auto at = kept_.find(place);
    if (at != kept_.end()) {
        co_return at->second;
    }
    Result<File*> file = co_await files_.get(*piece.segment);
    if (!file) {
        co_return file.error();
    }
    Result<std::vector<ColumnSummary>> read =
        co_await read_summaries(**file, *piece.segment, piece.block);
    if (!read) {
        co_return read.error();
    }
    cost.bytes_read += info_of(piece).summaries_bytes;
    auto summaries = std::make_shared<const std::vector<ColumnSummary>>(std::move(*read));
    if (kept_columns_ + summaries->size() > kKeptColumnsMax) {
        kept_.clear();
        kept_columns_ = 0;
    }
    const size_t columns = kept_columns_ + summaries->size();
    if (charge_query_memory(charge_, columns * sizeof(ColumnSummary))) {
        kept_.emplace(place, summaries);
        kept_columns_ = columns;
    }
    co_return summaries;
}

Task<Result<Summary>> summarize_series(SegmentFiles& files, BlockSummaries& summaries,
                                       ReadCost& cost, std::vector<SeriesPiece> pieces,
                                       std::shared_ptr<MemoryBudget> budget) {
    if (std::optional<Summary> known = find_at_once(files, pieces)) {
        ++cost.summaries_used;
        return give(*known);
    }
    return run_summarizer(
        std::make_unique<Summarizer>(files, summaries, cost, std::move(pieces), std::move(budget)));
}

}  // namespace stepdb
