// The values of one column of a block, of which ranges of rows are added to buckets. Vectors within
// a range count by their node, those at its ends are decoded; ranges that come in ascending order
// decode no vector twice.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/float_bits.h"
#include "engine/base/result.h"
#include "engine/codec/value_codec.h"
#include "engine/model/bucket.h"
#include "engine/segment/block_keys.h"
#include "engine/segment/value_nodes.h"

namespace stepdb {

// The parts of a chunk, found once for all its readers. Views of it.
class ColumnParts {
  public:
    struct Part {
        uint32_t first_row = 0;
        uint32_t end_row = 0;
        Bytes chunk;  // empty: none of the rows has a value
        // Of a part that is gathered.
        bool is_gathered = false;
        ValueForm form;
        uint32_t first_node = 0;
        Bytes payload;
    };

    // Over `rows` rows. kCorruption as decode_chunk; within the parts nothing is looked at.
    static Result<ColumnParts> read(Bytes chunk, uint32_t rows);

    // Puts the index nodes of the parts of which every row has a value one behind the other, so
    // that a bucket over many of them need not look into each: for columns that are kept. What is
    // wrong in a part is left to who opens it.
    void gather();

    const std::vector<Part>& parts() const { return parts_; }
    // Of the gathered parts, one a vector; without a value if the vector has to be looked at.
    const std::vector<ValueNode>& nodes() const { return nodes_; }
    size_t memory_bytes() const {
        return parts_.capacity() * sizeof(Part) + nodes_.capacity() * sizeof(ValueNode);
    }

  private:
    std::vector<Part> parts_;
    std::vector<ValueNode> nodes_;
};

// Rows up to `end` (exclusive) that go into one bucket.
struct Stretch {
    uint32_t bucket = 0;
    uint32_t end = 0;
};

class ColumnReader {
  public:
    // The parts outlive this. kCorruption as decode_chunk, here and below, once what is wrong is
    // looked at.
    explicit ColumnReader(const ColumnParts& column)
        : parts_(column.parts()), gathered_nodes_(column.nodes()) {}

    // Adds the values in rows [begin, end), of which some may have none, with their keys. With
    // `may_owe` the bucket's last value may be left as it was, for points may follow that make
    // looking for it a waste.
    Status add_to(Bucket& bucket, BucketNeeds needs, const BlockKeys& keys, uint32_t begin,
                  uint32_t end, bool may_owe = false);
    // Adds those from row `begin` to the end of the last stretch, each to its bucket; of the last
    // bucket the last value may be owed.
    Status add_stretches(std::span<const Stretch> stretches, const BucketRow& buckets,
                         const BlockKeys& keys, uint32_t begin);
    // Whether the last add_to() left it, and what then puts it in.
    bool owes_last() const { return owed_.has_value(); }
    Status pay_last(Bucket& bucket, const BlockKeys& keys);

    // Appends the values in these rows, and the rows that have one.
    Status read_rows(uint32_t begin, uint32_t end, std::vector<uint32_t>& rows,
                     std::vector<double>& values);

    // The first row from `row` on that has a value, and the last up to it; none if there is none.
    Result<std::optional<uint32_t>> first_present(uint32_t row);
    Result<std::optional<uint32_t>> last_present(uint32_t row);

    size_t vectors_decoded() const { return vectors_decoded_; }
    size_t values_decoded() const { return values_decoded_; }
    size_t nodes_used() const { return nodes_used_; }

  private:
    struct Place {
        size_t part = 0;
        size_t vector = 0;
    };

    // That rows near this one will be looked at next: a hint, which costs little where it is wrong.
    void prefetch(uint32_t row) const;
    size_t part_of(uint32_t row) const;
    Status open(size_t part);
    void prefetch_part(size_t part) const;
    // The same as add_part(), of a part whose nodes are gathered: it is opened only where that is
    // not enough.
    Status add_gathered(Bucket& bucket, BucketNeeds needs, const BlockKeys& keys, size_t part,
                        uint32_t begin, uint32_t end, std::optional<Place>& last);
    // What is added of a part; `last` is the vector added last, if that was by its node.
    Status add_part(Bucket& bucket, BucketNeeds needs, const BlockKeys& keys, uint32_t begin,
                    uint32_t end, std::optional<Place>& last);
    template <typename KeyOf>
    void add_values(Bucket& bucket, BucketNeeds needs, size_t begin, size_t end,
                    const KeyOf& key_of) const;
    double value(size_t i) const { return is_float32_ ? widen(words_[i]) : values_[i]; }
    Status set_last(Bucket& bucket, const BlockKeys& keys, const Place& last);
    Key key_at(const BlockKeys& keys, size_t value) const;
    Status decode(size_t vector);
    // Among the values of the open part: of the first row from `row` on, counted from its first.
    size_t value_at(uint32_t row) const;
    uint32_t row_of(size_t value) const;

    const std::vector<ColumnParts::Part>& parts_;
    const std::vector<ValueNode>& gathered_nodes_;
    size_t near_part_ = 0;  // added of last: mostly the next row is there, or not far behind
    size_t vectors_decoded_ = 0;
    size_t values_decoded_ = 0;
    size_t nodes_used_ = 0;
    // Of the part looked at last.
    size_t open_ = SIZE_MAX;
    std::optional<ValueVectors> vectors_;
    std::optional<ValueNodes> nodes_;
    std::optional<double> constant_;  // what all values are
    size_t count_ = 0;
    std::vector<uint32_t> rows_;  // of each value, from the part's first; empty if all have one
    // Of vector decoded_ of it: `length_` values, as words if they are float32.
    std::vector<uint32_t> words_;  // with room behind them
    std::vector<double> values_;
    size_t length_ = 0;
    bool is_float32_ = false;
    size_t decoded_ = 0;
    bool is_decoded_ = false;
    // The rows of the block in the decoded vector, if all of its part have a value; else none.
    uint32_t near_begin_ = 0;
    uint32_t near_end_ = 0;
    std::optional<Place> owed_;  // the vector whose last value a bucket wants
};

}  // namespace stepdb
