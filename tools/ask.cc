#include "tools/ask.h"

#include <filesystem>
#include <future>
#include <memory>

#include "net/engine_query_service.h"
#include "tools/address.h"
#include "tools/open_store.h"

namespace stepdb {

namespace {

// Blocks asked for ahead of printing.
constexpr uint32_t kBlocksAhead = 4;

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

Status ask_store(const std::string& directory, const std::string& query,
                 const PrintOptions& print) {
    TRY_ASSIGN(const auto store, open_to_read(directory));
    Loop& loop = store->io().loop();
    Status outcome;
    {
        const QueryEnvironment environment(loop, loop, loop, store->io().files(),
                                           store->io().clock());
        EngineQueryService service(store->engine(), environment);
        LocalSink sink(print);
        loop.post([&] { sink.begin(service, query); });
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

Status ask_server(const std::string& server, const std::string& query, const PrintOptions& print) {
    TRY_ASSIGN(const auto client, connect_to(server));
    AnswerPrinter printer(print);
    AnswerHandler handler;
    handler.on_columns = [&](const std::vector<ResultColumn>& columns) {
        printer.columns(columns);
    };
    handler.on_block = [&](const ResultBlock& block) {
        printer.block(block);
        return true;
    };
    TRY_ASSIGN(const QueryEnd end, client->query(query, handler));
    return printer.end(end);
}

}  // namespace

CLI::Option* add_asked_options(CLI::App& app, Asked& asked) {
    CLI::Option* server = add_server_option(app, asked.server);
    app.add_option("--data", asked.data,
                   "Open the store in this directory, read-only and without a server")
        ->type_name("DIR")
        ->excludes(server);
    return app
        .add_option("--format", asked.format,
                    "How to print: table, csv, json (one array) or jsonl (an object a line)")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "csv", "json", "jsonl"}))
        ->capture_default_str();
}

Status check_asked(const Asked& asked) {
    if (asked.data.empty()) {
        TRY(parse_address(asked.server));
    }
    return {};
}

Status ask(const Asked& asked, const std::string& query, const PrintOptions& print) {
    return asked.data.empty() ? ask_server(asked.server, query, print)
                              : ask_store(asked.data, query, print);
}

}  // namespace stepdb
