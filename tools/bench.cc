// `stepdb bench`: a load against a server, and what it measured.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "engine/model/limits.h"
#include "engine/model/schema.h"
#include "tools/address.h"
#include "tools/bench/frame_pool.h"
#include "tools/bench/query_suite.h"
#include "tools/bench_run.h"
#include "tools/command.h"

namespace stepdb {

namespace {

// Below the usual limit of descriptors.
constexpr uint32_t kBenchConnectionsMax = 16'000;

// --- Command line ---

void add_server_options(CLI::App& app, BenchOptions& options) {
    options.server.address.clear();  // one of its own
    CLI::Option* const server =
        app.add_option("--server", options.server.address,
                       "The server to load; default: one of its own, on a new store, until the end")
            ->type_name("HOST:PORT");
    add_access_options(app, options.server);
    app.add_option("--directory", options.directory,
                   "Where its own server's store is made and removed; default: $TMPDIR or /tmp")
        ->type_name("DIR")
        ->excludes(server);
    app.add_option("--memory", options.memory, "--memory of its own server")
        ->type_name("SIZE")
        ->excludes(server);
    app.add_option("--project", options.project, "The project of the runs it makes")
        ->type_name("P")
        ->capture_default_str();
}

// A command line before it is known what it says of which workload.
struct LoadChoice {
    BenchOptions bench;
    WorkloadChoice workload;
    Workload free;  // what is not said
    bool no_settle = false;
    std::string queries;
};

void add_load_options(CLI::App& app, LoadChoice& choice) {
    const LoadShape& shape = choice.free.shape;
    app.add_option("--metrics", choice.workload.metrics,
                   fmt::format("Metrics a row [{}]", shape.metrics))
        ->type_name("W")
        ->check(CLI::Range(1U, kSchemaMetricsMax));
    app.add_option("--rows-per-frame", choice.workload.rows_per_frame,
                   fmt::format("Rows a frame [{}]", shape.rows_per_frame))
        ->type_name("N")
        ->check(CLI::Range(1U, kFrameRowsMax));
    app.add_option("--values", choice.workload.values,
                   "f32: numbers that are float32 exactly; f64: with all bits of a double [f32]")
        ->type_name("TYPE")
        ->check(CLI::IsMember({"f32", "f64"}));
    app.add_option("--data", choice.workload.data,
                   "mixed: noise, spikes, NaN, constants, counters, schedules, shares; noise: that "
                   "alone, a tenth of the level [mixed]")
        ->type_name("DATA")
        ->check(CLI::IsMember({"mixed", "noise"}));
    app.add_option("--in-flight", choice.bench.in_flight,
                   "Frames a connection has unanswered at most; default: 8 MiB over all "
                   "connections, 2 to 16384 frames each")
        ->type_name("N")
        ->check(CLI::Range(size_t{1}, size_t{1} << 20U));
}

void add_writer_options(CLI::App& app, LoadChoice& choice) {
    app.add_option("--runs", choice.workload.runs, "Runs a connection writes to, in turn [1]")
        ->type_name("R")
        ->check(CLI::Range(1U, kRunsOpenPerConnectionMax));
    app.add_option("--coalesce", choice.workload.coalesce,
                   "on: the client library packs rows that are logged one by one; off: a send for "
                   "each frame [off]")
        ->type_name("HOW")
        ->check(CLI::IsMember({"on", "off"}));
    app.add_flag("--closed-loop", choice.workload.closed_loop,
                 "A row, and the next when it is durable");
    app.add_option("--rate", choice.workload.rate,
                   "Points a second over all connections; default: as many as it takes")
        ->type_name("POINTS")
        ->check(CLI::PositiveNumber);
    app.add_option("--threads", choice.bench.threads, "Of the load; connections are shared out")
        ->type_name("T")
        ->check(CLI::Range(1U, 64U))
        ->capture_default_str();
    app.add_flag("--no-settle", choice.no_settle,
                 "Stop its own server after the load, before it has merged what it can");
}

void add_common_options(CLI::App& app, LoadChoice& choice, bool has_workloads) {
    app.add_option("--connections", choice.workload.connections, "Connections [1]")
        ->type_name("C")
        ->check(CLI::Range(1U, kBenchConnectionsMax));
    app.add_option("--seconds", choice.workload.seconds,
                   fmt::format("How long to measure [{}{}]", choice.free.seconds,
                               has_workloads ? "; 30 for named workloads" : ""))
        ->type_name("S")
        ->check(CLI::Range(0.001, 86400.0));
    app.add_option("--warm-up", choice.workload.warm_up,
                   fmt::format("How long to do the same before [{}{}]", choice.free.warm_up,
                               has_workloads ? "; 5 for named workloads" : ""))
        ->type_name("S")
        ->check(CLI::Range(0.0, 86400.0));
    app.add_option("--seed", choice.bench.seed, "Of values and questions")
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--format", choice.bench.format,
                   "table, or json: an object for each workload or query")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
}

struct Subcommand {
    CLI::App* app;
    Benchmark kind;
    std::shared_ptr<LoadChoice> choice;
};

Subcommand add_ingest_bench(CLI::App& bench) {
    Subcommand made{bench.add_subcommand("ingest", "Rows in, as fast as they are made durable"),
                    Benchmark::kIngest, std::make_shared<LoadChoice>()};
    made.app
        ->add_option("--workload", made.choice->workload.names,
                     "One or several of wide, long, fleet, narrow, ranks, huge, idle, with commas; "
                     "all: the first six. Default: what the options below say")
        ->type_name("NAMES");
    add_load_options(*made.app, *made.choice);
    add_writer_options(*made.app, *made.choice);
    add_common_options(*made.app, *made.choice, true);
    add_server_options(*made.app, made.choice->bench);
    add_examples(*made.app,
                 {"stepdb bench ingest --workload wide,narrow --warm-up 1 --seconds 2",
                  "stepdb bench ingest --metrics 10 --rows-per-frame 1 --connections 4 --seconds 2",
                  "stepdb bench ingest --metrics 100 --values f64 --rate 1000000 --format json",
                  "stepdb bench ingest --metrics 100 --closed-loop --seconds 2"});
    return made;
}

// Of questions about one series: they exclude what the suite has.
void add_series_options(Subcommand& made, CLI::Option* queries, CLI::Option* scale) {
    BenchOptions& options = made.choice->bench;
    CLI::Option* const series =
        made.app
            ->add_option("--series", options.series,
                         "Ask about this series of --server instead, such as 'train/loss @ "
                         "gpt/run-17': whole range, random ranges, raw points")
            ->type_name("SELECTION")
            ->excludes(queries)
            ->excludes(scale)
            ->needs(made.app->get_option("--server"));
    CLI::Option* const points =
        made.app
            ->add_option("--points", options.points,
                         "Ask the same about a metric of a run that it fills with so many rows, "
                         "at least, of --metrics")
            ->type_name("N")
            ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40U))
            ->excludes(queries)
            ->excludes(scale)
            ->excludes(series);
    made.app
        ->add_flag("--settle", options.reopen,
                   "Start its own server anew after filling, so that it reads from segments")
        ->excludes(made.app->get_option("--server"))
        ->needs(points);
    add_load_options(*made.app, *made.choice);
    for (const char* const of_filling :
         {"--metrics", "--rows-per-frame", "--values", "--data", "--in-flight"}) {
        made.app->get_option(of_filling)->needs(points);
    }
}

