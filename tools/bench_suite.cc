#include "tools/bench_suite.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <random>

#include "tools/address.h"
#include "tools/bench/page_asker.h"
#include "tools/bench/query_suite.h"
#include "tools/bench/suite_report.h"
#include "tools/bench_target.h"
#include "tools/command.h"
#include "tools/output/progress.h"
#include "tools/output/terminal.h"

namespace stepdb {

namespace {

// So many answers are measured at least, however long they take, and so many starts of a server.
constexpr uint64_t kAnswersMin = 5;
constexpr uint32_t kColdStarts = 5;
// So many pages are compared of questions that vary.
constexpr uint32_t kPagesVerified = 3;

std::vector<std::string> texts_of(const std::vector<SuiteQuestion>& page) {
    std::vector<std::string> texts;
    texts.reserve(page.size());
    for (const SuiteQuestion& question : page) {
        texts.push_back(question.text);
    }
    return texts;
}

// Asks one page of a query after the other.
class SuiteAsker {
  public:
    SuiteAsker(std::unique_ptr<PageAsker> asker, const SuiteQuery& query, uint64_t seed)
        : asker_(std::move(asker)), query_(query), random_(seed) {}

    // Notes what is not as it must be. An error is one of the connection or the query.
    Status verify(std::optional<Error>& wrong) {
        std::vector<std::string> before;
        for (uint32_t page_at = 0; page_at < kPagesVerified; ++page_at) {
            const std::vector<SuiteQuestion> page = query_.page(random_);
            std::vector<std::string> texts = texts_of(page);
            if (texts == before) {
                return {};
            }
            TRY(verify_page(page, texts, wrong));
            before = std::move(texts);
        }
        return {};
    }

    Status measure(const MeasuredWindow& window) {
        SteadyTime now = std::chrono::steady_clock::now();
        while ((now < window.end || answers_.latencies.count() < kAnswersMin) &&
               !is_interrupted()) {
            TRY_ASSIGN(const std::chrono::nanoseconds took, ask(query_.page(random_)));
            now = std::chrono::steady_clock::now();
            if (now >= window.begin) {
                answers_.latencies.add(took.count());
            }
        }
        return {};
    }

    Status measure_one() {
        TRY_ASSIGN(const std::chrono::nanoseconds took, ask(query_.page(random_)));
        answers_.latencies.add(took.count());
        return {};
    }

    const SuiteAnswers& answers() const { return answers_; }

  private:
    Status verify_page(const std::vector<SuiteQuestion>& page,
                       const std::vector<std::string>& texts, std::optional<Error>& wrong) {
        std::vector<std::unique_ptr<AnswerCheck>> checks;
        checks.reserve(page.size());
        for (const SuiteQuestion& question : page) {
            checks.push_back(question.check());
        }
        PageHandler handler;
        handler.on_columns = [&checks](size_t at, const std::vector<ResultColumn>& columns) {
            checks[at]->begin(columns);
        };
        handler.on_block = [&checks](size_t at, const ResultBlock& block) {
            checks[at]->take(block);
        };
        const Result<std::chrono::nanoseconds> asked = asker_->ask(texts, handler);
        if (!asked) {
            return asked.error().within(texts.front());
        }
        for (size_t at = 0; at < checks.size() && !wrong; ++at) {
            const Status same = checks[at]->finish();
            if (!same) {
                wrong = same.error().within(texts[at]);
            }
        }
        return {};
    }

    Result<std::chrono::nanoseconds> ask(const std::vector<SuiteQuestion>& page) {
        answers_.text = page.front().text;
        answers_.rows = answers_.values = 0;
        PageHandler handler;
        handler.on_block = [this](size_t /*at*/, const ResultBlock& block) {
            answers_.rows += block.rows();
            size_t columns = 0;
            for (size_t column = 0; column < block.width(); ++column) {
                columns += block.column(column).type() == ColumnType::kText ? 0U : 1U;
            }
            // Of names alone these are the values.
            answers_.values += std::max<size_t>(columns, 1) * block.rows();
        };
        Result<std::chrono::nanoseconds> took = asker_->ask(texts_of(page), handler);
        if (!took) {
            return took.error().within(page.front().text);
        }
        return took;
    }

    std::unique_ptr<PageAsker> asker_;
    const SuiteQuery& query_;
    std::mt19937_64 random_;
    SuiteAnswers answers_;
};

class SuiteBench {
  public:
    explicit SuiteBench(const BenchOptions& options)
        : options_(options), workload_(options.workloads.front()) {}

