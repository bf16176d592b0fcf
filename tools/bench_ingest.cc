// `stepdb bench ingest` and `mixed`: a load, what it took, and what the store came to.
#include "tools/bench_ingest.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <random>

#include "engine/model/memory_plan.h"
#include "tools/bench/frame_pool.h"
#include "tools/bench/freshness_probe.h"
#include "tools/bench_target.h"

namespace stepdb {

namespace {

// What a page shows at a time, and a connection refreshes in turn.
constexpr size_t kPageCharts = 20;

double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Of this process, the load.
double client_cpu_seconds_now() {
    rusage used = {};
    getrusage(RUSAGE_SELF, &used);
    return seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
}

// One workload on one store.
class IngestBench {
  public:
    IngestBench(const BenchOptions& options, const Workload& workload)
        : options_(options), workload_(workload) {}

    Result<IngestReport> run(bool with_charts) {
        TRY_ASSIGN(target_, BenchTarget::open(options_));
        TRY_ASSIGN(report_.context, target_->describe(with_charts ? "mixed" : "ingest"));
        report_.workload = workload_;
        TRY(load(with_charts));
        TRY(look_at_the_store());
        if (with_charts) {
            TRY(ask_quietly());
        }
        TRY(count_rows());
        TRY(add_cost());
        return std::move(report_);
    }

  private:
    Status load(bool with_charts) {
        TRY_ASSIGN(const LoadOptions load_options, target_->load_options(workload_));
        report_.in_flight = Load::in_flight_of(load_options);
        TRY_ASSIGN(const auto load, Load::open(load_options));
        std::vector<std::unique_ptr<ChartAsker>> askers;
        if (with_charts) {
            TRY_ASSIGN(askers, open_askers(options_.seed + 1'000'000));
            TRY(open_probe());
        }
        if (target_->own() != nullptr) {
            TRY_ASSIGN(server_cpu_before_, target_->own()->cpu_seconds_now());
        }
        const double cpu_before = client_cpu_seconds_now();
        const MeasuredWindow window =
            MeasuredWindow::from_now(workload_.warm_up, workload_.seconds);
        std::vector<std::function<Status()>> works = load->works(window);
        add_works(askers, window, works);
        if (probe_ != nullptr) {
            std::ranges::copy(probe_->works(window), std::back_inserter(works));
        }
        TRY(run_together(works));
        report_.client_cpu_seconds = client_cpu_seconds_now() - cpu_before;
        report_.load = load->report();
        report_.seconds = window.seconds();
        if (with_charts) {
            report_.charts = answers_of("live_chart", askers, report_.seconds);
            report_.chart_connections = options_.charts;
            report_.chart_rate = options_.chart_rate;
            report_.freshness = probe_->latencies();
        }
        return {};
    }

    // The same charts with no load beside them: what those beside it are to be compared with.
    Status ask_quietly() {
        TRY_ASSIGN(const auto askers, open_askers(options_.seed + 2'000'000));
        const MeasuredWindow window =
            MeasuredWindow::from_now(workload_.warm_up, workload_.seconds);
        std::vector<std::function<Status()>> works;
        add_works(askers, window, works);
        TRY(run_together(works));
        report_.quiet_charts = answers_of("quiet_chart", askers, window.seconds());
        return {};
    }

    // A connection each: asking of series at random, or refreshing a page of some of them.
    Result<std::vector<std::unique_ptr<ChartAsker>>> open_askers(uint64_t seed) {
        std::vector<std::unique_ptr<ChartAsker>> askers;
        for (uint32_t at = 0; at < options_.charts; ++at) {
            TRY_ASSIGN(auto client, target_->connect_reader());
            askers.push_back(std::make_unique<ChartAsker>(std::move(client), questions(seed + at),
                                                          chart_interval()));
        }
        return askers;
    }

    std::function<std::string()> questions(uint64_t seed) const {
        std::mt19937_64 random(seed);
        if (options_.chart_rate <= 0) {
            return [this, random]() mutable { return live_chart(random); };
        }
        std::vector<std::string> page;
        for (size_t at = 0; at < kPageCharts; ++at) {
            page.push_back(live_chart(random));
        }
        return
            [page = std::move(page), at = size_t{0}]() mutable { return page[at++ % page.size()]; };
    }

    std::chrono::nanoseconds chart_interval() const {
        if (options_.chart_rate <= 0) {
            return std::chrono::nanoseconds::zero();
        }
        return std::chrono::nanoseconds(std::llround(1e9 * options_.charts / options_.chart_rate));
    }

