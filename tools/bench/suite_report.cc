#include "tools/bench/suite_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/text.h"

namespace stepdb {

namespace {

double ms_at(const Latencies& latencies, double share) {
    return latencies.percentile_us(share) / 1e3;
}

// Keys of docs/benchmarks.md.
Figures figures_of(const SuiteQuery& query, const SuiteReport& report) {
    const SuiteAnswers& answers = report.answers;
    const auto count = static_cast<double>(answers.latencies.count());
    Figures figures;
    figures.add_text("name", query.name);
    figures.add_number("median_ms", ms_at(answers.latencies, 0.5));
    figures.add_number("p99_ms", ms_at(answers.latencies, 0.99));
    figures.add_count("values", answers.values);
    figures.add_flag("verified", !answers.wrong);
    figures.add_text("what", query.what);
    figures.add_text("query", answers.text);
    figures.add_count("rows", answers.rows);
    figures.add_count("runs", query.size.runs);
    figures.add_count("series", query.size.series);
    figures.add_count("points", query.size.points);
    figures.add_count("buckets", query.size.buckets);
    figures.add_number("scale", report.scale);
    figures.add_number("p90_ms", ms_at(answers.latencies, 0.9));
    figures.add_number("max_ms", answers.latencies.max_us() / 1e3);
    figures.add_count("answers", answers.latencies.count());
    figures.add_number("answers_per_second", count / report.seconds);
    figures.add_count("connections", report.connections);
    figures.add_number("warm_up_seconds", report.warm_up_seconds);
    figures.add_number("seconds", report.seconds);
    add_context(report.context, figures);
    std::optional<double> peak;
    if (report.server_peak_bytes) {
        peak = static_cast<double>(*report.server_peak_bytes) / 0x1p20;
    }
    figures.add_number("server_peak_mb", peak);
    return figures;
}

}  // namespace

SuitePrinter::SuitePrinter(const std::vector<SuiteQuery>& queries, bool json, TextSink sink)
    : json_(json), sink_(std::move(sink)) {
    for (const SuiteQuery& query : queries) {
        name_width_ = std::max(name_width_, query.name.size());
        what_width_ = std::max(what_width_, query.what.size());
    }
}

void SuitePrinter::print_line(std::string_view name, std::string_view what, std::string_view median,
                              std::string_view p99, std::string_view values,
                              std::string_view verified) {
    sink_(fmt::format("{:<{}}  {:<{}}  {:>8}  {:>8}  {:>10}  {}\n", name, name_width_, what,
                      what_width_, median, p99, values, verified));
}

void SuitePrinter::begin(const SuiteReport& report) {
    if (json_) {
        return;
    }
    print_context(report.context, sink_);
    if (report.scale < 1) {
        sink_(fmt::format("at a scale of {}, far from what the names say\n", report.scale));
    }
    sink_("\n");
    print_line("query", "what", "median", "p99", "values", "verified");
}

void SuitePrinter::print(const SuiteQuery& query, const SuiteReport& report) {
    if (json_) {
        figures_of(query, report).print_json(sink_);
        return;
    }
    const Latencies& latencies = report.answers.latencies;
    print_line(query.name, query.what, shown_us(latencies.percentile_us(0.5)),
               shown_us(latencies.percentile_us(0.99)),
               grouped(static_cast<double>(report.answers.values)),
               report.answers.wrong ? "NO" : "yes");
}

void SuitePrinter::end(const SuiteReport& report) {
    if (!json_ && report.server_peak_bytes) {
        sink_(fmt::format("\nmemory of the server: {} at most\n",
                          format_size(*report.server_peak_bytes)));
    }
}

}  // namespace stepdb
