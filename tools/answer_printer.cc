#include "tools/answer_printer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tools/output/terminal.h"

namespace stepdb {

namespace {

constexpr int kChartHeightMax = 24;
constexpr int kLinesBesideChart = 8;  // legend, axis, prompt

ChartOptions chart_options() {
    const TerminalSize size = terminal_size(STDOUT_FILENO);
    ChartOptions options;
    options.width = std::min(size.width, 160);
    options.height = std::clamp(size.height - kLinesBesideChart, 8, kChartHeightMax);
    options.color = wants_color(STDOUT_FILENO);
    return options;
}

}  // namespace

void write_to_stdout(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

Result<OutputFormat> read_output_format(const std::string& name) {
    const std::optional<OutputFormat> format = parse_output_format(name);
    if (!format) {
        return make_error(ErrorCode::kInvalidArgument,
                          "--format '{}' is none of table, csv, json, jsonl", name);
    }
    return *format;
}

void AnswerPrinter::columns(const std::vector<ResultColumn>& columns) {
    wants_chart_ = options_.chart.value_or(!options_.has_format && is_terminal(STDOUT_FILENO));
    is_charted_ = wants_chart_ && Chart::can_draw(columns) && chart_.begin(columns).has_value();
    // What was asked for is a chart; a table in its place would be taken for success.
    is_refused_ = options_.chart.value_or(false) && !is_charted_;
    if (!is_charted_ && !is_refused_) {
        writer_ = make_result_writer(options_.format, sink_);
        writer_->begin(columns);
    }
}

void AnswerPrinter::block(const ResultBlock& block) {
    if (is_charted_) {
        chart_.block(block);
    } else if (!is_refused_) {
        writer_->block(block);
    }
}

Status AnswerPrinter::end(const QueryEnd& end) {
    if (is_charted_) {
        sink_(chart_.render(chart_options()));
    } else if (!is_refused_) {
        writer_->end();
    }
    std::fflush(stdout);
    for (const std::string& note : end.notes) {
        fmt::print(stderr, "note: {}\n", note);
    }
    if (is_refused_) {
        return make_error(ErrorCode::kInvalidArgument,
                          "there is no chart of this answer, only of answers in buckets with "
                          "mean, min or max; add `| buckets 100` to the query");
    }
    return {};
}

}  // namespace stepdb
