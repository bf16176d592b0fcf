#include "tools/answer_printer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "query/parser.h"
#include "tools/output/terminal.h"

namespace stepdb {

namespace {

constexpr int kChartHeightMax = 24;
constexpr int kLinesBesideChart = 8;  // legend, axis, prompt

ChartOptions chart_options(const std::string& x_name) {
    const TerminalSize size = terminal_size(STDOUT_FILENO);
    ChartOptions options;
    options.width = std::min(size.width, 160);
    options.height = std::clamp(size.height - kLinesBesideChart, 8, kChartHeightMax);
    options.color = wants_color(STDOUT_FILENO);
    options.x_name = x_name;
    return options;
}

// What numbers along x are. The columns of buckets do not say it: `lo` and `hi` are of steps as
// well as of what `x` makes of them. Empty if the query says nothing.
std::string x_name_of(const QueryText& query) {
    const Result<Query> parsed = parse_query(query.text, query.parameters);
    const auto* series = parsed ? std::get_if<SeriesQuery>(&parsed->what) : nullptr;
    std::string name;
    if (series != nullptr) {
        // The outermost comes last, and counts.
        for_each_query(*series, [&](const SeriesQuery& each) {
            for (const Stage& stage : each.then.stages) {
                if (const auto* x = std::get_if<XStage>(&stage.what)) {
                    name = x->x == XStage::X::kStep ? "step" : "x";
                }
            }
        });
    }
    return name;
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

AnswerPrinter::AnswerPrinter(PrintOptions options, const QueryText& query, TextSink sink)
    : options_(options), sink_(std::move(sink)), x_name_(x_name_of(query)) {}

void AnswerPrinter::columns(const std::vector<ResultColumn>& columns) {
    const bool draws = !options_.has_format && is_terminal(STDOUT_FILENO);
    const bool is_heat_map = HeatMap::is_of(columns);
    if (is_heat_map && options_.chart.value_or(draws)) {
        heat_map_.emplace(columns);
        return;
    }
    if (options_.chart.value_or(draws && Chart::is_of_buckets(columns))) {
        drawable_ = chart_.begin(columns);
        is_charted_ = drawable_.has_value();
    }
    // What was asked for is a chart; a table in its place would be taken for success.
    if (!is_charted_ && drawable_) {
        writer_ = make_result_writer(options_.format, sink_);
        writer_->begin(columns);
    }
}

void AnswerPrinter::block(const ResultBlock& block) {
    if (heat_map_) {
        heat_map_->block(block);
    } else if (is_charted_) {
        chart_.block(block);
    } else if (drawable_) {
        writer_->block(block);
    }
}

Status AnswerPrinter::end(const QueryEnd& end) {
    if (heat_map_) {
        sink_(heat_map_->render(chart_options(x_name_)));
    } else if (is_charted_) {
        sink_(chart_.render(chart_options(x_name_)));
    } else if (drawable_) {
        writer_->end();
    }
    std::fflush(stdout);
    for (const std::string& note : end.notes) {
        fmt::print(stderr, "note: {}\n", note);
    }
    return drawable_;
}

}  // namespace stepdb
