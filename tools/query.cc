// `stepdb query`: one query, to a server or to a store of one's own.
#include <memory>

#include "tools/ask.h"
#include "tools/bench/measured.h"
#include "tools/command.h"
#include "tools/update_printer.h"

namespace stepdb {

namespace {

struct QueryOptions {
    TypedQuery query;
    Asked asked;
    bool chart = false;
    bool watch = false;
    PrintOptions print;
};

Status watch(const QueryOptions& options, const QueryText& query) {
    TRY_ASSIGN(const auto printer, UpdatePrinter::create(options.print, query));
    TRY_ASSIGN(const auto asker, Asker::open(options.asked));
    UpdateHandler handler;
    handler.on_update = [&](const auto& columns, const auto& blocks, const ResultUpdate& update) {
        return printer->update(columns, blocks, update);
    };
    handler.should_stop = is_interrupted;
    catch_interruption();
    Status watched = asker->watch(query, handler);
    TRY(asker->close());
    return watched;
}

}  // namespace

Command add_query(CLI::App& stepdb) {
    auto options = std::make_shared<QueryOptions>();
    CLI::App* app = stepdb.add_subcommand("query", "Ask one query and print the answer");
    add_query_options(*app, options->query, "The query: METRICS @ RUNS | STAGE | ...");
    CLI::Option* format = add_asked_options(*app, options->asked);
    CLI::Option* chart = app->add_flag("--chart,!--no-chart", options->chart,
                                       "Draw buckets or points as a chart, `pivot x` as a heat "
                                       "map, or nothing; the default is to draw buckets on a "
                                       "terminal if no --format is given");
    app->add_flag(
        "--watch", options->watch,
        "Go on until Ctrl-C: print the answer again whenever it changes, on a terminal in "
        "place of the one before; with --format jsonl or csv, and in a pipe, a row for "
        "each that changes, with what it is: `new`, `changed`, `gone`, or `reset`, "
        "behind which the answer begins anew");
    add_examples(*app,
                 {"stepdb query 'train/loss @ demo/tiny'",
                  "stepdb query 'train/loss, val/loss @ demo/* | steps 100.. | buckets 200'",
                  "stepdb query '** @ demo/tiny | last 1' --format csv",
                  "stepdb query 'layers/*/grad_norm @ demo/tiny | buckets 50' --chart",
                  "stepdb query 'train/loss @ demo/tiny | ema 0.99' --chart",
                  "stepdb query 'runs demo/*'", "stepdb query 'metrics ** @ demo/tiny'",
                  "stepdb query 'train/loss @ $run | last $n' --param run=demo/tiny --param n=3",
                  "stepdb query 'train/loss @ demo/tiny' --data ./store"},
                 "A chart that follows a training until Ctrl-C:\n"
                 "  stepdb query 'train/loss @ demo/tiny | buckets 100' --watch");
    return {app,
            [=]() -> Status {
                TRY_ASSIGN(options->print.format, read_output_format(options->asked.format));
                options->print.has_format = format->count() > 0;
                if (chart->count() > 0) {
                    options->print.chart = options->chart;
                }
                TRY_ASSIGN(const QueryText query, read_query(options->query));
                return options->watch ? watch(*options, query)
                                      : ask(options->asked, query, options->print);
            },
            [=]() -> Status {
                TRY(check_asked(options->asked));
                TRY(read_query(options->query));
                if (options->watch && !options->asked.data.empty()) {
                    return Error(ErrorCode::kInvalidArgument,
                                 "--watch needs a server: nothing changes in a store that --data "
                                 "opens");
                }
                if (chart->count() > 0 && options->chart && format->count() > 0) {
                    return Error(ErrorCode::kInvalidArgument,
                                 "--chart draws instead of printing in a --format; give one of "
                                 "them");
                }
                return {};
            }};
}

}  // namespace stepdb
