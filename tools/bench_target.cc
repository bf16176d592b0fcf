#include "tools/bench_target.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <cstdio>
#include <thread>

#include "engine/io/environment.h"
#include "tools/address.h"
#include "tools/command.h"
#include "tools/open_store.h"

namespace stepdb {

Result<std::unique_ptr<BenchTarget>> BenchTarget::open(const BenchOptions& options) {
    std::unique_ptr<BenchTarget> target(new BenchTarget(options));
    if (options.server.address.empty()) {
        TRY_ASSIGN(target->own_, OwnServer::create(options.directory, options.memory));
        TRY(target->own_->start());
    }
    target->prefix_ = random_id().to_hex().substr(0, 8);
    return target;
}

ServerChoice BenchTarget::server() const {
    ServerChoice server = options_.server;
    if (own_) {
        server.address = own_->address();
    }
    return server;
}

Result<std::unique_ptr<Client>> BenchTarget::connect_reader() const {
    return connect_to(server());
}

Result<std::unique_ptr<Client>> BenchTarget::connect_writer() const {
    return connect_to(server(), random_id());
}

Result<BenchContext> BenchTarget::describe(std::string_view benchmark) const {
    BenchContext context;
    context.benchmark = benchmark;
    context.version = STEPDB_VERSION;
    context.server = own_ ? "own" : options_.server.address;
    TRY_ASSIGN(const auto client, connect_reader());
    context.server_version = client->server().server;
    utsname system = {};
    uname(&system);
    context.kernel = fmt::format("{} {}", system.sysname, system.release);
    context.cores = std::thread::hardware_concurrency();
    context.seed = options_.seed;
    context.io_backend = context.file_system = "unknown";
    if (own_) {
        // What the server chose: the machine and the environment are the same.
        TRY_ASSIGN(const auto io, IoEnvironment::create());
        context.io_backend = io->backend();
        context.file_system = own_->file_system();
        TRY_ASSIGN(context.memory_limit_bytes, memory_budget(options_.memory));
    }
    return context;
}

Result<LoadOptions> BenchTarget::load_options(const Workload& workload) const {
    LoadOptions load;
    TRY_ASSIGN(load.client_options, writer_options(server()));
    load.connect = [this] { return connect_writer(); };
    load.project = options_.project;
    load.prefix = prefix_;
    load.workload = workload;
    load.seed = options_.seed;
    load.threads = options_.threads;
    load.in_flight = options_.in_flight;
    return load;
}

Status BenchTarget::ask(const std::string& text, const TakeBlock& take) const {
    TRY_ASSIGN(const auto client, connect_reader());
    std::vector<ResultColumn> columns;
    AnswerHandler handler;
    handler.on_columns = [&](const std::vector<ResultColumn>& those) { columns = those; };
    handler.on_block = [&](const ResultBlock& block) {
        take(columns, block);
        return true;
    };
    const Result<QueryEnd> end = client->query(text, handler);
    return end ? Status() : Status(end.error());
}

Result<SeriesExtent> BenchTarget::extent_of(const std::string& selection) const {
    SeriesExtent extent;
    const Status asked =
        ask(selection + " | buckets 1",
            [&](const std::vector<ResultColumn>& columns, const ResultBlock& block) {
                for (size_t at = 0; at < columns.size(); ++at) {
                    const std::string& name = columns[at].name;
                    if (name == "lo") {
                        extent.lo = block.column(at).doubles().front();
                    } else if (name == "hi") {
                        extent.hi = block.column(at).doubles().front();
                    } else if (columns[at].type == ColumnType::kUint64) {
                        for (const uint64_t count : block.column(at).uint64s()) {
                            extent.points += count;  // finite, NaN, +Inf and -Inf
                        }
                    }
                }
            });
    TRY(asked);
    return extent;
}

Result<std::optional<double>> BenchTarget::settled_bytes_per_point(uint64_t rows,
                                                                   uint32_t metrics) const {
    EngineOptions options;
    options.directory = own_->store();
    options.read_only = true;
    TRY_ASSIGN(const auto store, OpenStore::open(options));
    const uint64_t settled = rows - store->engine().recovery().rows_replayed;
    if (settled == 0) {
        return std::optional<double>();
    }
    const double points = static_cast<double>(settled) * metrics;
    return std::optional<double>(static_cast<double>(own_->settled_bytes()) / points);
}

TextSink bench_sink() {
    return [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); };
}

}  // namespace stepdb
