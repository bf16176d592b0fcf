// Prints an answer as it comes: in a format, or as a chart when it is complete.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/message.h"
#include "tools/output/chart.h"
#include "tools/output/heat_map.h"
#include "tools/output/result_writer.h"

namespace stepdb {

struct PrintOptions {
    PrintOptions() = default;

    OutputFormat format = OutputFormat::kTable;
    // Draw, or do not; unset: draw answers in buckets and of `pivot x` if the standard output is a
    // terminal and no format was asked for.
    std::optional<bool> chart;
    bool has_format = false;  // the user named the format
};

// A sink for a ResultWriter.
void write_to_stdout(std::string_view text);

// Single-threaded.
class AnswerPrinter {
  public:
    // The answer goes to `sink`; its notes to the standard error.
    // `query` is that which is answered.
    AnswerPrinter(PrintOptions options, const QueryText& query, TextSink sink = write_to_stdout);

    void columns(const std::vector<ResultColumn>& columns);
    void block(const ResultBlock& block);
    // kInvalidArgument if a chart was asked for and cannot be drawn.
    Status end(const QueryEnd& end);

  private:
    PrintOptions options_;
    TextSink sink_;
    std::string x_name_;  // of numbers along x of a chart; empty: what the columns say
    bool is_charted_ = false;
    Status drawable_;  // why there is no chart though one was asked for
    Chart chart_;
    std::optional<HeatMap> heat_map_;  // instead of a chart
    std::unique_ptr<ResultWriter> writer_;
};

// Takes the value of --format.
Result<OutputFormat> read_output_format(const std::string& name);

}  // namespace stepdb
