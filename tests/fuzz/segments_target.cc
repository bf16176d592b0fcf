// Segments: a whole file through everything that reads one, and each decoder below it by itself.
// The first byte chooses.
#include <algorithm>
#include <optional>

#include "engine/base/float_bits.h"
#include "engine/codec/integer_codec.h"
#include "engine/codec/kernels.h"
#include "engine/codec/value_codec.h"
#include "engine/model/limits.h"
#include "engine/segment/block_directory.h"
#include "engine/segment/chunk.h"
#include "engine/segment/chunk_parts.h"
#include "engine/segment/column_reader.h"
#include "engine/segment/segment_reader.h"
#include "engine/segment/summary_section.h"
#include "tests/fuzz/fix_checksums.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/inspect_quietly.h"
#include "tests/support/sim_executor.h"
#include "tests/support/sim_file_system.h"

namespace stepdb {

namespace {

constexpr const char* kPath = "store/segment-000041";
constexpr uint32_t kColumnsMax = 64;  // read one by one

// --- A whole file ---

void read_blocks(SimExecutor& executor, SimFileSystem& files, const SegmentMeta& segment,
                 bool is_sound) {
    const auto file = run_task(executor, files.open(kPath, OpenMode::kRead)).value();
    const auto names = run_task(executor, read_names(*file, segment));
    CHECK(names.has_value() || !is_sound, "{}", names.error().to_string());
    for (size_t block = 0; block < segment.blocks().size(); ++block) {
        const BlockInfo& info = segment.blocks()[block].info;
        const auto axis = run_task(executor, read_axis(*file, segment, block));
        CHECK(axis.has_value() || !is_sound, "{}", axis.error().to_string());
        const auto summaries = run_task(executor, read_summaries(*file, segment, block));
        CHECK(summaries.has_value() || !is_sound, "{}", summaries.error().to_string());
        for (uint32_t column = 0; column < std::min(info.columns, kColumnsMax); ++column) {
            const auto values = run_task(executor, read_column(*file, segment, block, column));
            CHECK(values.has_value() || !is_sound, "{}", values.error().to_string());
            CHECK(!values || values->values.size() <= info.rows, "{} values in {} rows",
                  values->values.size(), info.rows);
        }
    }
}

void read_segment(Bytes compact) {
    const std::vector<std::byte> bytes = expand_segment(compact);
    inspect_quietly(bytes, 0);
    const Id128 store = store_of(bytes);
    const uint64_t file_id = file_id_of(bytes);
    SimDisk disk({"store"});
    disk.put_file(kPath, bytes);
    SimExecutor executor;
    SimFileSystem files(disk, executor);
    const Status verified = run_task(executor, verify_segment(files, kPath, store, file_id));
    const auto segment = run_task(executor, open_segment(files, kPath, store, file_id));
    CHECK(segment.has_value() || !verified, "verified, and cannot be opened: {}",
          segment.error().to_string());
    if (segment) {
        read_blocks(executor, files, **segment, verified.has_value());
    }
}

// --- Parts ---

// Counts from the input, so that it says how much there is to decode.
uint32_t take_count(ByteReader& reader, uint32_t max) {
    return reader.get<uint16_t>() % max + 1;
}

Bytes rest_of(ByteReader& reader) {
    return reader.get_bytes(reader.remaining());
}

void read_axis_section(ByteReader& reader) {
    BlockInfo info;
    info.rows = take_count(reader, 2000);
    info.columns = 1;
    info.axis = reader.get<uint8_t>() % 2 == 0 ? Axis::kStepped : Axis::kTimed;
    info.key_min = reader.get<int64_t>();
    info.key_max = reader.get<int64_t>();
    info.time_min = reader.get<int64_t>();
    info.time_max = reader.get<int64_t>();
    info.sequence_min = reader.get<uint64_t>();
    info.sequence_max = reader.get<uint64_t>();
    const auto axis = decode_axis(rest_of(reader), info);
    if (axis) {
        CHECK(std::ranges::is_sorted(axis->keys), "{} keys", axis->keys.size());
        CHECK(axis->times.size() == info.rows && axis->sequences.size() == info.rows, "rows");
    }
}

void read_directory_section(ByteReader& reader) {
    BlockInfo info;
    info.rows = 1;
    info.columns = take_count(reader, 3000);
    info.strips_bytes = reader.get<uint32_t>();
    const auto directory = BlockDirectory::read(rest_of(reader), info);
    if (!directory) {
        return;
    }
    for (size_t strip = 0; strip < directory->strips().size(); ++strip) {
        const auto places = directory->places(strip);
        for (const ChunkPlace& place : places ? *places : std::vector<ChunkPlace>()) {
            CHECK(place.offset + place.bytes <= info.strips_bytes, "a chunk at {} of {}",
                  place.offset, info.strips_bytes);
        }
    }
    for (uint32_t column = 0; column < std::min(info.columns, kColumnsMax); ++column) {
        static_cast<void>(directory->place(column).has_value());
    }
}

// What the processors that this one can stand in for make of it, one after the other.
template <typename Call>
void on_every_processor(Call call) {
    for (const auto level : {KernelLevel::kPortable, KernelLevel::kAvx2, KernelLevel::kAvx512}) {
        if (kernels_of(level) != nullptr) {
            use_kernels(level);
            call();
        }
    }
}

// The parts that a chunk says it has, each decoded by itself, are the chunk; put together again as
// well. One that cannot be decoded is no chunk either.
void read_parts(Bytes chunk, uint32_t rows, const Result<ColumnValues>& whole) {
    std::vector<ChunkPart> parts;
    if (!append_chunk_parts(chunk, rows, parts)) {
        CHECK(!whole, "{} rows of no parts", rows);
        return;
    }
    if (parts.size() < 2) {
        return;
    }
    std::vector<double> joined;
    uint64_t rows_of_parts = 0;
    for (const ChunkPart& part : parts) {
        rows_of_parts += part.rows;
        if (part.chunk.empty()) {
            continue;
        }
        const auto values = decode_chunk_bytes(part.chunk, part.rows);
        if (!values) {
            CHECK(!whole, "a part of {} rows: {}", part.rows, values.error().to_string());
            return;
        }
        joined.insert(joined.end(), values->values.begin(), values->values.end());
    }
    CHECK(rows_of_parts == rows, "{} rows in parts of {}", rows_of_parts, rows);
    if (!whole) {
        return;  // parts within parts
    }
    CHECK(std::ranges::equal(joined, whole->values, same_bits), "{} values of {}", joined.size(),
          whole->values.size());
    std::vector<std::byte> again;
    encode_parts_head(parts, again);
    for (const ChunkPart& part : parts) {
        again.insert(again.end(), part.chunk.begin(), part.chunk.end());
    }
    const auto decoded = decode_chunk_bytes(again, rows);
    CHECK(decoded && std::ranges::equal(decoded->values, joined, same_bits), "{} parts",
          parts.size());
}

// Doubles, or words of float32, as they come: every processor writes the same bytes and reads them
// back.
template <typename Value>
void write_values(ByteReader& reader) {
    std::vector<Value> values(std::min<size_t>(reader.remaining() / sizeof(Value), 2000));
    for (Value& value : values) {
        value = reader.get<Value>();
    }
    if (values.empty()) {
        return;
    }
    std::vector<double> doubles;
    for (const Value value : values) {
        if constexpr (sizeof(Value) == sizeof(double)) {
            doubles.push_back(value);
        } else {
            doubles.push_back(widen(value));
        }
    }
    std::optional<std::vector<std::byte>> first;
    on_every_processor([&] {
        std::vector<std::byte> chunk(full_chunk_bytes_max(values.size()));
        const std::byte* const end =
            encode_full_chunk(std::span<const Value>(values), chunk.data());
        chunk.resize(static_cast<size_t>(end - chunk.data()));
        CHECK(!first || *first == chunk, "{} bytes, and {} by another", chunk.size(),
              first->size());
        const auto rows = static_cast<uint32_t>(values.size());
        const auto back = decode_chunk_bytes(chunk, rows);
        CHECK(back && std::ranges::equal(back->values, doubles, same_bits), "{} values", rows);
        first = std::move(chunk);
    });
}

BlockKeys keys_of(uint32_t rows) {
    AxisColumns axis;
    axis.keys.resize(rows);
    for (uint32_t row = 0; row < rows; ++row) {
        axis.keys[row] = key_of_step(row);
    }
    axis.times.assign(rows, 0);
    axis.sequences.assign(rows, 1);
    BlockInfo info;
    info.rows = rows;
    info.columns = 1;
    info.key_min = axis.keys.front();
    info.key_max = axis.keys.back();
    const std::vector<std::byte> section = encode_axis_section(axis, Axis::kStepped);
    auto keys = BlockKeys::read(*read_axis_parts(section, info), info);
    CHECK(keys.has_value(), "{} rows", rows);
    return *std::move(keys);
}

// Buckets of a chunk, by its nodes and vector by vector: those of its values, if its nodes are.
void bucket_parts(const ColumnParts& parts, uint32_t rows, bool is_sound,
                  const Result<ColumnValues>& whole) {
    const BlockKeys keys = keys_of(rows);
    ColumnReader column(parts);
    size_t value = 0;
    for (uint32_t begin = 0; begin < rows;) {
        const uint32_t end = std::min(rows, begin + 1 + rows / 3);
        Bucket bucket;
        const Status added = column.add_to(bucket, {}, keys, begin, end);
        CHECK(added || !is_sound, "{}", added ? "" : added.error().to_string());
        Bucket expected;
        for (uint32_t row = begin; is_sound && row < end; ++row) {
            const auto& presence = whole->presence;
            if (presence.empty() || (presence[row / 64] >> (row % 64) & 1U) != 0) {
                expected.add(keys[row], whole->values[value++]);
            }
        }
        CHECK(!is_sound ||
                  (bucket.count == expected.count && bucket.nan == expected.nan &&
                   same_bits(bucket.min, expected.min) && same_bits(bucket.max, expected.max) &&
                   bucket.min_key == expected.min_key && bucket.max_key == expected.max_key &&
                   same_bits(bucket.first, expected.first) &&
                   same_bits(bucket.last, expected.last) && bucket.last_key == expected.last_key),
              "rows {} to {}: {} values, {} expected", begin, end, bucket.points(),
              expected.points());
        begin = end;
    }
}

// With nodes where they lie, and with nodes gathered.
void bucket_chunk(Bytes chunk, uint32_t rows, const Result<ColumnValues>& whole) {
    const bool is_sound = verify_chunk(chunk, rows).has_value();
    CHECK(!is_sound || whole, "{} rows", rows);
    auto parts = ColumnParts::read(chunk, rows);
    if (!parts) {
        CHECK(!whole, "{} rows of no parts", rows);
        return;
    }
    bucket_parts(*parts, rows, is_sound, whole);
    parts->gather();
    bucket_parts(*parts, rows, is_sound, whole);
}

void read_chunk(ByteReader& reader) {
    const uint32_t rows = take_count(reader, 2000);
    const Bytes chunk = rest_of(reader);
    const auto values = decode_chunk_bytes(chunk, rows);
    on_every_processor([&] {
        const auto same = decode_chunk_bytes(chunk, rows);
        CHECK(same.has_value() == values.has_value(), "{} rows", rows);
        CHECK(!same || std::ranges::equal(same->values, values->values, same_bits), "{} rows",
              rows);
    });
    read_parts(chunk, rows, values);
    bucket_chunk(chunk, rows, values);
    CHECK(!values || values->values.size() <= rows, "{} values", values->values.size());
    if (values && values->presence.empty() && values->values.size() == rows) {
        std::vector<std::byte> encoded;
        encode_full_chunk(values->values, encoded);
        const auto again = decode_chunk_bytes(encoded, rows);
        CHECK(again.has_value(), "{}", again.error().to_string());
        CHECK(std::ranges::equal(again->values, values->values, same_bits), "{} values", rows);
    }
}

void read_integers(ByteReader& reader) {
    const uint32_t count = take_count(reader, 2000);
    const uint32_t first = reader.get<uint16_t>() % count;
    const Bytes encoded = rest_of(reader);
    std::vector<int64_t> values(count);
    if (!decode_integers(encoded, values)) {
        return;
    }
    std::vector<int64_t> some(count - first);
    CHECK(decode_integer_range(encoded, count, first, some).has_value(), "from {}", first);
    CHECK(std::ranges::equal(some, std::span(values).subspan(first)), "from {}", first);
    std::vector<std::byte> mine;
    encode_integers(values, mine);
    std::vector<int64_t> again(count);
    CHECK(decode_integers(mine, again).has_value() && again == values, "{} integers", count);
}

void read_steps(ByteReader& reader) {
    std::vector<int64_t> images(take_count(reader, 2000));
    static_cast<void>(decode_steps(rest_of(reader), images).has_value());
}

void read_values(ByteReader& reader) {
    const uint32_t count = take_count(reader, 2000);
    const auto bits = reader.get<uint8_t>();
    ValueForm form;
    form.float64 = bits % 2 == 1;
    form.constant = bits % 8 == 7;
    const Bytes payload = rest_of(reader);
    std::vector<double> values(count);
    if (!decode_values(form, payload, values)) {
        return;
    }
    const auto vectors = ValueVectors::read(form, payload, count);
    CHECK(vectors.has_value(), "{} values", count);
    for (size_t at = 0; at < count; at += kVectorValues) {
        const auto whole =
            std::span(values).subspan(at, std::min<size_t>(count - at, kVectorValues));
        std::vector<double> vector(whole.size());
        CHECK(vectors->decode(at / kVectorValues, vector).has_value(), "vector at {} of {}", at,
              count);
        CHECK(std::ranges::equal(vector, whole, same_bits), "vector at {}", at);
    }
}

void read_index(ByteReader& reader) {
    const uint32_t count = take_count(reader, 64);
    const auto end = reader.get<uint32_t>();
    const auto blocks = decode_block_index(rest_of(reader), count, end);
    if (blocks) {
        CHECK(blocks->size() == count && blocks->back().end() == end, "{} blocks", count);
        const auto again = decode_block_index(encode_block_index(*blocks), count, end);
        CHECK(again.has_value(), "{}", again.error().to_string());
    }
}

void read_summaries_section(ByteReader& reader) {
    BlockInfo info;
    info.rows = take_count(reader, 5000);
    info.columns = take_count(reader, 300);
    info.end_column = info.columns;
    info.axis = reader.get<uint8_t>() % 2 == 0 ? Axis::kStepped : Axis::kTimed;
    info.key_min = reader.get<int64_t>();
    info.key_max = reader.get<int64_t>();
    info.time_min = reader.get<int64_t>();
    info.time_max = reader.get<int64_t>();
    const auto summaries = decode_summaries(rest_of(reader), info);
    if (!summaries) {
        return;
    }
    Summary joined;
    for (const ColumnSummary& of : *summaries) {
        const Summary& summary = of.summary;
        CHECK(agrees(summary, summary), "column {}", of.column);
        CHECK(summary.points() <= info.rows && summary.first.key >= info.key_min &&
                  summary.last.key <= info.key_max,
              "column {}: {} points", of.column, summary.points());
        if (joined.points() == 0 || joined.last.key < summary.first.key) {
            joined.append(summary);
            CHECK(
                joined.count == 0 || (joined.min.value <= joined.mean() &&
                                      joined.mean() <= joined.max.value && joined.variance() >= 0),
                "mean {} of {} to {}", joined.mean(), joined.min.value, joined.max.value);
        }
    }
    const auto again = decode_summaries(encode_summaries(*summaries, info.axis), info);
    CHECK(again && again->size() == summaries->size(), "{} summaries", summaries->size());
}

void read_segment_names(ByteReader& reader) {
    const auto names = decode_segment_names(rest_of(reader));
    if (names) {
        const auto again = decode_segment_names(encode_segment_names(*names));
        CHECK(again && again->runs.size() == names->runs.size() &&
                  again->schemas.size() == names->schemas.size(),
              "{} runs", names->runs.size());
    }
}

}  // namespace

void fuzz_one(Bytes input) {
    ByteReader reader(input);
    switch (reader.get<uint8_t>() % 12) {
        case 0:
            return read_segment(rest_of(reader));
        case 1:
            return read_axis_section(reader);
        case 2:
            return read_directory_section(reader);
        case 3:
            return read_chunk(reader);
        case 4:
            return read_integers(reader);
        case 5:
            return read_steps(reader);
        case 6:
            return read_values(reader);
        case 7:
            return read_index(reader);
        case 8:
            return read_segment_names(reader);
        case 9:
            return read_summaries_section(reader);
        case 10:
            return write_values<double>(reader);
        default:
            return write_values<uint32_t>(reader);
    }
}

}  // namespace stepdb
