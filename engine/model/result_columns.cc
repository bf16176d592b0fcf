#include "engine/model/result_columns.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace stepdb {

std::string_view column_type_name(ColumnType type) {
    switch (type) {
        case ColumnType::kText:
            return "text";
        case ColumnType::kFloat64:
            return "float64";
        case ColumnType::kStep:
            return "step";
        case ColumnType::kTime:
            return "time";
        case ColumnType::kUint64:
            return "uint64";
    }
    return "unknown";
}

void ColumnCells::note_valid(uint32_t count) {
    rows_ += count;
    if (!valid_.empty()) {
        valid_.resize(rows_, 1);
    }
}

void ColumnCells::reserve(uint32_t rows) {
    switch (type_) {
        case ColumnType::kText:
            break;
        case ColumnType::kFloat64:
        case ColumnType::kStep:
            doubles_.reserve(rows);
            break;
        case ColumnType::kTime:
            times_.reserve(rows);
            break;
        case ColumnType::kUint64:
            uint64s_.reserve(rows);
            break;
    }
}

void ColumnCells::append_text(std::string_view text, uint32_t count) {
    CHECK(type_ == ColumnType::kText, "text into a {} column", column_type_name(type_));
    if (count == 0) {
        return;
    }
    if (!text_runs_.empty() && text_runs_.back().second == text) {
        text_runs_.back().first += count;
    } else {
        text_runs_.emplace_back(count, text);
    }
    note_valid(count);
}

void ColumnCells::append_double(double value) {
    append_doubles({&value, 1});
}

void ColumnCells::append_doubles(std::span<const double> values) {
    CHECK(type_ == ColumnType::kFloat64 || type_ == ColumnType::kStep, "doubles into a {} column",
          column_type_name(type_));
    doubles_.insert(doubles_.end(), values.begin(), values.end());
    note_valid(static_cast<uint32_t>(values.size()));
}

void ColumnCells::append_time(int64_t time_us) {
    append_times({&time_us, 1});
}

void ColumnCells::append_times(std::span<const int64_t> times_us) {
    CHECK(type_ == ColumnType::kTime, "times into a {} column", column_type_name(type_));
    times_.insert(times_.end(), times_us.begin(), times_us.end());
    note_valid(static_cast<uint32_t>(times_us.size()));
}

void ColumnCells::append_uint64(uint64_t value) {
    append_uint64s({&value, 1});
}

void ColumnCells::append_uint64s(std::span<const uint64_t> values) {
    CHECK(type_ == ColumnType::kUint64, "uint64s into a {} column", column_type_name(type_));
    uint64s_.insert(uint64s_.end(), values.begin(), values.end());
    note_valid(static_cast<uint32_t>(values.size()));
}

void ColumnCells::append_numbers(Bytes numbers) {
    static_assert(std::endian::native == std::endian::little);
    CHECK(numbers.size() % sizeof(double) == 0, "{} bytes of numbers", numbers.size());
    const auto append_to = [&](auto& storage) {
        const size_t before = storage.size();
        storage.resize(before + numbers.size() / sizeof(double));
        if (!numbers.empty()) {
            std::memcpy(storage.data() + before, numbers.data(), numbers.size());
        }
    };
    switch (type_) {
        case ColumnType::kText:
            CHECK(numbers.empty(), "{} bytes of numbers into a text column", numbers.size());
            break;
        case ColumnType::kFloat64:
        case ColumnType::kStep:
            append_to(doubles_);
            break;
        case ColumnType::kTime:
            append_to(times_);
            break;
        case ColumnType::kUint64:
            append_to(uint64s_);
            break;
    }
    note_valid(static_cast<uint32_t>(numbers.size() / sizeof(double)));
}

void ColumnCells::append_null(uint32_t count) {
    if (count == 0) {
        return;
    }
    valid_.resize(rows_, 1);
    switch (type_) {
        case ColumnType::kText:
            append_text({}, count);
            break;
        case ColumnType::kFloat64:
        case ColumnType::kStep:
            doubles_.resize(doubles_.size() + count);
            note_valid(count);
            break;
        case ColumnType::kTime:
            times_.resize(times_.size() + count);
            note_valid(count);
            break;
        case ColumnType::kUint64:
            uint64s_.resize(uint64s_.size() + count);
            note_valid(count);
            break;
    }
    valid_.resize(rows_);
    std::fill(valid_.end() - count, valid_.end(), uint8_t{0});
}

std::vector<std::string_view> ColumnCells::texts() const {
    std::vector<std::string_view> texts;
    texts.reserve(rows_);
    for (const TextRun& run : text_runs_) {
        texts.insert(texts.end(), run.first, run.second);
    }
    return texts;
}

size_t ColumnCells::memory_bytes() const {
    size_t bytes = sizeof(*this) + valid_.capacity() +
                   8 * (doubles_.capacity() + times_.capacity() + uint64s_.capacity());
    for (const TextRun& run : text_runs_) {
        bytes += sizeof(run) + run.second.capacity();
    }
    return bytes;
}

ResultBlock::ResultBlock(std::span<const ResultColumn> columns, uint32_t rows) {
    columns_.reserve(columns.size());
    for (const ResultColumn& column : columns) {
        columns_.emplace_back(column.type).reserve(rows);
    }
}

bool ResultBlock::is_complete() const {
    return std::all_of(columns_.begin(), columns_.end(),
                       [&](const ColumnCells& cells) { return cells.rows() == rows(); });
}

size_t ResultBlock::memory_bytes() const {
    size_t bytes = sizeof(*this);
    for (const ColumnCells& cells : columns_) {
        bytes += cells.memory_bytes();
    }
    return bytes;
}

}  // namespace stepdb
