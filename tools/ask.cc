#include "tools/ask.h"

#include <future>
#include <memory>

#include "engine/base/text.h"
#include "net/engine_query_service.h"
#include "tools/address.h"
#include "tools/open_store.h"

namespace stepdb {

namespace {

// Blocks asked for ahead of printing.
constexpr uint32_t kBlocksAhead = 4;

// Hands on an answer that comes on the store's loop, and tells the main thread of its end.
class LocalSink : public ResultSink {
  public:
    explicit LocalSink(const AnswerHandler& handler) : handler_(handler) {}

    // On the loop, as are the calls of the sink.
    void begin(QueryService& service, const QueryText& query) {
        query_ = service.start(query, *this);
        query_->want(kBlocksAhead);
    }
    void forget() { query_.reset(); }
    Result<QueryEnd> wait() { return ended_.get_future().get(); }

    void on_columns(std::vector<ResultColumn> columns) override {
        if (handler_.on_columns) {
            handler_.on_columns(columns);
        }
    }
    void on_block(ResultBlock block) override {
        if (is_stopped_) {
            return;
        }
        const bool goes_on = (!handler_.on_block || handler_.on_block(block)) &&
                             !(handler_.should_stop && handler_.should_stop());
        if (goes_on) {
            query_->want(1);
        } else {
            is_stopped_ = true;
            ended_.set_value(Error(ErrorCode::kCancelled, "cancelled as asked"));
        }
    }
    void on_blocks_returned(uint32_t blocks) override { returned_ += blocks; }
    void on_resumed() override { query_->want(std::exchange(returned_, 0)); }
    void on_end(QueryEnd end) override {
        if (!is_stopped_) {
            ended_.set_value(std::move(end));
        }
    }
    void on_error(Error error) override {
        if (!is_stopped_) {
            ended_.set_value(std::move(error));
        }
    }

  private:
    const AnswerHandler& handler_;
    std::unique_ptr<RunningQuery> query_;
    bool is_stopped_ = false;
    uint32_t returned_ = 0;  // blocks, until it goes on
    std::promise<Result<QueryEnd>> ended_;
};

Result<std::unique_ptr<OpenStore>> open_to_read(const std::string& directory) {
    EngineOptions engine;
    engine.directory = directory;
    engine.read_only = true;
    return OpenStore::open_existing(std::move(engine));
}

class StoreAsker final : public Asker {
  public:
    explicit StoreAsker(std::unique_ptr<OpenStore> store)
        : store_(std::move(store)),
          environment_(store_->io().loop(), store_->io().loop(), store_->io().loop(),
                       store_->io().files(), store_->io().clock()),
          service_(std::make_unique<EngineQueryService>(store_->engine(), environment_, limits())) {
    }

    Result<QueryEnd> ask(const QueryText& query, const AnswerHandler& handler) override {
        Loop& loop = store_->io().loop();
        LocalSink sink(handler);
        loop.post([&] { sink.begin(*service_, query); });
        Result<QueryEnd> outcome = sink.wait();
        std::promise<void> forgotten;
        loop.post([&] {
            sink.forget();
            forgotten.set_value();
        });
        forgotten.get_future().wait();
        return outcome;
    }

    Status watch(const QueryText& /*query*/, const UpdateHandler& /*handler*/) override {
        return Error(
            ErrorCode::kInvalidArgument,
            "to watch a query takes a server: nothing changes in a store that --data opens");
    }

    Status close() override {
        service_.reset();
        return store_->close();
    }

  private:
    static QueryLimits limits() {
        constexpr size_t kCacheBytes = 64U << 20U;
        QueryLimits limits;
        limits.cache = std::make_shared<BlockCache>(kCacheBytes);
        return limits;
    }

    std::unique_ptr<OpenStore> store_;
    QueryEnvironment environment_;
    std::unique_ptr<EngineQueryService> service_;
};

class ServerAsker final : public Asker {
  public:
    ServerAsker(ServerChoice server, std::unique_ptr<Client> client)
        : server_(std::move(server)), client_(std::move(client)) {}

