#include "tools/output/result_writer.h"

#include <fmt/format.h>

#include "engine/base/civil_time.h"
#include "engine/base/float_bits.h"
#include "tools/output/format_cell.h"

namespace stepdb {

std::optional<OutputFormat> parse_output_format(std::string_view name) {
    if (name == "table") {
        return OutputFormat::kTable;
    }
    if (name == "csv") {
        return OutputFormat::kCsv;
    }
    if (name == "json") {
        return OutputFormat::kJson;
    }
    if (name == "jsonl") {
        return OutputFormat::kJsonl;
    }
    return std::nullopt;
}

std::unique_ptr<ResultWriter> make_result_writer(OutputFormat format, TextSink sink) {
    switch (format) {
        case OutputFormat::kTable:
            return make_table_writer(std::move(sink));
        case OutputFormat::kCsv:
            return make_csv_writer(std::move(sink));
        case OutputFormat::kJson:
            return make_json_writer(std::move(sink), false);
        case OutputFormat::kJsonl:
            return make_json_writer(std::move(sink), true);
    }
    CHECK(false, "output format {}", static_cast<int>(format));
    return nullptr;
}

std::string exact_cell(const ColumnCells& cells, uint32_t row, std::string_view text) {
    if (cells.is_null(row)) {
        return {};
    }
    switch (cells.type()) {
        case ColumnType::kText:
            return std::string(text);
        case ColumnType::kFloat64:
            return format_value(cells.doubles()[row]);
        case ColumnType::kStep:
            return format_step(cells.doubles()[row]);
        case ColumnType::kTime:
            return format_time(cells.times()[row]);
        case ColumnType::kUint64:
            return fmt::format("{}", cells.uint64s()[row]);
    }
    return {};
}

}  // namespace stepdb