Subcommand add_query_bench(CLI::App& bench) {
    Subcommand made{bench.add_subcommand("query", "Charts, leaderboards, names: what they take"),
                    Benchmark::kQuery, std::make_shared<LoadChoice>()};
    made.choice->free.shape.metrics = 10;
    made.choice->free.shape.rows_per_frame = 500;
    made.choice->free.warm_up = 0.5;
    made.choice->free.seconds = 3;
    BenchOptions& options = made.choice->bench;
    CLI::Option* const queries =
        made.app
            ->add_option("--queries", made.choice->queries,
                         fmt::format("Of {}; with commas [all]", fmt::join(suite_names(), ", ")))
            ->type_name("NAMES");
    CLI::Option* const scale =
        made.app
            ->add_option("--scale", options.scale,
                         "Less data, for a short run: 0.01 is a hundredth. The names stay, the "
                         "answers are small, and figures are then no measurement")
            ->type_name("F")
            ->check(CLI::Range(1e-6, 1.0))
            ->capture_default_str();
    add_common_options(*made.app, *made.choice, false);
    add_server_options(*made.app, options);
    made.app->add_flag("--no-settle", made.choice->no_settle,
                       "Ask its own server before it has merged what it can");
    add_series_options(made, queries, scale);
    add_examples(*made.app, {"stepdb bench query",
                             "stepdb bench query --queries chart_1m,page_20x1m --format json",
                             "stepdb bench query --scale 0.01 --seconds 0.2",
                             "stepdb bench query --points 100000 --settle --seconds 1"});
    return made;
}

