// `stepdb serve`: the server. The engine's loop, the net thread and the query threads, each with a
// loop of its own, work; the main thread waits for the signal to stop.
#include <fmt/format.h>
#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/large_buffer.h"
#include "engine/base/text.h"
#include "engine/block_cache.h"
#include "engine/io/descriptor_table.h"
#include "engine/io/prompt_thread.h"
#include "engine/model/memory_plan.h"
#include "engine/query_memory.h"
#include "net/engine_query_service.h"
#include "net/server.h"
#include "query/literals.h"
#include "tools/address.h"
#include "tools/command.h"
#include "tools/open_store.h"
#include "tools/output/format_cell.h"
#include "tools/serve_report.h"
#include "tools/server_log.h"
#include "tools/service_manager.h"
#include "tools/settings.h"
#include "tools/token_access.h"

namespace stepdb {

namespace {

// Each has a ring and some stack, and competes with those that take rows.
constexpr size_t kQueryThreadsMax = 64;

// What OpenSSL holds for a connection: 14 KiB for an idle one, measured over a thousand; twice that
// leaves room for those with a record under way.
constexpr size_t kTlsBytes = 28U << 10U;

// A long query leaves another thread for short ones. More than a few are a matter of choice: what
// queries compute with and keep for each other is the same, however many threads share it.
size_t default_query_threads() {
    return std::clamp<size_t>(std::thread::hardware_concurrency(), 2, 16);
}

struct ServeOptions {
    std::string data;
    std::string listen{kDefaultAddress};
    std::string http;  // empty: none
    std::string log_format{"text"};
    std::string log_level{"info"};
    std::string tls_certificate;
    std::string tls_key;
    size_t connections_per_address = 0;  // 0: half of all
    std::string memory;
    size_t query_threads = default_query_threads();
    std::string query_time{"10m"};
    std::string query_memory;  // empty: what one can have
    std::string query_points;  // empty: any number
    std::string query_buckets;
    std::string slow_query{"1s"};
    std::string config;
    Settings settings;  // what of all this was not said on the command line

    bool has_tls() const { return !tls_key.empty(); }
};

Result<Address> listen_address(const char* option, const std::string& text) {
    Result<Address> address = parse_address(text);
    if (!address) {
        return address.error().within(option);
    }
    if (address->tls) {
        return make_error(ErrorCode::kInvalidArgument,
                          "{} {}: write it without stepdbs://; --tls-cert and --tls-key make "
                          "the server speak TLS",
                          option, printable(text));
    }
    if (address->host == "localhost") {
        address->host = "127.0.0.1";
    }
    return address;
}

// Where it listens.
struct ServeAddresses {
    ServeAddresses() = default;

    Address native;
    std::optional<Address> http;

