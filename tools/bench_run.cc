#include "tools/bench_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <thread>

#include "engine/io/environment.h"
#include "tools/bench/chart_asker.h"
#include "tools/bench/figures.h"
#include "tools/bench/load_writer.h"
#include "tools/bench/own_server.h"
#include "tools/command.h"
#include "tools/open_store.h"

namespace stepdb {

namespace {

// Sent and not acknowledged, over all connections, if nothing else is asked for: enough for four
// log groups in flight and as much on the way.
constexpr size_t kInFlightBytes = 8U << 20U;
constexpr size_t kInFlightFramesMax = 16384;
// Prepared frames over all connections: several times what a tail holds, and little enough that
// the pools of many connections fit.
constexpr size_t kPoolBytes = 32U << 20U;
constexpr double kFillSecondsMax = 3600;

using Work = std::function<Status()>;

// Each on a thread of its own. The first error there was.
Status run_together(const std::vector<Work>& all) {
    std::vector<Status> outcomes(all.size());
    std::vector<std::thread> threads;
    for (size_t at = 0; at < all.size(); ++at) {
        threads.emplace_back([&, at] { outcomes[at] = all[at](); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (const Status& outcome : outcomes) {
        TRY(outcome);
    }
    if (is_interrupted()) {
        return Error(ErrorCode::kCancelled, "interrupted");
    }
    return {};
}

MeasuredWindow window_from_now(double warmup, double seconds) {
    const auto after = [](double wait) {
        return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
            std::chrono::duration<double>(wait));
    };
    MeasuredWindow window;
    window.begin = std::chrono::steady_clock::now() + after(warmup);
    window.end = window.begin + after(seconds);
    return window;
}

// What one series is: its range of steps, and how many points it has.
struct SeriesExtent {
    double lo = 0;
    double hi = 0;
    uint64_t points = 0;
};

class Bench {
  public:
    Bench(Benchmark kind, const BenchOptions& options) : kind_(kind), options_(options) {}

    Status run() {
        options_.shape.is_float64 = options_.values == "f64";
        catch_interruption();
        if (options_.server.empty()) {
            TRY_ASSIGN(own_, OwnServer::create(options_.directory, options_.memory));
            TRY(own_->start());
            TRY_ASSIGN(cpu_seconds_before_, own_->cpu_seconds_now());
        }
        prefix_ = random_id().to_hex().substr(0, 8);
        TRY(describe());
        switch (kind_) {
            case Benchmark::kIngest:
            case Benchmark::kMixed:
                TRY(load());
                break;
            case Benchmark::kQuery:
                TRY(ask());
                break;
        }
        TRY(add_cost());
        print();
        return {};
    }

  private:
    std::string address() const { return own_ ? own_->address() : options_.server; }

    // --- What was measured, and on what ---

    Status describe() {
        static constexpr std::string_view kNames[] = {"ingest", "query", "mixed"};
        figures_.add_text("benchmark", kNames[static_cast<size_t>(kind_)]);
        figures_.add_text("version", STEPDB_VERSION);
        figures_.add_count("cores", std::thread::hardware_concurrency());
        utsname system = {};
        uname(&system);
        figures_.add_text("kernel", fmt::format("{} {}", system.sysname, system.release));
        figures_.add_text("server", own_ ? "own" : options_.server);
        TRY_ASSIGN(const auto client, connect_to(address()));
        figures_.add_text("server_version", client->server().server);
        if (own_) {
            // What the server chose: the machine and the environment are the same.
            TRY_ASSIGN(const auto io, IoEnvironment::create());
            figures_.add_text("io_backend", io->backend());
            figures_.add_text("file_system", own_->file_system());
        } else {
            figures_.add_text("io_backend", "unknown");
            figures_.add_text("file_system", "unknown");
        }
        // The only level there is: on stable storage, and visible to queries.
        figures_.add_text("durability", "durable");
        figures_.add_count("seed", options_.seed);
        figures_.add_count("metrics", options_.shape.metrics);
        figures_.add_text("values", options_.values);
        figures_.add_count("connections", options_.connections);
        figures_.add_number("seconds", options_.seconds, "s");
        figures_.add_number("warmup_seconds", options_.warmup, "s");
        return {};
    }

    // --- Ingest and mixed ---

    std::string run_name(uint32_t connection, uint32_t run) const {
        return fmt::format("{}-c{}-r{}", prefix_, connection, run);
    }

    Result<std::unique_ptr<LoadWriter>> open_writer(uint32_t connection) {
        WriterOptions options;
        options.project = options_.project;
        for (uint32_t run = 0; run < options_.runs; ++run) {
            options.runs.push_back(run_name(connection, run));
        }
        options.shape = options_.shape;
        options.in_flight = in_flight();
        options.frames_per_second = options_.rate / points_per_frame() / options_.connections;
        options.seed = options_.seed + connection;
        options.pool_bytes = kPoolBytes / options_.connections;
        TRY_ASSIGN(auto client, connect_to(address(), random_id()));
        return LoadWriter::open(std::move(client), std::move(options));
    }

    double points_per_frame() const {
        return static_cast<double>(options_.shape.rows_per_frame) * options_.shape.metrics;
    }

    size_t in_flight() const {
        if (options_.in_flight > 0) {
            return options_.in_flight;
        }
        const size_t value_bytes = options_.shape.is_float64 ? 8 : 4;
        const size_t frame_bytes =
            56 + options_.shape.rows_per_frame * (16 + options_.shape.metrics * value_bytes);
        return std::clamp<size_t>(kInFlightBytes / options_.connections / frame_bytes, 2,
                                  kInFlightFramesMax);
    }

    Status load() {
        figures_.add_count("rows_per_frame", options_.shape.rows_per_frame);
        figures_.add_count("runs", uint64_t{options_.connections} * options_.runs);
        figures_.add_count("frames_in_flight", in_flight(), "a connection");
        figures_.add_number("rate_asked",
                            options_.rate > 0 ? std::optional(options_.rate) : std::nullopt,
                            "points/s", "no limit");
        std::vector<std::unique_ptr<LoadWriter>> writers;
        for (uint32_t connection = 0; connection < options_.connections; ++connection) {
            TRY_ASSIGN(auto writer, open_writer(connection));
            writers.push_back(std::move(writer));
        }
        std::vector<std::unique_ptr<ChartAsker>> askers;
        for (uint32_t at = 0; kind_ == Benchmark::kMixed && at < options_.charts; ++at) {
            TRY_ASSIGN(auto asker,
                       open_asker([this, random = std::mt19937_64(seed_of(at))]() mutable {
                           return live_chart(random);
                       }));
            askers.push_back(std::move(asker));
        }
        const MeasuredWindow window = window_from_now(options_.warmup, options_.seconds);
        std::vector<Work> all;
        all.reserve(writers.size() + askers.size());
        for (const auto& writer : writers) {
            all.emplace_back([&writer, &window] { return writer->run(window); });
        }
        for (const auto& asker : askers) {
            all.emplace_back([&asker, &window] { return asker->run(window); });
        }
        TRY(run_together(all));
        TRY(add_ingest(writers, window));
        if (kind_ == Benchmark::kMixed) {
            figures_.add_count("chart_connections", options_.charts);
            add_answers("live_chart", askers, window);
        }
        return {};
    }

    std::string live_chart(std::mt19937_64& random) const {
        const auto below = [&random](uint32_t end) {
            return std::uniform_int_distribution<uint32_t>(0, end - 1)(random);
        };
        return fmt::format("{} @ {}/{} | buckets 1000", bench_metric(below(options_.shape.metrics)),
                           options_.project,
                           run_name(below(options_.connections), below(options_.runs)));
    }

    Status add_ingest(const std::vector<std::unique_ptr<LoadWriter>>& writers,
                      const MeasuredWindow& window) {
        WriterReport sum;
        for (const auto& writer : writers) {
            sum.frames += writer->report().frames;
            sum.frames_in_window += writer->report().frames_in_window;
            sum.late_rows += writer->report().late_rows;
            sum.latencies.merge(writer->report().latencies);
        }
        const double frames = static_cast<double>(sum.frames_in_window) / window.seconds();
        const double bytes = frames * static_cast<double>(writers.front()->frame_bytes());
        figures_.add_number("points_per_second", frames * points_per_frame(), "acknowledged");
        figures_.add_number("rows_per_second", frames * options_.shape.rows_per_frame);
        figures_.add_number("frames_per_second", frames);
        figures_.add_number("megabytes_per_second", bytes / 1e6, "MB/s on the wire");
        add_latencies("ack", sum.latencies);
        figures_.add_count("late_rows", sum.late_rows);
        rows_stored_ = sum.frames * options_.shape.rows_per_frame;
        figures_.add_count("rows_acknowledged", rows_stored_, "with those outside the window");
        TRY_ASSIGN(const uint64_t counted, count_rows());
        figures_.add_count("rows_counted", counted, "by a query afterwards");
        if (counted != rows_stored_) {
            return make_error(ErrorCode::kCorruption,
                              "{} rows were acknowledged and a query counts {}", rows_stored_,
                              counted);
        }
        return {};
    }

    Result<uint64_t> count_rows() {
        TRY_ASSIGN(const SeriesExtent extent, extent_of(fmt::format("{} @ {}/{}-*", bench_metric(0),
                                                                    options_.project, prefix_)));
        return extent.points;
    }

    // --- Query ---

    uint64_t seed_of(uint32_t asker) const { return options_.seed + 1'000'000 + asker; }

    Result<std::unique_ptr<ChartAsker>> open_asker(std::function<std::string()> question) {
        TRY_ASSIGN(auto client, connect_to(address()));
        return std::make_unique<ChartAsker>(std::move(client), std::move(question));
    }

    // A run of `points` steps to ask about.
    Result<std::string> fill() {
        const uint64_t rows = options_.shape.rows_per_frame;
        TRY_ASSIGN(auto client, connect_to(address(), random_id()));
        WriterOptions options;
        options.project = options_.project;
        options.runs = {prefix_};
        options.shape = options_.shape;
        options.in_flight = in_flight();
        options.seed = options_.seed;
        options.pool_bytes = kPoolBytes;
        options.frames_max = (options_.points + rows - 1) / rows;
        TRY_ASSIGN(const auto writer, LoadWriter::open(std::move(client), std::move(options)));
        const MeasuredWindow window = window_from_now(0, kFillSecondsMax);
        TRY(run_together({[&] { return writer->run(window); }}));
        if (options_.settle) {
            TRY(own_->stop());
            TRY(own_->start());
        }
        return fmt::format("{} @ {}/{}", bench_metric(0), options_.project, prefix_);
    }

    Status ask() {
        std::string series = options_.series;
        if (series.empty()) {
            TRY_ASSIGN(series, fill());
        }
        TRY_ASSIGN(const SeriesExtent extent, extent_of(series));
        if (extent.points == 0) {
            return make_error(ErrorCode::kNotFound, "{} has no points to ask for", series);
        }
        figures_.add_text("series", series);
        figures_.add_count("points", extent.points);
        TRY_ASSIGN(const std::string pieces, explain_pieces(series));
        figures_.add_text("pieces", pieces);
        TRY(ask_kind("whole_range", [series](std::mt19937_64&) {
            return fmt::format("{} | buckets 1000", series);
        }));
        TRY(ask_kind("sub_range", [series, extent](std::mt19937_64& random) {
            std::uniform_real_distribution<double> within(extent.lo, extent.hi);
            const auto [from, to] = std::minmax({within(random), within(random)});
            return fmt::format("{} | steps {:.0f}..{:.0f} | buckets 1000", series, std::floor(from),
                               std::ceil(to));
        }));
        return ask_kind("raw_1000", [series, extent](std::mt19937_64& random) {
            const double last = std::max(extent.lo, extent.hi - 999);
            const double from =
                std::floor(std::uniform_real_distribution<double>(extent.lo, last)(random));
            return fmt::format("{} | steps {:.0f}..{:.0f}", series, from, from + 999);
        });
    }

    Status ask_kind(const std::string& name,
                    const std::function<std::string(std::mt19937_64&)>& question) {
        std::vector<std::unique_ptr<ChartAsker>> askers;
        for (uint32_t at = 0; at < options_.connections; ++at) {
            TRY_ASSIGN(auto asker,
                       open_asker([question, random = std::mt19937_64(seed_of(at))]() mutable {
                           return question(random);
                       }));
            askers.push_back(std::move(asker));
        }
        const MeasuredWindow window = window_from_now(options_.warmup, options_.seconds);
        std::vector<Work> all;
        all.reserve(askers.size());
        for (const auto& asker : askers) {
            all.emplace_back([&asker, &window] { return asker->run(window); });
        }
        TRY(run_together(all));
        add_answers(name, askers, window);
        return {};
    }

    void add_answers(const std::string& name,
                     const std::vector<std::unique_ptr<ChartAsker>>& askers,
                     const MeasuredWindow& window) {
        AskerReport sum;
        for (const auto& asker : askers) {
            sum.text = asker->report().text;
            sum.rows += asker->report().rows;
            sum.latencies.merge(asker->report().latencies);
        }
        const auto answers = static_cast<double>(sum.latencies.count());
        figures_.add_text(name + "_query", sum.text);
        figures_.add_count(name + "_answers", sum.latencies.count());
        figures_.add_number(name + "_answers_per_second", answers / window.seconds());
        figures_.add_number(name + "_rows_per_answer",
                            static_cast<double>(sum.rows) / std::max(1.0, answers));
        add_latencies(name, sum.latencies);
    }

    void add_latencies(const std::string& name, const Latencies& latencies) {
        const auto add = [&](const char* what, double ms) {
            figures_.add_number(fmt::format("{}_{}_ms", name, what),
                                latencies.count() > 0 ? std::optional(ms) : std::nullopt, "ms");
        };
        add("p50", latencies.percentile_ms(0.5));
        add("p90", latencies.percentile_ms(0.9));
        add("p99", latencies.percentile_ms(0.99));
        add("max", latencies.max_ms());
    }

    // Calls `take` for every row of an answer.
    Status ask_once(
        const std::string& text,
        const std::function<void(const std::vector<ResultColumn>&, const ResultBlock&)>& take) {
        TRY_ASSIGN(const auto client, connect_to(address()));
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

    // Of all series that `selection` finds together.
    Result<SeriesExtent> extent_of(const std::string& selection) {
        SeriesExtent extent;
        const Status asked =
            ask_once(selection + " | buckets 1",
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

    // What `explain` says of a chart, on one line.
    Result<std::string> explain_pieces(const std::string& series) {
        std::vector<std::string> lines;
        const Status asked =
            ask_once("explain " + series + " | buckets 1000",
                     [&](const std::vector<ResultColumn>& columns, const ResultBlock& block) {
                         for (uint32_t row = 0; row < block.rows(); ++row) {
                             std::string line;
                             for (size_t at = 0; at < columns.size(); ++at) {
                                 const auto texts = block.column(at).texts();
                                 const std::string_view text =
                                     columns[at].type == ColumnType::kText ? texts[row] : "";
                                 line += (at == 0 ? "" : " ");
                                 line += exact_cell(block.column(at), row, text);
                             }
                             lines.push_back(std::move(line));
                         }
                     });
        TRY(asked);
        return fmt::format("{}", fmt::join(lines, "; "));
    }

    // --- What it cost the server ---

    Status add_cost() {
        std::optional<double> cpu_ms;
        std::optional<double> peak;
        std::optional<double> bytes_per_point;
        if (own_) {
            TRY(own_->stop());
            peak = static_cast<double>(own_->cost().peak_memory_bytes);
            const double points = static_cast<double>(rows_stored_) * options_.shape.metrics;
            if (points > 0) {
                const double seconds = own_->cost().cpu_seconds - cpu_seconds_before_;
                cpu_ms = seconds * 1e3 / (points / 1e6);
                TRY_ASSIGN(bytes_per_point, settled_bytes_per_point());
            }
        }
        if (kind_ != Benchmark::kQuery) {
            figures_.add_number("server_cpu_ms_per_million_points", cpu_ms, "ms until settled");
            figures_.add_number("bytes_per_point", bytes_per_point, "on disk, the log apart");
        }
        figures_.add_number("server_peak_memory_bytes", peak, "bytes (VmHWM)");
        return {};
    }

    // A stopped server leaves a little in its log: those rows are not settled. Nothing if all are.
    Result<std::optional<double>> settled_bytes_per_point() const {
        EngineOptions options;
        options.directory = own_->store();
        options.read_only = true;
        TRY_ASSIGN(const auto store, OpenStore::open(options));
        const uint64_t rows = rows_stored_ - store->engine().recovery().rows_replayed;
        if (rows == 0) {
            return std::optional<double>();
        }
        const double points = static_cast<double>(rows) * options_.shape.metrics;
        return std::optional<double>(static_cast<double>(own_->settled_bytes()) / points);
    }

    void print() const {
        const TextSink to_stdout = [](std::string_view text) {
            std::fwrite(text.data(), 1, text.size(), stdout);
        };
        if (options_.format == "json") {
            figures_.print_json(to_stdout);
        } else {
            figures_.print_table(to_stdout);
        }
    }

    Benchmark kind_;
    BenchOptions options_;
    std::unique_ptr<OwnServer> own_;
    double cpu_seconds_before_ = 0;
    std::string prefix_;  // of the runs this makes
    uint64_t rows_stored_ = 0;
    Figures figures_;
};

}  // namespace

Status run_benchmark(Benchmark kind, const BenchOptions& options) {
    return Bench(kind, options).run();
}

}  // namespace stepdb
