// `stepdb bench`: a load against a server, and what it measured.
#include <memory>
#include <vector>

#include "engine/model/limits.h"
#include "engine/model/schema.h"
#include "tools/address.h"
#include "tools/bench_run.h"
#include "tools/command.h"

namespace stepdb {

namespace {

// --- Command line ---

void add_server_options(CLI::App& app, BenchOptions& options) {
    CLI::Option* const server =
        app.add_option("--server", options.server,
                       "The server to load; default: one of its own, on a new store, until the end")
            ->type_name("HOST:PORT");
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

void add_load_options(CLI::App& app, BenchOptions& options) {
    app.add_option("--metrics", options.shape.metrics, "Metrics a row")
        ->type_name("W")
        ->check(CLI::Range(1U, kSchemaMetricsMax))
        ->capture_default_str();
    app.add_option("--rows-per-frame", options.shape.rows_per_frame, "Rows a frame")
        ->type_name("N")
        ->check(CLI::Range(1U, kFrameRowsMax))
        ->capture_default_str();
    app.add_option("--values", options.values,
                   "f32: noise of a tenth as float32; f64: the same with all bits of a double")
        ->type_name("TYPE")
        ->check(CLI::IsMember({"f32", "f64"}))
        ->capture_default_str();
    app.add_option("--in-flight", options.in_flight,
                   "Frames a connection has unanswered at most; default: 8 MiB over all "
                   "connections, 2 to 16384 frames each")
        ->type_name("N")
        ->check(CLI::Range(size_t{1}, size_t{1} << 20U));
}

void add_writer_options(CLI::App& app, BenchOptions& options) {
    app.add_option("--runs", options.runs, "Runs a connection writes to, in turn")
        ->type_name("R")
        ->check(CLI::Range(1U, kRunsOpenPerConnectionMax))
        ->capture_default_str();
    app.add_option("--rate", options.rate,
                   "Points a second over all connections; default: as many as it takes")
        ->type_name("POINTS")
        ->check(CLI::PositiveNumber);
}

void add_common_options(CLI::App& app, BenchOptions& options) {
    app.add_option("--connections", options.connections, "Connections, a thread each")
        ->type_name("C")
        ->check(CLI::Range(1U, 1024U))
        ->capture_default_str();
    app.add_option("--seconds", options.seconds, "How long to measure")
        ->type_name("S")
        ->check(CLI::Range(0.001, 86400.0))
        ->capture_default_str();
    app.add_option("--warmup", options.warmup, "How long to do the same before")
        ->type_name("S")
        ->check(CLI::Range(0.0, 86400.0))
        ->capture_default_str();
    app.add_option("--seed", options.seed, "Of values and questions")
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--format", options.format, "table, or json: one object")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
}

struct Subcommand {
    CLI::App* app;
    Benchmark kind;
    std::shared_ptr<BenchOptions> options;
};

Subcommand add_ingest_bench(CLI::App& bench) {
    Subcommand made{bench.add_subcommand("ingest", "Rows in, as fast as they are made durable"),
                    Benchmark::kIngest, std::make_shared<BenchOptions>()};
    add_load_options(*made.app, *made.options);
    add_writer_options(*made.app, *made.options);
    add_common_options(*made.app, *made.options);
    add_server_options(*made.app, *made.options);
    add_examples(*made.app,
                 {"stepdb bench ingest --seconds 2",
                  "stepdb bench ingest --metrics 10 --rows-per-frame 1 --connections 4 --seconds 2",
                  "stepdb bench ingest --metrics 100 --values f64 --rate 1000000 --format json"});
    return made;
}

Subcommand add_query_bench(CLI::App& bench) {
    Subcommand made{bench.add_subcommand("query", "Charts of one series, and raw points"),
                    Benchmark::kQuery, std::make_shared<BenchOptions>()};
    made.options->shape.metrics = 10;
    made.options->shape.rows_per_frame = 500;
    CLI::Option* const series =
        made.app
            ->add_option("--series", made.options->series,
                         "What to ask for, such as 'train/loss @ gpt/run-17' of --server; default: "
                         "a metric of a run it fills")
            ->type_name("SELECTION");
    made.app->add_option("--points", made.options->points, "Rows of the run it fills, at least")
        ->type_name("N")
        ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40U))
        ->capture_default_str()
        ->excludes(series);
    CLI::Option* const settle = made.app->add_flag(
        "--settle", made.options->settle,
        "Start its own server anew after filling, so that it reads from segments");
    add_load_options(*made.app, *made.options);
    add_common_options(*made.app, *made.options);
    add_server_options(*made.app, *made.options);
    settle->excludes(made.app->get_option("--server"));
    series->needs(made.app->get_option("--server"));
    add_examples(*made.app, {"stepdb bench query --points 100000 --seconds 1",
                             "stepdb bench query --settle --seconds 1 --format json"});
    return made;
}

Subcommand add_mixed_bench(CLI::App& bench) {
    Subcommand made{bench.add_subcommand("mixed", "Rows in while charts of them are asked for"),
                    Benchmark::kMixed, std::make_shared<BenchOptions>()};
    made.app
        ->add_option("--charts", made.options->charts,
                     "Connections that ask for charts, one after the other")
        ->type_name("N")
        ->check(CLI::Range(1U, 1024U))
        ->capture_default_str();
    add_load_options(*made.app, *made.options);
    add_writer_options(*made.app, *made.options);
    add_common_options(*made.app, *made.options);
    add_server_options(*made.app, *made.options);
    add_examples(*made.app, {"stepdb bench mixed --rate 10000000 --seconds 2",
                             "stepdb bench mixed --charts 4 --seconds 2 --format json"});
    return made;
}

// What does not depend on a server.
Status check_benchmark(const BenchOptions& options) {
    TRY(check_id("project", options.project));
    LoadShape shape = options.shape;
    shape.is_float64 = options.values == "f64";
    TRY(bench_schema(shape));
    if (!options.memory.empty()) {
        TRY(parse_memory(options.memory));
    }
    if (!options.server.empty()) {
        TRY(parse_address(options.server));
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
                 {"stepdb bench ingest --metrics 1000 --rows-per-frame 16 --seconds 2",
                  "stepdb bench query --points 100000 --seconds 1",
                  "stepdb bench mixed --rate 10000000 --seconds 2", "stepdb bench ingest --help"},
                 "docs/benchmarks.md says what each figure means.");
    return {bench,
            [=]() -> Status {
                for (const Subcommand& command : kinds) {
                    if (command.app->parsed()) {
                        return run_benchmark(command.kind, *command.options);
                    }
                }
                return {};
            },
            [=]() -> Status {
                for (const Subcommand& command : kinds) {
                    if (command.app->parsed()) {
                        return check_benchmark(*command.options);
                    }
                }
                return {};
            }};
}

}  // namespace stepdb
