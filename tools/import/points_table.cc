#include "tools/import/points_table.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "engine/base/json_scanner.h"
#include "tools/import/byte_source.h"
#include "tools/import/csv_reader.h"
#include "tools/import/line_reader.h"
#include "tools/import/log_source.h"
#include "tools/import/run_id.h"

namespace stepdb {

namespace {

constexpr size_t kRunsMax = 1'000'000;  // of one file

// Where in a header, or in an object, the parts of a point stand.
struct Columns {
    size_t run = 0;
    size_t metric = 0;
    size_t value = 0;
    std::optional<size_t> step;
    std::optional<size_t> time;
};

// Nothing if these are not the columns of such a table.
std::optional<Columns> find_columns(const std::vector<std::string>& names) {
    const auto run = find_usual(names, {"run"});
    const auto metric = find_usual(names, {"metric", "series"});
    const auto value = find_usual(names, {"value"});
    if (!run || !metric || !value) {
        return std::nullopt;
    }
    Columns columns;
    columns.run = *run;
    columns.metric = *metric;
    columns.value = *value;
    columns.step = find_usual(names, step_column_names());
    columns.time = find_usual(names, time_column_names());
    if (!columns.time) {
        columns.time = find_usual(names, {"time"});
    }
    const size_t keys = (columns.step ? 1U : 0U) + (columns.time ? 1U : 0U);
    return keys > 0 && names.size() == 3 + keys ? std::optional<Columns>(columns) : std::nullopt;
}

std::optional<std::string_view> cell_or_none(std::string_view cell) {
    return cell.empty() ? std::nullopt : std::optional<std::string_view>(cell);
}

class CsvPoints final : public PointsTable {
  public:
    CsvPoints(std::string path, Columns columns, size_t width, uint64_t bytes_before,
              std::unique_ptr<CsvReader> reader)
        : path_(std::move(path)),
          columns_(columns),
          width_(width),
          bytes_before_(bytes_before),
          reader_(std::move(reader)) {}

    Result<bool> next(PointRecord& record) override {
        TRY_ASSIGN(const bool more, reader_->next(cells_));
        if (!more) {
            return false;
        }
        if (cells_.size() != width_) {
            return make_error(ErrorCode::kInvalidArgument,
                              "{}: line {}: the record has {} cells, the header {}{}", path_,
                              reader_->line(), cells_.size(), width_,
                              reader_->unterminated() ? "; the file seems to be cut off here" : "");
        }
        record.run = cells_[columns_.run];
        record.metric = cells_[columns_.metric];
        record.value = cell_or_none(cells_[columns_.value]);
        record.step = columns_.step ? cell_or_none(cells_[*columns_.step]) : std::nullopt;
        record.time = columns_.time ? cell_or_none(cells_[*columns_.time]) : std::nullopt;
        return true;
    }
    uint64_t line() const override { return reader_->line(); }
    uint64_t begin() const override { return bytes_before_ + reader_->record_offset(); }
    uint64_t bytes_read() const override { return bytes_before_ + reader_->bytes_read(); }

  private:
    std::string path_;
    Columns columns_;
    size_t width_;
    uint64_t bytes_before_;
    std::unique_ptr<CsvReader> reader_;
    std::vector<std::string_view> cells_;
};

// As the cell of a table has it.
std::optional<std::string> text_of(const JsonLeaf& leaf) {
    switch (leaf.kind) {
        case JsonKind::kNull:
            return std::nullopt;
        case JsonKind::kBool:
            return leaf.number == 0 ? "0" : "1";
        case JsonKind::kNumber:
        case JsonKind::kString:
        case JsonKind::kArray:
            return std::string(leaf.text);
    }
    return std::nullopt;
}

class JsonPoints final : public PointsTable {
  public:
    JsonPoints(std::string path, uint64_t bytes_before, uint64_t lines_before,
               std::unique_ptr<LineReader> lines)
        : path_(std::move(path)),
          bytes_before_(bytes_before),
          lines_before_(lines_before),
          lines_(std::move(lines)) {}

    Result<bool> next(PointRecord& record) override {
        std::string_view text;
        do {
            TRY_ASSIGN(const bool more, lines_->next(text));
            if (!more) {
                return false;
            }
        } while (text.find_first_not_of(" \t") == std::string_view::npos);
        names_.clear();
        texts_.clear();
        is_text_.clear();
        const Status scanned = scan_json_object(text, [this](const JsonLeaf& leaf) -> Status {
            names_.emplace_back(leaf.path);
            is_text_.push_back(leaf.kind == JsonKind::kString);
            texts_.push_back(text_of(leaf));
            return {};
        });
        if (!scanned) {
            return scanned.error().within(fmt::format("{}: line {}", path_, line()));
        }
        if (names_ != last_names_) {
            columns_ = find_columns(names_);
            last_names_ = names_;
        }
        const std::optional<Columns>& columns = columns_;
        if (!columns || !is_text_[columns->run] || !is_text_[columns->metric]) {
            return make_error(ErrorCode::kInvalidArgument,
                              "{}: line {}: this is no point of a run, as the lines before", path_,
                              line());
        }
        const auto member = [&](std::optional<size_t> at) {
            return at && texts_[*at] ? std::optional<std::string_view>(*texts_[*at]) : std::nullopt;
        };
        record.run = *texts_[columns->run];
        record.metric = *texts_[columns->metric];
        record.value = member(columns->value);
        record.step = member(columns->step);
        record.time = member(columns->time);
        return true;
    }
    uint64_t line() const override { return lines_before_ + lines_->number(); }
    uint64_t begin() const override { return bytes_before_ + lines_->line_offset(); }
    uint64_t bytes_read() const override { return bytes_before_ + lines_->bytes_read(); }

