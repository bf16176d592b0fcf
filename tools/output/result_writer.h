// An answer as text, column block by column block, in one of four formats:
//
//   table   aligned for reading: numbers right, a rule under the header, "(N rows)" at the end;
//           floats to about six significant digits, times ISO-8601 UTC
//   csv     RFC 4180 with a header; every float in the shortest form that reads back bit for bit,
//           NaN, Infinity, -Infinity and nan:HEX as words
//   json    one array of objects; the words of csv as strings
//   jsonl   one object a line
//
// A null cell is empty in table and csv and null in JSON. Times are ISO-8601 UTC everywhere.
// Single-threaded.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "engine/model/result_columns.h"

namespace stepdb {

enum class OutputFormat : uint8_t { kTable, kCsv, kJson, kJsonl };

// "table", "csv", "json", "jsonl".
std::optional<OutputFormat> parse_output_format(std::string_view name);

// Takes pieces of text in order; what they are written to is the caller's.
using TextSink = std::function<void(std::string_view)>;

class ResultWriter {
  public:
    virtual ~ResultWriter() = default;

    // Once, before the first block.
    virtual void begin(std::span<const ResultColumn> columns) = 0;
    // A complete block of those columns.
    virtual void block(const ResultBlock& block) = 0;
    // Once, after the last.
    virtual void end() = 0;
};

std::unique_ptr<ResultWriter> make_result_writer(OutputFormat format, TextSink sink);

// The four, for result_writer.cc.
std::unique_ptr<ResultWriter> make_table_writer(TextSink sink);
std::unique_ptr<ResultWriter> make_csv_writer(TextSink sink);
std::unique_ptr<ResultWriter> make_json_writer(TextSink sink, bool lines);

}  // namespace stepdb
