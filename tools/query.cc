// `stepdb query`: one query, to a server or to a store of one's own.
#include <memory>

#include "tools/ask.h"
#include "tools/command.h"

namespace stepdb {

namespace {

struct QueryOptions {
    TypedQuery query;
    Asked asked;
    bool chart = false;
    PrintOptions print;
};

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
    add_examples(*app,
                 {"stepdb query 'train/loss @ demo/tiny'",
                  "stepdb query 'train/loss, val/loss @ demo/* | steps 100.. | buckets 200'",
                  "stepdb query '** @ demo/tiny | last 1' --format csv",
                  "stepdb query 'layers/*/grad_norm @ demo/tiny | buckets 50' --chart",
                  "stepdb query 'train/loss @ demo/tiny | ema 0.99' --chart",
                  "stepdb query 'runs demo/*'", "stepdb query 'metrics ** @ demo/tiny'",
                  "stepdb query 'train/loss @ $run | last $n' --param run=demo/tiny --param n=3",
                  "stepdb query 'train/loss @ demo/tiny' --data ./store"});
    return {app,
            [=]() -> Status {
                TRY_ASSIGN(options->print.format, read_output_format(options->asked.format));
                options->print.has_format = format->count() > 0;
                if (chart->count() > 0) {
                    options->print.chart = options->chart;
                }
                TRY_ASSIGN(const QueryText query, read_query(options->query));
                return ask(options->asked, query, options->print);
            },
            [=]() -> Status {
                TRY(check_asked(options->asked));
                TRY(read_query(options->query));
                if (chart->count() > 0 && options->chart && format->count() > 0) {
                    return Error(ErrorCode::kInvalidArgument,
                                 "--chart draws instead of printing in a --format; give one of "
                                 "them");
                }
                return {};
            }};
}

}  // namespace stepdb
