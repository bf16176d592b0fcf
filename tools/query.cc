// `stepdb query`: one query, to a server or to a store of one's own.
#include <fmt/format.h>

#include <filesystem>
#include <future>
#include <memory>

#include "net/engine_query_service.h"
#include "tools/address.h"
#include "tools/answer_printer.h"
#include "tools/command.h"
#include "tools/open_store.h"

namespace stepdb {

namespace {

// Blocks asked for ahead of printing.
constexpr uint32_t kBlocksAhead = 4;

struct QueryOptions {
    std::string text;
    std::string server;
    std::string data;
    std::string format = "table";
    bool chart = false;
    PrintOptions print;
};

// Prints an answer that comes on the store's loop, and tells the main thread of its end.
class LocalSink : public ResultSink {
  public:
    explicit LocalSink(PrintOptions options) : printer_(options) {}

    // On the loop, as are the calls of the sink.
    void begin(QueryService& service, const std::string& text) {
        query_ = service.start(text, *this);
        query_->want(kBlocksAhead);
    }
    void forget() { query_.reset(); }
    Status wait() { return ended_.get_future().get(); }

    void on_columns(std::vector<ResultColumn> columns) override { printer_.columns(columns); }
    void on_block(ResultBlock block) override {
        printer_.block(block);
        query_->want(1);
    }
    void on_end(QueryEnd end) override { ended_.set_value(printer_.end(end)); }
    void on_error(Error error) override { ended_.set_value(std::move(error)); }

  private:
    AnswerPrinter printer_;
    std::unique_ptr<RunningQuery> query_;
    std::promise<Status> ended_;
};

Result<std::unique_ptr<OpenStore>> open_to_read(const std::string& directory) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(directory, ignored)) {
        return make_error(ErrorCode::kNotFound,
                          "there is no directory {}; --data wants that of a store, as "
                          "`stepdb serve --data` makes it",
                          directory);
    }
    EngineOptions engine;
    engine.directory = directory;
    engine.create_if_missing = false;
    engine.read_only = true;
    auto store = OpenStore::open(std::move(engine));
    if (!store && store.error().code() == ErrorCode::kFailedPrecondition) {
        return make_error(ErrorCode::kFailedPrecondition,
                          "{}; if it is a server, ask it by --server", store.error().message());
    }
    return store;
}

Status query_store(const QueryOptions& options) {
    TRY_ASSIGN(const auto store, open_to_read(options.data));
    Loop& loop = store->io().loop();
    Status outcome;
    {
        const QueryEnvironment environment(loop, loop, loop, store->io().files(),
                                           store->io().clock());
        EngineQueryService service(store->engine(), environment);
        LocalSink sink(options.print);
        loop.post([&] { sink.begin(service, options.text); });
        outcome = sink.wait();
        std::promise<void> forgotten;
        loop.post([&] {
            sink.forget();
            forgotten.set_value();
        });
        forgotten.get_future().wait();
    }
    TRY(store->close());
    return outcome;
}

Status query_server(const QueryOptions& options) {
    TRY_ASSIGN(const auto client, connect_to(options.server));
    AnswerPrinter printer(options.print);
    AnswerHandler handler;
    handler.on_columns = [&](const std::vector<ResultColumn>& columns) {
        printer.columns(columns);
    };
    handler.on_block = [&](const ResultBlock& block) {
        printer.block(block);
        return true;
    };
    TRY_ASSIGN(const QueryEnd end, client->query(options.text, handler));
    return printer.end(end);
}

}  // namespace

Command add_query(CLI::App& stepdb) {
    auto options = std::make_shared<QueryOptions>();
    CLI::App* app = stepdb.add_subcommand("query", "Ask one query and print the answer");
    app->add_option("TEXT", options->text, "The query: METRICS @ RUNS | STAGE | ...")
        ->type_name("TEXT")
        ->required();
    CLI::Option* server = add_server_option(*app, options->server);
    app->add_option("--data", options->data,
                    "Open the store in this directory, read-only and without a server")
        ->type_name("DIR")
        ->excludes(server);
    CLI::Option* format = app->add_option("--format", options->format,
                                          "How to print: table, csv, json (one array) or jsonl "
                                          "(an object a line)")
                              ->type_name("FORMAT")
                              ->check(CLI::IsMember({"table", "csv", "json", "jsonl"}))
                              ->capture_default_str();
    CLI::Option* chart = app->add_flag("--chart,!--no-chart", options->chart,
                                       "Draw an answer in buckets as a chart, or not; the default "
                                       "is to draw on a terminal if no --format is given");
    add_examples(*app, {"stepdb query 'train/loss @ demo/tiny'",
                        "stepdb query 'train/loss, val/loss @ demo/* | steps 100.. | buckets 200'",
                        "stepdb query '** @ demo/tiny | last 1' --format csv",
                        "stepdb query 'layers/*/grad_norm @ demo/tiny | buckets 50' --chart",
                        "stepdb query 'runs demo/*'", "stepdb query 'metrics ** @ demo/tiny'",
                        "stepdb query 'train/loss @ demo/tiny' --data ./store"});
    return {app,
            [=]() -> Status {
                TRY_ASSIGN(options->print.format, read_output_format(options->format));
                options->print.has_format = format->count() > 0;
                if (chart->count() > 0) {
                    options->print.chart = options->chart;
                }
                return options->data.empty() ? query_server(*options) : query_store(*options);
            },
            [=]() -> Status {
                if (options->data.empty()) {
                    TRY(parse_address(options->server));
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
