#include "tools/bench/reports.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/text.h"

namespace stepdb {

std::string grouped(double number) {
    std::string digits = fmt::format("{:.0f}", number);
    for (size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, 1, ',');
    }
    return digits;
}

std::string shown(double number) {
    if (number >= 999.5) {
        return grouped(number);
    }
    return fmt::format("{:.{}f}", number, number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2);
}

std::string shown_us(double us) {
    if (us < 1000) {
        return shown(us) + " us";
    }
    return us < 1e6 ? shown(us / 1e3) + " ms" : shown(us / 1e6) + " s";
}

namespace {

constexpr double kMebibyte = 1024.0 * 1024.0;

std::optional<double> mebibytes(const std::optional<uint64_t>& bytes) {
    return bytes ? std::optional(static_cast<double>(*bytes) / kMebibyte) : std::nullopt;
}

// Milliseconds of CPU by millions of points.
std::optional<double> cpu_ms_per_mpoint(const std::optional<double>& seconds, double points) {
    return seconds && points > 0 ? std::optional(*seconds * 1e9 / points) : std::nullopt;
}

void add_latencies(const std::string& name, const Latencies& latencies, Figures& figures) {
    const auto add = [&](std::string_view what, double us) {
        figures.add_number(fmt::format("{}_{}_us", name, what),
                           latencies.count() > 0 ? std::optional(us) : std::nullopt, "us");
    };
    add("p50", latencies.percentile_us(0.5));
    add("p90", latencies.percentile_us(0.9));
    add("p99", latencies.percentile_us(0.99));
    add("p999", latencies.percentile_us(0.999));
    add("max", latencies.max_us());
}

void add_workload(const IngestReport& report, Figures& figures) {
    const Workload& load = report.workload;
    const double rate = load.rows_per_second * load.shape.metrics * load.connections;
    figures.add_text("workload", load.name);
    figures.add_count("metrics", load.shape.metrics);
    figures.add_number("rows_per_frame", report.rows_per_frame());
    figures.add_text("values", load.shape.is_float64 ? "f64" : "f32");
    figures.add_text("data", load.shape.data == LoadData::kNoise ? "noise" : "mixed");
    figures.add_count("connections", load.connections);
    figures.add_count("runs", load.runs_in_all());
    figures.add_text("coalesce", load.coalesce ? "on" : "off");
    figures.add_text("loop", load.closed_loop ? "closed" : "open");
    figures.add_number(
        "frames_in_flight",
        report.in_flight ? std::optional(static_cast<double>(*report.in_flight)) : std::nullopt,
        "a connection");
    figures.add_number("rate_asked", rate > 0 ? std::optional(rate) : std::nullopt, "points/s",
                       "no limit");
    figures.add_number("warm_up_seconds", load.warm_up, "s");
}

void add_cost(const IngestReport& report, Figures& figures) {
    figures.add_number("server_cpu_ms_per_mpoint",
                       cpu_ms_per_mpoint(report.server_cpu_seconds, report.points()));
    figures.add_number("client_cpu_ms_per_mpoint",
                       cpu_ms_per_mpoint(report.client_cpu_seconds, report.points()));
    figures.add_number("server_peak_mb", mebibytes(report.server_peak_bytes));
    figures.add_number("bytes_per_point", report.bytes_per_point);
}

// With the bounds that there are.
void add_end(const IngestReport& report, Figures& figures) {
    figures.add_count("log_bytes", report.loaded.log_bytes);
    figures.add_count("log_bytes_bound", report.log_bytes_bound);
    figures.add_count("rows_in_memory_bytes", report.loaded.rows_in_memory_bytes);
    figures.add_count("rows_in_memory_bytes_bound", report.rows_in_memory_bytes_bound);
    figures.add_text("within_bounds", report.is_within_bounds() ? "yes" : "no");
    figures.add_number("pieces_per_series_loaded", report.loaded.pieces_mean);
    const std::optional<Settling>& settled = report.settled;
    const StoreFigures& last = settled ? settled->store : report.loaded;
    figures.add_number("pieces_per_series", last.pieces_mean);
    figures.add_count("pieces_per_series_most", last.pieces_most);
    figures.add_number("write_amplification", last.write_amplification);
    const auto part = [&settled](double Settling::*seconds) {
        return settled ? std::optional(*settled.*seconds) : std::nullopt;
    };
    figures.add_number("settle_seconds", part(&Settling::working_seconds), "s");
    figures.add_number("settle_share",
                       settled ? std::optional(settled->working_seconds /
                                               (report.workload.warm_up + report.seconds))
                               : std::nullopt);
    figures.add_number("settle_wait_seconds", part(&Settling::seconds), "s");
}

// --- For people ---

// That of numbers too, which the overload below would hide.
using stepdb::shown;
std::string shown(const std::optional<double>& number) {
    return number ? shown(*number) : "-";
}

std::string count_of(uint64_t count, std::string_view one) {
    return fmt::format("{} {}{}", grouped(static_cast<double>(count)), one, count == 1 ? "" : "s");
}

std::string shown_latencies(const Latencies& latencies) {
    if (latencies.count() == 0) {
        return "none";
    }
    return fmt::format("p50 {}, p99 {}, p99.9 {}, at most {}",
                       shown_us(latencies.percentile_us(0.5)),
                       shown_us(latencies.percentile_us(0.99)),
                       shown_us(latencies.percentile_us(0.999)), shown_us(latencies.max_us()));
}

std::string title_of(const IngestReport& report) {
    const Workload& load = report.workload;
    std::string title = fmt::format(
        "{}: {} a row, {} {}; {} a frame{}; {}, {}", load.name,
        count_of(load.shape.metrics, "metric"), load.shape.is_float64 ? "float64" : "float32",
        load.shape.data == LoadData::kNoise ? "noise" : "mixed data",
        load.coalesce ? shown(report.rows_per_frame()) + " rows"
                      : count_of(load.shape.rows_per_frame, "row"),
        load.coalesce ? ", packed by the client" : "", count_of(load.connections, "connection"),
        count_of(load.runs_in_all(), "run"));
    return title + (load.closed_loop ? "; closed loop" : "");
}

class Paragraph {
  public:
    explicit Paragraph(const TextSink& sink) : sink_(sink) {}