  private:
    std::string path_;
    uint64_t bytes_before_;
    uint64_t lines_before_;
    std::unique_ptr<LineReader> lines_;
    std::vector<std::string> names_;
    std::vector<std::string> last_names_;
    std::optional<Columns> columns_;  // of these
    std::vector<std::optional<std::string>> texts_;
    std::vector<bool> is_text_;
};

}  // namespace

Result<std::unique_ptr<PointsTable>> open_csv_points(const std::string& path, const LogPart* part,
                                                     uint64_t bytes_max) {
    CsvOptions csv;
    csv.name = path;
    TRY_ASSIGN(ByteSource source, open_file(path, bytes_max));
    auto reader = std::make_unique<CsvReader>(std::move(source), csv);
    std::vector<std::string_view> cells;
    const Result<bool> more = reader->next(cells);
    if (!more || !*more) {
        return std::unique_ptr<PointsTable>();  // what is wrong is told by who reads it as a log
    }
    const std::vector<std::string> header(cells.begin(), cells.end());
    const std::optional<Columns> columns = find_columns(header);
    if (!columns) {
        return std::unique_ptr<PointsTable>();
    }
    if (part != nullptr) {
        csv.first_line = part->line;
        TRY_ASSIGN(source, open_file(path, std::min(part->end, bytes_max), part->begin));
        reader = std::make_unique<CsvReader>(std::move(source), csv);
    }
    return std::unique_ptr<PointsTable>(std::make_unique<CsvPoints>(
        path, *columns, header.size(), part == nullptr ? 0 : part->begin, std::move(reader)));
}

Result<std::unique_ptr<PointsTable>> open_json_points(const std::string& path, const LogPart* part,
                                                      uint64_t bytes_max) {
    const auto open = [&](const LogPart& from) -> Result<std::unique_ptr<PointsTable>> {
        TRY_ASSIGN(ByteSource source, open_file(path, std::min(from.end, bytes_max), from.begin));
        return std::unique_ptr<PointsTable>(
            std::make_unique<JsonPoints>(path, from.begin, from.line - 1,
                                         std::make_unique<LineReader>(std::move(source), path)));
    };
    LogPart all;
    all.end = UINT64_MAX;
    TRY_ASSIGN(auto table, open(part == nullptr ? all : *part));
    PointRecord record;
    const Result<bool> more = table->next(record);
    if (!more || !*more) {
        return std::unique_ptr<PointsTable>();
    }
    return open(part == nullptr ? all : *part);
}

Result<std::vector<LogPart>> find_parts(const std::string& path, OpenPointsTable open,
                                        const std::function<void(uint64_t)>& progress) {
    std::vector<LogPart> parts;
    const auto table = open(path, nullptr, UINT64_MAX);
    if (!table || *table == nullptr) {
        return parts;
    }
    std::unordered_map<std::string, size_t> known;
    size_t last = SIZE_MAX;
    PointRecord record;
    for (;;) {
        const Result<bool> more = (*table)->next(record);
        if (!more || !*more) {
            if (last < parts.size()) {
                parts[last].end = UINT64_MAX;
            }
            return parts;
        }
        if (last < parts.size() && parts[last].run == record.run) {
            continue;
        }
        if (last < parts.size()) {
            parts[last].end = (*table)->begin();
        }
        const auto [at, is_new] = known.emplace(std::string(record.run), parts.size());
        if (is_new && parts.size() == kRunsMax) {
            return make_error(ErrorCode::kResourceExhausted,
                              "{}: line {}: more than {} runs in one file", path, (*table)->line(),
                              kRunsMax);
        }
        if (is_new) {
            LogPart part;
            part.run = record.run;
            part.begin = (*table)->begin();
            part.line = (*table)->line();
            parts.push_back(std::move(part));
        }
        last = at->second;
        progress((*table)->bytes_read());
    }
}

std::string run_id_of_label(std::string_view label) {
    const size_t slash = label.find('/');
    return run_id_of(slash == std::string_view::npos ? label : label.substr(slash + 1));
}

}  // namespace stepdb