    Status run() {
        TRY_ASSIGN(target_, BenchTarget::open(options_));
        TRY_ASSIGN(report_.context, target_->describe("query"));
        report_.scale = options_.scale;
        report_.connections = workload_.connections;
        report_.warm_up_seconds = workload_.warm_up;
        const QuerySuite suite(options_.queries, options_.scale, options_.project,
                               target_->prefix(), options_.seed);
        TRY(store_all(suite));
        SuitePrinter printer(suite.queries(), options_.format == "json", bench_sink());
        printer.begin(report_);
        for (const SuiteQuery& query : suite.queries()) {
            TRY(ask(query));
            printer.print(query, report_);
            std::fflush(stdout);
            if (report_.answers.wrong) {
                ++wrong_queries_;
                wrong_ = wrong_ ? wrong_ : report_.answers.wrong;
            }
        }
        printer.end(report_);
        if (target_->own() != nullptr) {
            TRY(target_->own()->stop());
        }
        if (wrong_) {
            return wrong_->within(fmt::format("answers of {} of {} queries are not what was stored",
                                              wrong_queries_, suite.queries().size()));
        }
        return {};
    }

  private:
    Status store_all(const QuerySuite& suite) {
        uint64_t total = 0;
        for (const auto& data : suite.data()) {
            total += data->shape().points();
        }
        ProgressOptions options;
        options.label = "storing";
        options.unit = "points";
        options.total = total;
        options.terminal = is_terminal(STDERR_FILENO);
        options.width = terminal_size(STDERR_FILENO).width;
        const TextSink to_stderr = [](std::string_view text) {
            std::fwrite(text.data(), 1, text.size(), stderr);
            std::fflush(stderr);
        };
        Progress progress(std::move(options), to_stderr, steady_us);
        uint64_t before = 0;
        for (const auto& data : suite.data()) {
            // A writer of its own for each: handles of runs begin anew.
            TRY_ASSIGN(const auto client, target_->connect_writer());
            TRY(data->store(*client, [&](uint64_t points) { progress.update(before + points); }));
            before += data->shape().points();
        }
        progress.finish();
        if (target_->own() != nullptr && options_.settle) {
            TRY_ASSIGN(const auto client, target_->connect_reader());
            TRY(wait_until_settled(*client));
        }
        return {};
    }

    Result<std::unique_ptr<SuiteAsker>> connect(const SuiteQuery& query, uint64_t seed) const {
        TRY_ASSIGN(ClientOptions client, client_options(target_->server()));
        client.name = "stepdb bench";
        TRY_ASSIGN(auto asker, PageAsker::connect(client));
        return std::make_unique<SuiteAsker>(std::move(asker), query, seed);
    }

    Status ask(const SuiteQuery& query) {
        report_.answers = SuiteAnswers();
        std::optional<Error> wrong;
        if (query.is_cold) {
            TRY(ask_cold(query));
            TRY(verify(query, wrong));
        } else {
            // Reads what has not been read yet, however long that takes.
            TRY(verify(query, wrong));
            TRY(ask_warm(query));
        }
        report_.answers.wrong = std::move(wrong);
        if (target_->own() != nullptr) {
            TRY_ASSIGN(report_.server_peak_bytes, target_->own()->peak_memory_bytes_now());
        }
        return is_interrupted() ? Status(Error(ErrorCode::kCancelled, "interrupted")) : Status();
    }

    Status verify(const SuiteQuery& query, std::optional<Error>& wrong) const {
        TRY_ASSIGN(const auto asker, connect(query, options_.seed));
        return asker->verify(wrong);
    }

    Status ask_warm(const SuiteQuery& query) {
        std::vector<std::unique_ptr<SuiteAsker>> askers;
        for (uint32_t at = 0; at < workload_.connections; ++at) {
            TRY_ASSIGN(auto asker, connect(query, options_.seed + 1'000'000 + at));
            askers.push_back(std::move(asker));
        }
        const MeasuredWindow window =
            MeasuredWindow::from_now(workload_.warm_up, workload_.seconds);
        std::vector<std::function<Status()>> works;
        works.reserve(askers.size());
        for (const auto& asker : askers) {
            works.emplace_back([&asker, &window] { return asker->measure(window); });
        }
        TRY(run_together(works));
        const auto took = std::chrono::steady_clock::now() - window.begin;
        report_.seconds = std::chrono::duration<double>(took).count();
        for (const auto& asker : askers) {
            report_.answers.merge(asker->answers());
        }
        return {};
    }

    // What a server reads again for the first chart after a start: the kernel is told to forget
    // its files while it is stopped.
    Status ask_cold(const SuiteQuery& query) {
        OwnServer* const own = target_->own();
        const SteadyTime begun = std::chrono::steady_clock::now();
        for (uint32_t start = 0; start < kColdStarts && !is_interrupted(); ++start) {
            TRY(own->stop());
            own->drop_cached_files();
            TRY(own->start());
            TRY_ASSIGN(const auto asker, connect(query, options_.seed));
            TRY(asker->measure_one());
            report_.answers.merge(asker->answers());
        }
        const auto took = std::chrono::steady_clock::now() - begun;
        report_.seconds = std::chrono::duration<double>(took).count();
        return {};
    }

    const BenchOptions& options_;
    const Workload& workload_;
    std::unique_ptr<BenchTarget> target_;
    SuiteReport report_;
    size_t wrong_queries_ = 0;
    std::optional<Error> wrong_;  // the first
};

}  // namespace

Status run_suite(const BenchOptions& options) {
    return SuiteBench(options).run();
}

}  // namespace stepdb