Subcommand add_mixed_bench(CLI::App& bench) {
    Subcommand made{bench.add_subcommand("mixed", "Rows in while charts of them are asked for"),
                    Benchmark::kMixed, std::make_shared<LoadChoice>()};
    made.app
        ->add_option("--charts", made.choice->bench.charts,
                     "Connections that ask for charts, one after the other")
        ->type_name("N")
        ->check(CLI::Range(1U, 1024U))
        ->capture_default_str();
    made.app
        ->add_option("--chart-rate", made.choice->bench.chart_rate,
                     "Charts a second over all of these, each a page that refreshes its 20 charts "
                     "in turn; default: of any series, each as soon as the last is answered")
        ->type_name("CHARTS")
        ->check(CLI::PositiveNumber);
    add_load_options(*made.app, *made.choice);
    add_writer_options(*made.app, *made.choice);
    add_common_options(*made.app, *made.choice, false);
    add_server_options(*made.app, made.choice->bench);
    add_examples(*made.app,
                 {"stepdb bench mixed --rate 10000000 --seconds 2",
                  "stepdb bench mixed --charts 4 --chart-rate 100 --seconds 2 --format json"});
    return made;
}

// Another's server cannot be started anew.
Status check_queries(LoadChoice& choice) {
    BenchOptions& options = choice.bench;
    TRY_ASSIGN(options.queries, choose_queries(choice.queries));
    const auto cold = std::find(options.queries.begin(), options.queries.end(), "cold_first");
    if (options.server.address.empty() || cold == options.queries.end()) {
        return {};
    }
    if (!choice.queries.empty()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "cold_first starts its own server anew; leave it out, or --server");
    }
    options.queries.erase(cold);
    return {};
}

// What does not depend on a server.
Status check_benchmark(LoadChoice& choice) {
    BenchOptions& options = choice.bench;
    options.settle = !choice.no_settle;
    TRY(check_queries(choice));
    TRY(check_id("project", options.project));
    TRY_ASSIGN(options.workloads, choose_workloads(choice.workload, choice.free));
    for (const Workload& workload : options.workloads) {
        TRY(bench_schema(workload.shape));
    }
    if (!options.memory.empty()) {
        TRY(parse_memory(options.memory));
    }
    if (!options.server.address.empty()) {
        TRY(check_server(options.server));
    }
    return {};
}

}  // namespace

Command add_bench(CLI::App& stepdb) {
    CLI::App* bench = stepdb.add_subcommand("bench", "Measure a server under load");
    bench->require_subcommand(1);
    const std::vector<Subcommand> kinds = {add_ingest_bench(*bench), add_query_bench(*bench),
                                           add_mixed_bench(*bench)};
    add_examples(*bench,
                 {"stepdb bench ingest --workload wide --warm-up 1 --seconds 2",
                  "stepdb bench query --queries chart_1m,raw_1000 --seconds 1",
                  "stepdb bench mixed --rate 10000000 --seconds 2", "stepdb bench ingest --help"},
                 "docs/benchmarks.md says what each figure means.");
    return {bench,
            [=]() -> Status {
                for (const Subcommand& command : kinds) {
                    if (command.app->parsed()) {
                        return run_benchmark(command.kind, command.choice->bench);
                    }
                }
                return {};
            },
            [=]() -> Status {
                for (const Subcommand& command : kinds) {
                    if (command.app->parsed()) {
                        return check_benchmark(*command.choice);
                    }
                }
                return {};
            }};
}

}  // namespace stepdb
