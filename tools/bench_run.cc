#include "tools/bench_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>

#include "engine/model/cell_text.h"
#include "tools/bench/frame_pool.h"
#include "tools/bench_ingest.h"
#include "tools/bench_suite.h"
#include "tools/bench_target.h"
#include "tools/output/result_writer.h"

namespace stepdb {

namespace {

constexpr double kFillSecondsMax = 3600;

// `stepdb bench query` about one series: charts of it, and raw points.
class QueryBench {
  public:
    explicit QueryBench(const BenchOptions& options)
        : options_(options), workload_(options.workloads.front()) {}

    Status run() {
        TRY_ASSIGN(target_, BenchTarget::open(options_));
        TRY_ASSIGN(context_, target_->describe("query"));
        add_context(context_, figures_);
        figures_.add_count("connections", workload_.connections);
        figures_.add_number("warm_up_seconds", workload_.warm_up, "s");
        figures_.add_number("seconds", workload_.seconds, "s");
        TRY(ask_all());
        std::optional<double> peak;
        if (target_->own() != nullptr) {
            TRY(target_->own()->stop());
            peak = static_cast<double>(target_->own()->cost().peak_memory_bytes) / 0x1p20;
        }
        figures_.add_number("server_peak_mb", peak, "MiB");
        if (options_.format == "json") {
            figures_.print_json(bench_sink());
        } else {
            figures_.print_table(bench_sink());
        }
        return {};
    }

  private:
    // A run of `points` steps to ask about.
    Result<std::string> fill() {
        const uint64_t rows = workload_.shape.rows_per_frame;
        Workload filling = workload_;
        filling.connections = 1;
        TRY_ASSIGN(LoadOptions options, target_->load_options(filling));
        options.frames_max = (*options_.points + rows - 1) / rows;
        TRY_ASSIGN(const auto load, Load::open(std::move(options)));
        const MeasuredWindow window = MeasuredWindow::from_now(0, kFillSecondsMax);
        TRY(run_together(load->works(window)));
        if (options_.reopen) {
            TRY(target_->own()->stop());
            TRY(target_->own()->start());
        }
        return fmt::format("{} @ {}/{}", bench_metric(0), options_.project,
                           Load::run_name(target_->prefix(), 0, 0));
    }

    Status ask_all() {
        std::string series = options_.series;
        if (series.empty()) {
            TRY_ASSIGN(series, fill());
        }
        TRY_ASSIGN(const SeriesExtent extent, target_->extent_of(series));
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
        for (uint32_t at = 0; at < workload_.connections; ++at) {
            TRY_ASSIGN(auto client, target_->connect_reader());
            askers.push_back(std::make_unique<ChartAsker>(
                std::move(client),
                [question, random = std::mt19937_64(options_.seed + 1'000'000 + at)]() mutable {
                    return question(random);
                }));
        }
        const MeasuredWindow window =
            MeasuredWindow::from_now(workload_.warm_up, workload_.seconds);
        std::vector<std::function<Status()>> works;
        works.reserve(askers.size());
        for (const auto& asker : askers) {
            works.emplace_back([&asker, &window] { return asker->run(window); });
        }
        TRY(run_together(works));
        AnswerReport answers;
        answers.name = name;
        answers.seconds = window.seconds();
        for (const auto& asker : askers) {
            answers.asked.merge(asker->report());
        }
        add_answers(answers, figures_);
        return {};
    }

    // What `explain` says of a chart, on one line.
    Result<std::string> explain_pieces(const std::string& series) const {
        std::vector<std::string> lines;
        const Status asked =
            target_->ask("explain " + series + " | buckets 1000",
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

    const BenchOptions& options_;
    Workload workload_;
    std::unique_ptr<BenchTarget> target_;
    BenchContext context_;
    Figures figures_;
};

}  // namespace

Status run_benchmark(Benchmark kind, const BenchOptions& options) {
    catch_interruption();
    switch (kind) {
        case Benchmark::kIngest:
            return run_ingest(options, false);
        case Benchmark::kMixed:
            return run_ingest(options, true);
        case Benchmark::kQuery:
            return options.is_of_one_series() ? QueryBench(options).run() : run_suite(options);
    }
    return {};
}

}  // namespace stepdb
