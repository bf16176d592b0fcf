#include "engine/codec/vector_table.h"

#include "engine/codec/integer_vector.h"

namespace stepdb {

namespace {

size_t vector_count(size_t values) {
    return (values + kPackedValuesMax - 1) / kPackedValuesMax;
}

}  // namespace

VectorTableWriter::VectorTableWriter(std::vector<std::byte>& out, size_t values)
    : table_at_(out.size()), vectors_(vector_count(values)) {
    out.resize(out.size() + (vectors_ - 1) * kVectorLengthBytes);
    vector_at_ = out.size();
}

void VectorTableWriter::end_vector(std::vector<std::byte>& out) {
    const size_t bytes = out.size() - vector_at_;
    CHECK(bytes <= 0xFFFF && ended_ < vectors_, "vector {} of {}: {} bytes", ended_, vectors_,
          bytes);
    if (ended_ + 1 < vectors_) {
        store_le(out.data() + table_at_ + ended_ * kVectorLengthBytes,
                 static_cast<uint16_t>(bytes));
    }
    ++ended_;
    vector_at_ = out.size();
}

Result<VectorTable> VectorTable::read(ByteReader& reader, size_t values) {
    const size_t vectors = vector_count(values);
    const Bytes lengths = reader.get_bytes((vectors - 1) * kVectorLengthBytes);
    size_t total = 0;
    for (size_t at = 0; at < lengths.size(); at += kVectorLengthBytes) {
        total += load_le<uint16_t>(lengths.data() + at);
    }
    if (reader.failed() || total > reader.remaining()) {
        return make_error(ErrorCode::kCorruption, "{} vectors of {} bytes in all, {} are there",
                          vectors, total, reader.remaining());
    }
    return VectorTable(lengths, reader.get_bytes(reader.remaining()));
}

Bytes VectorTable::vector(size_t index) const {
    size_t offset = 0;
    for (size_t at = 0; at < index * kVectorLengthBytes; at += kVectorLengthBytes) {
        offset += load_le<uint16_t>(lengths_.data() + at);
    }
    const bool last = index * kVectorLengthBytes == lengths_.size();
    return last ? vectors_.subspan(offset)
                : vectors_.subspan(offset,
                                   load_le<uint16_t>(lengths_.data() + index * kVectorLengthBytes));
}

}  // namespace stepdb