    // A connection that was lost is made again by the next query.
    Result<QueryEnd> ask(const QueryText& query, const AnswerHandler& handler) override {
        TRY(connect());
        Result<QueryEnd> end = client_->query(query.text, handler, query.parameters);
        if (!end) {
            let_go_after(end.error());
        }
        return end;
    }

    Status watch(const QueryText& query, const UpdateHandler& handler) override {
        TRY(connect());
        Status ended = client_->watch(query.text, handler, query.parameters);
        if (!ended) {
            let_go_after(ended.error());
        }
        return ended;
    }

    Status close() override {
        client_.reset();
        return {};
    }

  private:
    Status connect() {
        if (client_ == nullptr) {
            TRY_ASSIGN(client_, connect_to(server_));
        }
        return {};
    }
    void let_go_after(const Error& error) {
        // A token that was revoked may have been replaced by now.
        if (error.code() == ErrorCode::kUnavailable ||
            error.code() == ErrorCode::kPermissionDenied) {
            client_.reset();
        }
    }

    ServerChoice server_;
    std::unique_ptr<Client> client_;
};

}  // namespace

void add_query_options(CLI::App& app, TypedQuery& query, const std::string& described) {
    app.add_option("TEXT", query.text, described)->type_name("TEXT")->required();
    app.add_option("--param", query.parameters, "What $NAME in the query stands for; once for each")
        ->type_name("NAME=VALUE")
        ->expected(1)
        ->take_all();
}

Result<QueryText> read_query(const TypedQuery& query) {
    QueryText read(query.text);
    for (const std::string& parameter : query.parameters) {
        const size_t equals = parameter.find('=');
        if (equals == std::string::npos) {
            return make_error(ErrorCode::kInvalidArgument,
                              "--param takes NAME=VALUE, as in --param lr=3e-4; got '{}'",
                              printable(parameter));
        }
        TRY(read.parameters.add(std::string_view(parameter).substr(0, equals),
                                std::string_view(parameter).substr(equals + 1)));
    }
    return read;
}

void add_source_options(CLI::App& app, Asked& asked) {
    CLI::Option* server = add_server_option(app, asked.server);
    app.add_option("--data", asked.data,
                   "Open the store in this directory, read-only and without a server")
        ->type_name("DIR")
        ->excludes(server);
}

CLI::Option* add_asked_options(CLI::App& app, Asked& asked) {
    add_source_options(app, asked);
    return app
        .add_option("--format", asked.format,
                    "How to print: table, csv, json (one array) or jsonl (an object a line)")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "csv", "json", "jsonl"}))
        ->capture_default_str();
}

Status check_asked(const Asked& asked) {
    if (asked.data.empty()) {
        TRY(check_server(asked.server));
    }
    return {};
}

Result<std::unique_ptr<Asker>> Asker::open(const Asked& asked) {
    if (asked.data.empty()) {
        TRY_ASSIGN(auto client, connect_to(asked.server));
        return std::unique_ptr<Asker>(
            std::make_unique<ServerAsker>(asked.server, std::move(client)));
    }
    TRY_ASSIGN(auto store, open_to_read(asked.data));
    return std::unique_ptr<Asker>(std::make_unique<StoreAsker>(std::move(store)));
}

Status ask_and_print(Asker& asker, const QueryText& query, AnswerPrinter& printer,
                     const std::function<bool()>& stop) {
    AnswerHandler handler;
    handler.on_columns = [&](const std::vector<ResultColumn>& columns) {
        printer.columns(columns);
    };
    handler.on_block = [&](const ResultBlock& block) {
        printer.block(block);
        return true;
    };
    handler.should_stop = stop;
    TRY_ASSIGN(const QueryEnd end, asker.ask(query, handler));
    return printer.end(end);
}

Status ask(const Asked& asked, const QueryText& query, const PrintOptions& print) {
    TRY_ASSIGN(const auto asker, Asker::open(asked));
    AnswerPrinter printer(print, query);
    Status outcome = ask_and_print(*asker, query, printer);
    TRY(asker->close());
    return outcome;
}

}  // namespace stepdb