    void line(std::string_view name, const std::string& text) const {
        sink_(fmt::format("  {:<11} {}\n", name, text));
    }

  private:
    const TextSink& sink_;
};

std::string shown_charts(const AnswerReport& charts) {
    const Latencies& latencies = charts.asked.latencies;
    return fmt::format("{}/s; {}", shown(static_cast<double>(latencies.count()) / charts.seconds),
                       shown_latencies(latencies));
}

}  // namespace

bool IngestReport::is_within_bounds() const {
    return loaded.log_bytes <= log_bytes_bound &&
           (rows_in_memory_bytes_bound == 0 ||
            loaded.rows_in_memory_bytes <= rows_in_memory_bytes_bound);
}

void add_context(const BenchContext& context, Figures& figures) {
    figures.add_text("benchmark", context.benchmark);
    figures.add_text("version", context.version);
    figures.add_text("server", context.server);
    figures.add_text("server_version", context.server_version);
    figures.add_count("cores", context.cores);
    figures.add_text("kernel", context.kernel);
    figures.add_text("io_backend", context.io_backend);
    figures.add_text("file_system", context.file_system);
    // The only level there is: on stable storage, and visible to queries.
    figures.add_text("durability", "durable");
    figures.add_number("memory_limit_mb", mebibytes(context.memory_limit_bytes));
    figures.add_count("seed", context.seed);
}

void add_answers(const AnswerReport& answers, Figures& figures) {
    const std::string& name = answers.name;
    const auto count = static_cast<double>(answers.asked.latencies.count());
    figures.add_text(name + "_query", answers.asked.text);
    figures.add_count(name + "_answers", answers.asked.latencies.count());
    figures.add_number(name + "_answers_per_second", count / answers.seconds);
    figures.add_number(name + "_rows_per_answer",
                       static_cast<double>(answers.asked.rows) / std::max(1.0, count));
    add_latencies(name, answers.asked.latencies, figures);
}

Figures ingest_figures(const IngestReport& report) {
    Figures figures;
    const LoadReport& load = report.load;
    add_context(report.context, figures);
    add_workload(report, figures);
    figures.add_number("seconds", report.seconds, "s");
    figures.add_number("points", report.points_in_window());
    figures.add_number("points_per_second", report.points_in_window() / report.seconds);
    figures.add_number("rows_per_second",
                       static_cast<double>(load.rows_in_window) / report.seconds);
    figures.add_number("frames_per_second", report.frames_per_second());
    figures.add_number("mb_per_second", report.bytes_per_second() / 1e6, "MB/s on the wire");
    add_latencies("ack", load.latencies, figures);
    figures.add_count("late_rows", load.late_rows);
    figures.add_count("rows_acknowledged", load.rows);
    figures.add_count("rows_counted", report.rows_counted);
    add_cost(report, figures);
    add_end(report, figures);
    if (report.charts) {
        figures.add_count("chart_connections", report.chart_connections);
        figures.add_number("chart_rate_asked",
                           report.chart_rate > 0 ? std::optional(report.chart_rate) : std::nullopt,
                           "charts/s");
        add_answers(*report.charts, figures);
        add_answers(*report.quiet_charts, figures);
        figures.add_count("watched_rows", report.freshness.count());
        add_latencies("freshness", report.freshness, figures);
    }
    return figures;
}

