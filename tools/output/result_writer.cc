#include "tools/output/result_writer.h"

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

}  // namespace stepdb
