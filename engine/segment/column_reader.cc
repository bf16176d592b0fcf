#include "engine/segment/column_reader.h"

#include <algorithm>
#include <bit>

#include "engine/segment/chunk.h"
#include "engine/segment/chunk_parts.h"

namespace stepdb {

namespace {

constexpr size_t kCacheLine = 64;
// Of a node of float32 values, about.
constexpr size_t kNodeBytes = 18;

void prefetch_bytes(Bytes bytes) {
    for (size_t at = 0; at < bytes.size(); at += kCacheLine) {
        __builtin_prefetch(bytes.data() + at);
    }
}

std::vector<uint32_t> rows_in(const std::vector<uint64_t>& presence, size_t count) {
    std::vector<uint32_t> rows;
    rows.reserve(count);
    for (size_t word = 0; word < presence.size(); ++word) {
        for (uint64_t bits = presence[word]; bits != 0; bits &= bits - 1) {
            rows.push_back(static_cast<uint32_t>(word * 64) +
                           static_cast<uint32_t>(std::countr_zero(bits)));
        }
    }
    return rows;
}

}  // namespace

Result<ColumnParts> ColumnParts::read(Bytes chunk, uint32_t rows) {
    std::vector<ChunkPart> chunks;
    TRY(append_chunk_parts(chunk, rows, chunks));
    ColumnParts column;
    column.parts_.reserve(chunks.size());
    uint32_t row = 0;
    for (const ChunkPart& part : chunks) {
        Part& added = column.parts_.emplace_back();
        added.first_row = row;
        added.end_row = row + part.rows;
        added.chunk = part.chunk;
        row += part.rows;
    }
    return column;
}

void ColumnParts::gather() {
    nodes_.reserve(node_count(parts_.back().end_row));
    for (Part& part : parts_) {
        const uint32_t rows = part.end_row - part.first_row;
        if (part.chunk.empty()) {
            continue;
        }
        const Result<ChunkSections> sections = read_chunk_sections(part.chunk, rows);
        if (!sections || !sections->nodes || sections->count != rows) {
            continue;
        }
        part.is_gathered = true;
        part.form = sections->form;
        part.payload = sections->payload;
        part.first_node = static_cast<uint32_t>(nodes_.size());
        for (size_t vector = 0; vector < node_count(rows); ++vector) {
            nodes_.push_back(sections->nodes->node(vector).value_or(ValueNode()));
        }
    }
    nodes_.shrink_to_fit();  // there are none of constants and of what is not in every row
}

Status ColumnReader::add_to(Bucket& bucket, BucketNeeds needs, const BlockKeys& keys,
                            uint32_t begin, uint32_t end, bool may_owe) {
    std::optional<Place> last;
    for (size_t part = part_of(begin); begin < end; begin = parts_[part++].end_row) {
        const ColumnParts::Part& here = parts_[part];
        if (here.chunk.empty()) {
            continue;
        }
        near_part_ = part;
        const uint32_t stop = std::min(end, here.end_row) - here.first_row;
        if (here.is_gathered) {
            TRY(add_gathered(bucket, needs, keys, part, begin - here.first_row, stop, last));
        } else {
            TRY(open(part));
            TRY(add_part(bucket, needs, keys, begin - here.first_row, stop, last));
        }
    }
    owed_.reset();
    if (!needs.ends || !last) {
        return {};
    }
    if (may_owe) {
        owed_ = last;
        return {};
    }
    return set_last(bucket, keys, *last);
}

Status ColumnReader::add_stretches(std::span<const Stretch> stretches, const BucketRow& buckets,
                                   const BlockKeys& keys, uint32_t begin) {
    for (size_t at = 0; at < stretches.size(); ++at) {
        const uint32_t end = stretches[at].end;
        Bucket& bucket = buckets.buckets[stretches[at].bucket];
        // Short buckets lie by the dozen in a vector.
        if (near_begin_ <= begin && end <= near_end_) {
            const auto key_of = [&](size_t i) { return keys[begin + static_cast<uint32_t>(i)]; };
            add_values(bucket, buckets.needs, begin - near_begin_, end - near_begin_, key_of);
            owed_.reset();
        } else {
            // Between two edges nothing but nodes is looked at.
            if (at + 1 < stretches.size()) {
                prefetch(stretches[at + 1].end);
            }
            TRY(add_to(bucket, buckets.needs, keys, begin, end, at + 1 == stretches.size()));
        }
        begin = end;
    }
    return {};
}

Status ColumnReader::pay_last(Bucket& bucket, const BlockKeys& keys) {
    CHECK(owed_, "no value is owed");
    const Place place = *owed_;
    owed_.reset();
    return set_last(bucket, keys, place);
}

Status ColumnReader::add_gathered(Bucket& bucket, BucketNeeds needs, const BlockKeys& keys,
                                  size_t part, uint32_t begin, uint32_t end,
                                  std::optional<Place>& last) {
    const ColumnParts::Part& here = parts_[part];
    constexpr uint32_t kVectorRows = kPackedValuesMax;
    const uint32_t rows = here.end_row - here.first_row;
    for (uint32_t at = begin; at < end;) {
        const uint32_t vector = at / kVectorRows;
        const uint32_t from = vector * kVectorRows;
        const uint32_t vector_end = std::min(rows, from + kVectorRows);
        const uint32_t stop = std::min(end, vector_end);
        const auto key_of = [&](size_t i) {
            return keys[here.first_row + at + static_cast<uint32_t>(i)];
        };
        const ValueNode& node = gathered_nodes_[here.first_node + vector];
        if (at == from && stop == vector_end && node.points() != 0 &&
            !(needs.ends && bucket.points() == 0)) {
            bucket.add(node, key_of, needs);
            last = Place{part, vector};
            ++nodes_used_;
        } else {
            TRY(open(part));
            TRY(decode(vector));
            add_values(bucket, needs, at - from, stop - from, key_of);
            last.reset();
        }
        at = stop;
    }
    return {};
}

// Of the open part, rows counted from its first.
Status ColumnReader::add_part(Bucket& bucket, BucketNeeds needs, const BlockKeys& keys,
                              uint32_t begin, uint32_t end, std::optional<Place>& last) {
    const size_t stop = value_at(end);
    size_t at = value_at(begin);
    if (constant_ && at < stop) {
        bucket.add_equal(*constant_, stop - at, key_at(keys, at), key_at(keys, stop - 1));
        last.reset();
        return {};
    }
    while (at < stop) {
        const size_t vector = at / kPackedValuesMax;
        const size_t from = vector * kPackedValuesMax;
        const size_t here_end = std::min(stop, from + kPackedValuesMax);
        const auto key_of = [&](size_t i) { return key_at(keys, at + i); };
        const bool is_whole = at == from && here_end - from == vectors_->length(vector);
        const bool may_use_node = is_whole && nodes_ && !(needs.ends && bucket.points() == 0);
        const std::optional<ValueNode> node = may_use_node ? nodes_->node(vector) : std::nullopt;
        if (node) {
            bucket.add(*node, key_of, needs);
            last = Place{open_, vector};
            ++nodes_used_;
        } else {
            TRY(decode(vector));
            add_values(bucket, needs, at - from, here_end - from, key_of);
            last.reset();
        }
        at = here_end;
    }
    return {};
}

// Of the vector decoded last.
template <typename KeyOf>
void ColumnReader::add_values(Bucket& bucket, BucketNeeds needs, size_t begin, size_t end,
                              const KeyOf& key_of) const {
    if (is_float32_) {
        bucket.add(std::span(words_).subspan(begin, end - begin), key_of, needs);
    } else {
        bucket.add(std::span(values_).subspan(begin, end - begin), key_of, needs);
    }
}

Status ColumnReader::set_last(Bucket& bucket, const BlockKeys& keys, const Place& last) {
    TRY(open(last.part));
    TRY(decode(last.vector));
    bucket.last = value(length_ - 1);
    bucket.last_key = key_at(keys, last.vector * kPackedValuesMax + length_ - 1);
    return {};
}

// Of a value of the open part.
Key ColumnReader::key_at(const BlockKeys& keys, size_t value) const {
    return keys[parts_[open_].first_row + row_of(value)];
}

Status ColumnReader::read_rows(uint32_t begin, uint32_t end, std::vector<uint32_t>& rows,
                               std::vector<double>& values) {
    for (size_t part = part_of(begin); begin < end; begin = parts_[part++].end_row) {
        const ColumnParts::Part& here = parts_[part];
        if (here.chunk.empty()) {
            continue;
        }
        TRY(open(part));
        const size_t stop = value_at(std::min(end, here.end_row) - here.first_row);
        for (size_t at = value_at(begin - here.first_row); at < stop;) {
            const size_t vector = at / kPackedValuesMax;
            TRY(decode(vector));
            const size_t from = vector * kPackedValuesMax;
            for (; at < std::min(stop, from + kPackedValuesMax); ++at) {
                rows.push_back(here.first_row + row_of(at));
                values.push_back(value(at - from));
            }
        }
    }
    return {};
}

Result<std::optional<uint32_t>> ColumnReader::first_present(uint32_t row) {
    if (row >= parts_.back().end_row) {
        return std::optional<uint32_t>();
    }
    for (size_t part = part_of(row); part < parts_.size(); ++part) {
        const ColumnParts::Part& here = parts_[part];
        if (here.chunk.empty()) {
            continue;
        }
        TRY(open(part));
        const size_t value = value_at(std::max(row, here.first_row) - here.first_row);
        if (value < count_) {
            return std::optional(here.first_row + row_of(value));
        }
    }
    return std::optional<uint32_t>();
}

Result<std::optional<uint32_t>> ColumnReader::last_present(uint32_t row) {
    row = std::min(row, parts_.back().end_row - 1);
    for (size_t part = part_of(row) + 1; part-- > 0;) {
        const ColumnParts::Part& here = parts_[part];
        if (here.chunk.empty()) {
            continue;
        }
        TRY(open(part));
        const size_t value = value_at(std::min(row + 1, here.end_row) - here.first_row);
        if (value > 0) {
            return std::optional(here.first_row + row_of(value - 1));
        }
    }
    return std::optional<uint32_t>();
}

// The part that a row is in.
size_t ColumnReader::part_of(uint32_t row) const {
    constexpr size_t kNearParts = 4;
    const size_t near_end = std::min(near_part_ + kNearParts, parts_.size());
    if (parts_[near_part_].first_row <= row && row < parts_[near_end - 1].end_row) {
        size_t part = near_part_;
        while (parts_[part].end_row <= row) {
            ++part;
        }
        return part;
    }
    const auto after = std::ranges::upper_bound(parts_, row, {}, &ColumnParts::Part::first_row);
    return static_cast<size_t>(after - parts_.begin()) - 1;
}

Status ColumnReader::open(size_t part) {
    if (part == open_) {
        return {};
    }
    const ColumnParts::Part& here = parts_[part];
    const uint32_t rows = here.end_row - here.first_row;
    if (here.is_gathered) {
        TRY_ASSIGN(vectors_, ValueVectors::read(here.form, here.payload, rows));
        constant_.reset();
        nodes_.reset();
        count_ = rows;
        rows_.clear();
    } else {
        TRY_ASSIGN(const ChunkSections sections, read_chunk_sections(here.chunk, rows));
        TRY_ASSIGN(vectors_, ValueVectors::read(sections.form, sections.payload, sections.count));
        TRY_ASSIGN(constant_, vectors_->constant());
        nodes_ = sections.nodes;
        count_ = sections.count;
        rows_ = count_ == rows ? std::vector<uint32_t>() : rows_in(sections.presence, count_);
    }
    open_ = part;
    is_decoded_ = false;
    near_begin_ = near_end_ = 0;
    if (part + 1 < parts_.size() && !parts_[part + 1].is_gathered) {
        prefetch_part(part + 1);
    }
    return {};
}

void ColumnReader::prefetch(uint32_t row) const {
    if (row >= parts_.back().end_row) {
        return;
    }
    const size_t part = part_of(row);
    const ColumnParts::Part& here = parts_[part];
    const size_t vector = (row - here.first_row) / kPackedValuesMax;
    if (part == open_) {
        if (rows_.empty()) {
            vectors_->prefetch(vector);
        }
    } else if (here.is_gathered) {
        // Of a part that is not open: its head, and about where the vector lies.
        const size_t bytes = here.chunk.size() / node_count(here.end_row - here.first_row);
        prefetch_bytes(here.chunk.first(std::min(here.chunk.size(), kCacheLine)));
        prefetch_bytes(here.chunk.subspan(vector * bytes, bytes));
    }
}

// Its head, with the lengths of its vectors, and its nodes: parts lie some kilobytes apart, and of
// most of them a chart looks at no more.
void ColumnReader::prefetch_part(size_t part) const {
    const Bytes chunk = parts_[part].chunk;
    const size_t vectors = node_count(parts_[part].end_row - parts_[part].first_row);
    prefetch_bytes(chunk.first(std::min(chunk.size(), 2 * kCacheLine)));
    prefetch_bytes(chunk.last(std::min(chunk.size(), vectors * kNodeBytes + kCacheLine)));
}

Status ColumnReader::decode(size_t vector) {
    if (!is_decoded_ || decoded_ != vector) {
        is_decoded_ = false;
        near_begin_ = near_end_ = 0;
        length_ = vectors_->length(vector);
        is_float32_ = vectors_->is_float32();
        if (is_float32_) {
            words_.resize(kDecodedWordsRoom);
            TRY(vectors_->decode_words(vector, words_));
        } else {
            values_.resize(length_);
            TRY(vectors_->decode(vector, values_));
        }
        decoded_ = vector;
        is_decoded_ = true;
        ++vectors_decoded_;
        values_decoded_ += length_;
        if (rows_.empty()) {
            near_begin_ =
                parts_[open_].first_row + static_cast<uint32_t>(vector * kPackedValuesMax);
            near_end_ = near_begin_ + static_cast<uint32_t>(length_);
        }
    }
    return {};
}

size_t ColumnReader::value_at(uint32_t row) const {
    return rows_.empty()
               ? row
               : static_cast<size_t>(std::ranges::lower_bound(rows_, row) - rows_.begin());
}

uint32_t ColumnReader::row_of(size_t value) const {
    return rows_.empty() ? static_cast<uint32_t>(value) : rows_[value];
}

}  // namespace stepdb