    bool are_loopback() const { return native.is_loopback() && (!http || http->is_loopback()); }
};

Result<ServeAddresses> serve_addresses(const ServeOptions& options) {
    ServeAddresses addresses;
    TRY_ASSIGN(addresses.native, listen_address("--listen", options.listen));
    if (!options.http.empty()) {
        TRY_ASSIGN(addresses.http, listen_address("--http", options.http));
    }
    return addresses;
}

// Whoever can reach a server without tokens may do everything.
Status check_reach(const ServeOptions& options, const ServeAddresses& addresses,
                   const TokenAccess& access) {
    if (addresses.are_loopback() || access.usable_tokens() != 0) {
        return {};
    }
    const bool is_native = !addresses.native.is_loopback();
    return make_error(ErrorCode::kInvalidArgument,
                      "{} {}: other machines may reach this address, and {} has no token that "
                      "is good, so everybody could read and write everything; make one by `stepdb "
                      "token create operator --admin --data {}`, or listen on 127.0.0.1:{}",
                      is_native ? "--listen" : "--http", is_native ? options.listen : options.http,
                      options.data, options.data,
                      is_native ? addresses.native.port : addresses.http->port);
}

Result<std::shared_ptr<TlsFiles>> tls_files(const ServeOptions& options) {
    if (options.tls_certificate.empty() != options.tls_key.empty()) {
        return Error(ErrorCode::kInvalidArgument,
                     "TLS takes both --tls-cert and --tls-key, the certificate and its key");
    }
    if (options.tls_key.empty()) {
        return std::shared_ptr<TlsFiles>();
    }
    return TlsFiles::open(options.tls_certificate, options.tls_key);
}

EngineOptions engine_options(const std::string& directory, const MemoryPlan& plan) {
    EngineOptions options;
    options.directory = directory;
    options.memory_blocks_bytes_max = plan.flush;
    options.tail_bytes_max = plan.tail;
    options.rows_bytes_max = plan.rows;
    options.resident_bytes_max = plan.resident;
    options.merge_bytes_max = plan.merge;
    return options;
}

// "off", or a duration, of which 0 is one too.
Result<std::optional<std::chrono::microseconds>> read_slow_query(const std::string& text) {
    if (text == "off") {
        return std::optional<std::chrono::microseconds>();
    }
    if (text == "0") {
        return std::optional(std::chrono::microseconds(0));
    }
    const Result<int64_t> duration = parse_duration(text);
    if (!duration) {
        return make_error(ErrorCode::kInvalidArgument,
                          "--slow-query {}: {}; write a duration such as 500ms or 2s, 0 for all "
                          "queries, or off",
                          printable(text), duration.error().message());
    }
    return std::optional(std::chrono::microseconds(*duration));
}

Result<std::chrono::microseconds> read_query_time(const std::string& text) {
    constexpr int64_t kMostUs = int64_t{365} * 24 * 3600 * 1'000'000;
    const Result<int64_t> time = parse_duration(text);
    if (!time) {
        return time.error().within("--query-time");
    }
    if (*time <= 0 || *time > kMostUs) {
        return make_error(ErrorCode::kInvalidArgument,
                          "--query-time {}: a query needs some time, and a year of it at most",
                          printable(text));
    }
    return std::chrono::microseconds(*time);
}

Result<size_t> read_query_memory(const std::string& text, const MemoryPlan& plan,
                                 const MemoryBudget& all) {
    const size_t most = query_memory_max(all);
    if (text.empty()) {
        return most;
    }
    const Result<uint64_t> bytes = parse_size(text);
    if (!bytes) {
        return bytes.error().within("--query-memory");
    }
    if (*bytes == 0 || *bytes > most) {
        return make_error(ErrorCode::kInvalidArgument,
                          "--query-memory {}: a query can have up to {} of the {} that all share "
                          "of --memory {}; ask for that at most, or give the server more --memory",
                          printable(text), format_size(most), format_size(all.bytes_max()),
                          format_size(plan.total));
    }
    return size_t{*bytes};
}

Status read_count(const char* option, const std::string& text, uint64_t& count) {
    if (text.empty()) {
        return {};
    }
    constexpr uint64_t kCountMax = uint64_t{1} << 53U;
    const Result<uint64_t> read = parse_count("a number", text, kCountMax);
    if (!read) {
        return read.error().within(option);
    }
    count = *read;
    return {};
}

Result<QueryLimits> query_limits(const ServeOptions& options, const MemoryPlan& plan) {
    QueryLimits limits;
    limits.memory = std::make_shared<MemoryBudget>(plan.query);
    TRY_ASSIGN(limits.memory_each_max,
               read_query_memory(options.query_memory, plan, *limits.memory));
    TRY(read_count("--query-points", options.query_points, limits.execution.points_max));
    TRY(read_count("--query-buckets", options.query_buckets, limits.execution.buckets_max));
    limits.cache = std::make_shared<BlockCache>(plan.cache);
    limits.rows_bytes_min = plan.rows / 8 * 7;
    limits.pinned_bytes_max = plan.pinned;
    TRY_ASSIGN(limits.time_max, read_query_time(options.query_time));
    TRY_ASSIGN(limits.slow_min, read_slow_query(options.slow_query));
    return limits;
}

// Threads give back memory that others took, and large buffers come and go: with an arena a thread,
// or with freed buffers kept, the process would grow well beyond what is counted.
void tame_allocator() {
    // NOLINTBEGIN(concurrency-mt-unsafe): before any thread is started
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
    // NOLINTEND(concurrency-mt-unsafe)
}

// The threads that compute queries, with their files.
class QueryThreads {
  public:
    static Result<QueryThreads> start(size_t count) {
        QueryThreads threads;
        for (size_t at = 0; at < count; ++at) {
            TRY_ASSIGN(auto io, IoEnvironment::create());
            io->name_thread("stepdb-query");
            threads.io_.push_back(std::move(io));
        }
        return threads;
    }

