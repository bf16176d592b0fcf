// Vectors of kPackedValuesMax values in a row, found without decoding those before: a u16 length of
// every vector but the last stands in front of them.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/coding.h"
#include "engine/base/result.h"

namespace stepdb {

inline constexpr size_t kVectorLengthBytes = 2;

class VectorTableWriter {
  public:
    // Appends room for the lengths; the vectors follow.
    VectorTableWriter(std::vector<std::byte>& out, size_t values);
    // To be called after each vector was appended.
    void end_vector(std::vector<std::byte>& out);

  private:
    size_t table_at_;
    size_t vectors_;
    size_t vector_at_;
    size_t ended_ = 0;
};

// A view of such bytes; they outlive it.
class VectorTable {
  public:
    // The reader stands at the table; everything after the table are vectors. `values` is not 0.
    static Result<VectorTable> read(ByteReader& reader, size_t values);

    // Bytes of one vector: a sum over the lengths before it.
    Bytes vector(size_t index) const;

  private:
    VectorTable(Bytes lengths, Bytes vectors) : lengths_(lengths), vectors_(vectors) {}

    Bytes lengths_;
    Bytes vectors_;
};

}  // namespace stepdb