void print_context(const BenchContext& context, const TextSink& sink) {
    sink(fmt::format(
        "{}, {} cores, {}, {}, {}{}, seed {}\n",
        context.server == "own" ? "stepdb " + context.version
                                : context.server_version + " at " + context.server,
        context.cores, context.kernel, context.io_backend, context.file_system,
        context.memory_limit_bytes ? ", --memory " + format_size(*context.memory_limit_bytes) : "",
        context.seed));
}

void print_ingest(const IngestReport& report, const TextSink& sink) {
    const Paragraph out(sink);
    const LoadReport& load = report.load;
    const auto rows = static_cast<double>(load.rows_in_window);
    sink(fmt::format("\n{}\n", title_of(report)));
    out.line("throughput",
             fmt::format("{} M points/s, {} rows/s, {} MB/s; over {} s after {} s",
                         shown(report.points_in_window() / report.seconds / 1e6),
                         shown(rows / report.seconds), shown(report.bytes_per_second() / 1e6),
                         shown(report.seconds), shown(report.workload.warm_up)));
    out.line("durable ack", shown_latencies(load.latencies));
    if (report.charts) {
        out.line("charts", shown_charts(*report.charts));
        out.line("afterwards", shown_charts(*report.quiet_charts));
        out.line("freshness", shown_latencies(report.freshness));
    }
    out.line("CPU",
             fmt::format("server {}, client {} ms per million points",
                         shown(cpu_ms_per_mpoint(report.server_cpu_seconds, report.points())),
                         shown(cpu_ms_per_mpoint(report.client_cpu_seconds, report.points()))));
    if (report.server_peak_bytes) {
        out.line("memory", fmt::format("{} at most", format_size(*report.server_peak_bytes)));
    }
    out.line("then",
             fmt::format(
                 "log {} (bound {}), rows in memory {}{}; {} pieces a series",
                 format_size(report.loaded.log_bytes), format_size(report.log_bytes_bound),
                 format_size(report.loaded.rows_in_memory_bytes),
                 report.rows_in_memory_bytes_bound == 0
                     ? ""
                     : fmt::format(" (bound {})", format_size(report.rows_in_memory_bytes_bound)),
                 shown(report.loaded.pieces_mean)));
    if (report.settled) {
        const StoreFigures& store = report.settled->store;
        out.line(
            "settled",
            fmt::format(
                "after {} s of work ({:.1f} % of the load); {} pieces a series, {} at "
                "most; written {} times",
                shown(report.settled->working_seconds),
                100 * report.settled->working_seconds / (report.workload.warm_up + report.seconds),
                shown(store.pieces_mean), store.pieces_most, shown(store.write_amplification)));
    }
    out.line("on disk",
             fmt::format("{} bytes a point, the log apart", shown(report.bytes_per_point)));
    out.line("checked",
             fmt::format("{} acknowledged and counted by a query", count_of(load.rows, "row")));
}

void print_comparison(const std::vector<IngestReport>& reports, const TextSink& sink) {
    sink(fmt::format("\n{:<8} {:>12} {:>10} {:>9} {:>9} {:>9} {:>11} {:>9} {:>8}\n", "workload",
                     "M points/s", "ack p50", "p99", "server", "client", "peak", "B/point",
                     "pieces"));
    sink(fmt::format("{:<8} {:>12} {:>10} {:>9} {:>9} {:>9} {:>11} {:>9} {:>8}\n", "", "", "ms",
                     "ms", "ms CPU/M", "ms CPU/M", "MiB", "", ""));
    for (const IngestReport& report : reports) {
        const Latencies& acks = report.load.latencies;
        const StoreFigures& store = report.settled ? report.settled->store : report.loaded;
        sink(fmt::format(
            "{:<8} {:>12} {:>10} {:>9} {:>9} {:>9} {:>11} {:>9} {:>8}\n", report.workload.name,
            shown(report.points_in_window() / report.seconds / 1e6),
            shown(acks.percentile_us(0.5) / 1e3), shown(acks.percentile_us(0.99) / 1e3),
            shown(cpu_ms_per_mpoint(report.server_cpu_seconds, report.points())),
            shown(cpu_ms_per_mpoint(report.client_cpu_seconds, report.points())),
            shown(mebibytes(report.server_peak_bytes)), shown(report.bytes_per_point),
            shown(store.pieces_mean)));
    }
}

}  // namespace stepdb