    std::vector<QuerySide> sides() const {
        std::vector<QuerySide> sides;
        sides.reserve(io_.size());
        for (const auto& io : io_) {
            sides.emplace_back(io->loop(), io->files());
        }
        return sides;
    }

  private:
    std::vector<std::unique_ptr<IoEnvironment>> io_;
};

ServerOptions server_options(const ServeOptions& given, const ServeAddresses& addresses,
                             const MemoryPlan& plan) {
    ServerOptions options;
    options.host = addresses.native.host;
    options.port = addresses.native.port;
    options.name = "stepdb " STEPDB_VERSION;
    options.version = STEPDB_VERSION;
    options.directory = given.data;
    if (addresses.http) {
        options.http.emplace();
        options.http->host = addresses.http->host;
        options.http->port = addresses.http->port;
    }
    options.receive_bytes_max = plan.receive;
    options.send_bytes_max = plan.results;
    options.session.receive_bytes_max =
        std::min<size_t>(options.session.receive_bytes_max, plan.receive / 2);
    // Each may hold the smallest receive buffer.
    const size_t each = FrameStream::kReadBytesMin + (given.has_tls() ? kTlsBytes : 0);
    options.connections_max = std::min<size_t>(options.connections_max, plan.receive / each);
    options.address_connections_max = given.connections_per_address != 0
                                          ? given.connections_per_address
                                          : std::max<size_t>(options.connections_max / 2, 1);
    return options;
}

// Both signals are blocked in all threads.
void wait_for_stop_signal(const TellEvent& tell) {
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    int signal = 0;
    sigwait(&stops, &signal);
    LogEvent stopping(LogLevel::kInfo, "server_stopping", "what is in flight is finished");
    tell(stopping.text("signal", signal == SIGINT ? "SIGINT" : "SIGTERM"));
    tell_service_manager("STOPPING=1", tell);
    // A second one ends the process at once; everything acknowledged is safe.
    pthread_sigmask(SIG_UNBLOCK, &stops, nullptr);
}

void block_signals() {
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stops, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

// Beside those of connections, of which half are for files of the store.
constexpr size_t kOtherDescriptors = 4096;

void prepare_descriptors(size_t connections, const TellEvent& tell) {
    const size_t there = make_room_for_descriptors(connections + kOtherDescriptors);
    if (there < connections + kOtherDescriptors / 2) {
        LogEvent few(
            LogLevel::kWarning, "few_descriptors",
            "connections are turned away before their limit; raise the limit of open files "
            "(ulimit -n, LimitNOFILE=)");
        tell(few.count("limit", there).count("connections_max", connections));
    }
}

// What scripts wait for: once, when it is ready.
void print_listening(const Server& server, const TellEvent& tell) {
    const std::string native = format_address(server.host(), server.port());
    LogEvent listening(LogLevel::kInfo, "listening");
    listening.text("address", native);
    fmt::print("listening on {}\n", native);
    if (server.http_port() != 0) {
        const std::string http = format_address(server.http_host(), server.http_port());
        listening.text("http", http);
        fmt::print("http on {}\n", http);
    }
    std::fflush(stdout);
    tell(listening);
    tell_service_manager("READY=1", tell);
}

Status serve(const ServeOptions& options) {
    TRY_ASSIGN(const ServeAddresses addresses, serve_addresses(options));
    TRY_ASSIGN(const LogStyle log_format, read_log_format(options.log_format));
    TRY_ASSIGN(const LogLevel log_level, read_log_level(options.log_level));
    ServerLog log(log_format, log_level);
    const TellEvent tell = log.teller();
    options.settings.tell(tell);
    TRY_ASSIGN(const uint64_t memory, memory_budget(options.memory));
    tame_allocator();
    const MemoryPlan plan = MemoryPlan::of(memory);
    TRY_ASSIGN(QueryLimits limits, query_limits(options, plan));
    limits.tell_slow = tell;
    LargeBuffer::set_limits(plan.held, plan.kept);
    block_signals();
    const SystemClock clock;
    TokenAccess access(options.data, clock, tell);
    TRY(access.open());
    TRY(check_reach(options, addresses, access));
    ServerOptions serving = server_options(options, addresses, plan);
    TRY_ASSIGN(serving.tls, tls_files(options));
    serving.tell = tell;
    if (serving.http) {
        serving.http->tls = serving.tls;
    }
    serving.access = &access;
    prepare_descriptors(serving.connections_max, tell);
    access.set_connections_max(serving.address_connections_max);
    // The port first: it is the quicker one to refuse.
    TRY_ASSIGN(const auto server, Server::listen(serving));
    EngineOptions engine = engine_options(options.data, plan);
    engine.tell = tell;
    TRY_ASSIGN(const auto store, OpenStore::open(std::move(engine)));
    TRY_ASSIGN(const QueryThreads query_threads, QueryThreads::start(options.query_threads));
    tell_of_opened(tell, *store, options.data, memory);
    AccessSummary summary;
    summary.needs_token = access.asks_for_tokens();
    summary.usable_tokens = access.usable_tokens();
    summary.has_tls = options.has_tls();
    summary.is_loopback = addresses.are_loopback();
    tell_of_access(tell, summary);
    Loop& engine_loop = store->io().loop();
    {
        QueryEnvironment environment(engine_loop, query_threads.sides(), server->executor(),
                                     store->io().clock());
        environment.call_after = [&](std::chrono::microseconds after, std::function<void()> call) {
            server->call_after(after, std::move(call));
        };
        EngineQueryService queries(store->engine(), environment, std::move(limits));
        std::thread net([&] {
            static_cast<void>(::pthread_setname_np(::pthread_self(), "stepdb-net"));
            make_thread_prompt();
            server->run(store->engine(), engine_loop, queries);
        });
        print_listening(*server, tell);
        wait_for_stop_signal(tell);
        server->stop();
        net.join();
    }
    const Status closed = store->close();
    if (!closed) {
        return closed.error().within(fmt::format("closing {}", options.data));
    }
    tell(LogEvent(LogLevel::kInfo, "server_stopped"));
    return {};
}

void add_query_limits(CLI::App& app, ServeOptions& options) {
    app.add_option("--query-threads", options.query_threads,
                   "How many threads compute queries; default: as many as the machine has cores, "
                   "from 2 to 16")
        ->type_name("N")
        ->check(CLI::Range(size_t{1}, kQueryThreadsMax));
    app.add_option("--query-time", options.query_time, "How long a query may take, such as 30s")
        ->type_name("DURATION")
        ->capture_default_str();
    app.add_option("--query-memory", options.query_memory,
                   "How much memory one query may compute with; default, and at most: three "
                   "quarters of what all share, which `stepdb stats` tells")
        ->type_name("SIZE");
    app.add_option("--query-points", options.query_points,
                   "How many points a query may read, as `explain` counts values decoded, such as "
                   "100M; default: any number")
        ->type_name("N");
    app.add_option("--query-buckets", options.query_buckets,
                   "How many buckets a query may have, those of all its series together; default: "
                   "any number")
        ->type_name("N");
    app.add_option("--slow-query", options.slow_query,
                   "Log each query that takes so long or longer: what it asked and "
                   "what it took; 0: of all, or off")
        ->type_name("DURATION")
        ->capture_default_str();
}

void add_listeners(CLI::App& app, ServeOptions& options) {
    app.add_option("--listen", options.listen,
                   "The address to listen on; one that other machines reach takes a token "
                   "(`stepdb token`); port 0 picks a free one")
        ->type_name("HOST:PORT")
        ->capture_default_str();
    app.add_option("--http", options.http,
                   "Answer HTTP there, too: a page for browsers, queries and rows as JSON "
                   "(docs/http.md), /metrics for Prometheus; the same rules as for --listen; "
                   "default: not at all")
        ->type_name("HOST:PORT");
    app.add_option("--tls-cert", options.tls_certificate,
                   "Speak TLS: a file with the server's certificate, then those that lead to its "
                   "authority (PEM)")
        ->type_name("FILE");
    app.add_option("--tls-key", options.tls_key, "The certificate's key (PEM)")->type_name("FILE");
    app.add_option("--connections-per-address", options.connections_per_address,
                   "How many connections one address may have; default: half of all")
        ->type_name("N")
        ->check(CLI::PositiveNumber);
}

// Before anything is touched.
Status check_options(const ServeOptions& options) {
    if (options.data.empty()) {
        return invalid_argument("--data DIR is missing");
    }
    TRY_ASSIGN(const ServeAddresses addresses, serve_addresses(options));
    TRY(read_log_format(options.log_format));
    TRY(read_log_level(options.log_level));
    const SystemClock clock;
    TokenAccess access(options.data, clock, [](const LogEvent&) {});
    TRY(access.open());
    TRY(check_reach(options, addresses, access));
    TRY(tls_files(options));
    TRY_ASSIGN(const uint64_t memory, memory_budget(options.memory));
    TRY(query_limits(options, MemoryPlan::of(memory)));
    return {};
}

}  // namespace

Command add_serve(CLI::App& stepdb) {
    auto options = std::make_shared<ServeOptions>();
    CLI::App* app = stepdb.add_subcommand("serve", "Run the server");
    // Not CLI11's required(): a file or the environment may say it.
    app->add_option("--data", options->data,
                    "The store's directory; made if it does not exist (required)")
        ->type_name("DIR");
    add_listeners(*app, *options);
    app->add_option("--memory", options->memory,
                    "How much memory to get by with, at least 256M; default: a quarter of what the "
                    "machine, or the container, has")
        ->type_name("SIZE");
    add_query_limits(*app, *options);
    app->add_option("--log-format", options->log_format,
                    "How the log on stderr is written: text, or json, an object a line")
        ->type_name("FORMAT")
        ->capture_default_str();
    app->add_option("--log-level", options->log_level,
                    "What the log tells at least: debug, info, warning or error")
        ->type_name("LEVEL")
        ->capture_default_str();
    CLI::Option* config =
        app->add_option("--config", options->config,
                        "A file of these options, a line each, such as query-time = \"30s\"; what "
                        "is not in it either is as said here (docs/operating.md)")
            ->type_name("FILE");
    add_examples(
        *app,
        {"stepdb serve --data ./store",
         "stepdb serve --data ./store --listen 127.0.0.1:0 --memory 512M",
         "stepdb serve --data ./store --http 127.0.0.1:0 --log-format json",
         "stepdb serve --data ./store --query-time 30s --query-points 1B --slow-query 500ms"},
        "Prints `listening on HOST:PORT` once it is ready, then, with --http, `http on "
        "HOST:PORT`.\nSIGTERM and SIGINT finish what is in\nflight, sync, and exit 0.\n\n"
        "What the command line does not say, the environment may, --query-time as\n"
        "STEPDB_SERVE_QUERY_TIME, and then the file of --config.");
    return {app, [=] { return serve(*options); },
            [=]() -> Status {
                TRY_ASSIGN(options->settings, Settings::read(*app, *config, "STEPDB_SERVE_"));
                const Status checked = check_options(*options);
                return checked ? checked : options->settings.with_sources(checked.error());
            }};
}

}  // namespace stepdb