    static void add_works(const std::vector<std::unique_ptr<ChartAsker>>& askers,
                          const MeasuredWindow& window,
                          std::vector<std::function<Status()>>& works) {
        for (const auto& asker : askers) {
            works.emplace_back([&asker, &window] { return asker->run(window); });
        }
    }

    // Beside the runs of the load, whose names all begin with `PREFIX-`.
    Status open_probe() {
        TRY_ASSIGN(auto writer, target_->connect_writer());
        TRY_ASSIGN(auto watcher, target_->connect_reader());
        TRY_ASSIGN(probe_, FreshnessProbe::open(std::move(writer), std::move(watcher),
                                                options_.project, target_->prefix() + ".probe"));
        return {};
    }

    std::string live_chart(std::mt19937_64& random) const {
        const auto below = [&random](uint32_t end) {
            return std::uniform_int_distribution<uint32_t>(0, end - 1)(random);
        };
        const uint32_t metric = below(workload_.shape.metrics);
        const uint32_t connection = below(workload_.connections);
        return fmt::format("{} @ {}/{} | buckets 1000", bench_metric(metric), options_.project,
                           Load::run_name(target_->prefix(), connection, below(workload_.runs)));
    }

    static AnswerReport answers_of(std::string name,
                                   const std::vector<std::unique_ptr<ChartAsker>>& askers,
                                   double seconds) {
        AnswerReport charts;
        charts.name = std::move(name);
        charts.seconds = seconds;
        for (const auto& asker : askers) {
            charts.asked.merge(asker->report());
        }
        return charts;
    }

    // At the end of the load, and settled.
    Status look_at_the_store() {
        report_.log_bytes_bound = kLogLiveBytesMax;
        if (report_.context.memory_limit_bytes) {
            report_.rows_in_memory_bytes_bound =
                MemoryPlan::of(*report_.context.memory_limit_bytes).rows;
        }
        TRY_ASSIGN(const auto client, target_->connect_reader());
        TRY_ASSIGN(report_.loaded, ask_store_figures(*client));
        // Another's server has others to write to it.
        if (target_->own() != nullptr && options_.settle) {
            TRY_ASSIGN(report_.settled, wait_until_settled(*client));
            TRY_ASSIGN(const double cpu, target_->own()->cpu_seconds_now());
            report_.server_cpu_seconds = cpu - server_cpu_before_;
        }
        return {};
    }

    Status count_rows() {
        TRY_ASSIGN(const SeriesExtent extent,
                   target_->extent_of(fmt::format("{} @ {}/{}-*", bench_metric(0), options_.project,
                                                  target_->prefix())));
        report_.rows_counted = extent.points;
        if (extent.points != report_.load.rows) {
            return make_error(ErrorCode::kCorruption,
                              "{} rows were acknowledged and a query counts {}", report_.load.rows,
                              extent.points);
        }
        return {};
    }

    Status add_cost() {
        OwnServer* const own = target_->own();
        if (own == nullptr) {
            return {};
        }
        TRY(own->stop());
        report_.server_peak_bytes = own->cost().peak_memory_bytes;
        if (!report_.server_cpu_seconds) {
            report_.server_cpu_seconds = own->cost().cpu_seconds - server_cpu_before_;
        }
        TRY_ASSIGN(report_.bytes_per_point,
                   target_->settled_bytes_per_point(report_.load.rows, workload_.shape.metrics));
        return {};
    }

    const BenchOptions& options_;
    Workload workload_;
    std::unique_ptr<BenchTarget> target_;
    std::unique_ptr<FreshnessProbe> probe_;  // in `mixed`
    double server_cpu_before_ = 0;
    IngestReport report_;
};

}  // namespace

Status run_ingest(const BenchOptions& options, bool with_charts) {
    const TextSink sink = bench_sink();
    std::vector<IngestReport> reports;
    for (const Workload& workload : options.workloads) {
        TRY_ASSIGN(IngestReport report, IngestBench(options, workload).run(with_charts));
        if (options.format == "json") {
            ingest_figures(report).print_json(sink);
        } else {
            if (reports.empty()) {
                print_context(report.context, sink);
            }
            print_ingest(report, sink);
        }
        std::fflush(stdout);
        reports.push_back(std::move(report));
    }
    if (options.format != "json" && reports.size() > 1) {
        print_comparison(reports, sink);
    }
    return {};
}

}  // namespace stepdb
