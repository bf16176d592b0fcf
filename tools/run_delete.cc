// `stepdb run discard` and `stepdb run delete`: first what would go, with --yes it goes.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "engine/base/text.h"
#include "engine/model/life_frame.h"
#include "query/parser.h"
#include "tools/command.h"
#include "tools/output/format_cell.h"
#include "tools/run_actions.h"
#include "tools/run_change.h"

namespace stepdb {

namespace {

std::string series_text(uint64_t count) {
    return count == 1 ? "1 series" : fmt::format("{} series", count);
}

// As the server will say it.
Error forks_in_the_way(const std::string& what, const std::vector<std::string>& forks) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "{} cannot be deleted while forks of the run exist: {}; delete them first",
                      what, list_of(forks));
}

Status refuse_newest(const RunName& name) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "attempt {} is the newest of run {} and cannot be discarded; restart the run "
                      "first, or delete it as a whole",
                      *name.attempt, name.path());
}

// What discarding an attempt would do. Nothing is changed, not even a writer opened.
Status preview_discard(const RunOptions& options, const RunName& name, bool refuse_if_forked) {
    TRY_ASSIGN(const auto client, connect_to(options.server));
    TRY_ASSIGN(const RunFacts facts, read_run_facts(*client, name));
    const uint32_t attempt = *name.attempt;
    if (std::ranges::find(facts.discarded, attempt) != facts.discarded.end()) {
        fmt::print("attempt {} of run {} has been discarded; there is nothing to do\n", attempt,
                   name.path());
        return {};
    }
    if (std::ranges::find(facts.readable, attempt) == facts.readable.end()) {
        return make_error(ErrorCode::kNotFound, "run {} has no attempt {}; its newest is {}",
                          name.path(), attempt, facts.newest);
    }
    if (attempt == facts.newest) {
        return refuse_newest(name);
    }
    TRY_ASSIGN(const std::vector<std::string> forks, find_forks(*client, name));
    if (refuse_if_forked && !forks.empty()) {
        return make_error(ErrorCode::kFailedPrecondition,
                          "attempt {} of run {} cannot be deleted while these forks of it exist: "
                          "{}; `stepdb run discard` keeps what they read",
                          attempt, name.path(), list_of(forks));
    }
    TRY_ASSIGN(const auto series, ask_for_texts(*client, fmt::format("metrics ** @ own('{}#{}')",
                                                                     name.path(), attempt)));
    fmt::print(
        "would discard attempt {} of run {}, which reads {} that the run has logged; what newer "
        "attempts{} read of it stays. {}\n",
        attempt, name.path(), series_text(series.size()),
        forks.empty() ? "" : fmt::format(" and forks ({})", list_of(forks)), kSayYes);
    return {};
}

Status discard(const RunOptions& options, bool refuse_if_forked) {
    TRY_ASSIGN(const RunName name, parse_attempt_name(options.run));
    if (!options.yes) {
        return preview_discard(options, name, refuse_if_forked);
    }
    TRY_ASSIGN(RunWriter writer, RunWriter::open(options.server, name, 0));
    DiscardAttemptFrame frame;
    frame.attempt = *name.attempt;
    frame.refuse_if_forked = refuse_if_forked;
    TRY(writer.change([&](uint32_t handle, uint64_t number) {
        frame.handle = handle;
        return encode_discard_attempt_frame(frame, number);
    }));
    fmt::print("attempt {} of run {} discarded\n", *name.attempt, name.path());
    return {};
}

// Those that the run itself has logged, in any attempt.
Result<std::vector<std::string>> find_own_metrics(Client& client, const RunName& name,
                                                  const RunFacts& facts,
                                                  const std::string& patterns) {
    std::string attempts;
    for (const uint32_t attempt : facts.readable) {
        attempts +=
            fmt::format("{}own('{}#{}')", attempts.empty() ? "" : ", ", name.path(), attempt);
    }
    TRY_ASSIGN(const auto rows,
               ask_for_texts(client, fmt::format("metrics {} @ {}", patterns, attempts)));
    std::vector<std::string> metrics;
    metrics.reserve(rows.size());
    for (const std::vector<std::string>& row : rows) {
        metrics.push_back(row.at(1));
    }
    std::ranges::sort(metrics);
    metrics.erase(std::unique(metrics.begin(), metrics.end()), metrics.end());
    return metrics;
}

// Those that the pattern is about. kNotFound where there is none, saying so of a run that inherits
// some.
Result<std::vector<std::string>> find_metrics_of(Client& client, const RunName& name,
                                                 const RunFacts& facts,
                                                 const std::string& pattern) {
    Result<std::vector<std::string>> own = find_own_metrics(client, name, facts, pattern);
    if (own ? !own->empty() : own.error().code() != ErrorCode::kNotFound) {
        return own;
    }
    const auto shown =
        ask_for_texts(client, fmt::format("metrics {} @ '{}'", pattern, name.path()));
    if (shown && !shown->empty()) {
        return make_error(ErrorCode::kNotFound,
                          "run {} itself has logged nothing that matches {}; it shows what its "
                          "parent has logged, which is deleted there",
                          name.path(), pattern);
    }
    if (own) {
        return make_error(ErrorCode::kNotFound, "run {} has no metric that matches {}", name.path(),
                          pattern);
    }
    // Nobody has typed own(RUN#0).
    std::string message = own.error().message();
    for (size_t at = 0; (at = message.find("own(")) != std::string::npos;) {
        const size_t end = message.find(')', at);
        const size_t hash = std::min(message.find('#', at), end);
        message.erase(hash, end + 1 - hash);
        message.erase(at, 4);
    }
    return Error(ErrorCode::kNotFound, message);
}

// Every pattern has to be about something: one that is not was mistyped.
Result<std::vector<std::string>> find_metrics(Client& client, const RunOptions& options,
                                              const RunName& name) {
    TRY_ASSIGN(const RunFacts facts, read_run_facts(client, name));
    std::set<std::string> metrics;
    for (const std::string& pattern : options.metrics) {
        TRY_ASSIGN(const std::vector<std::string> found,
                   find_metrics_of(client, name, facts, pattern));
        metrics.insert(found.begin(), found.end());
    }
    return std::vector<std::string>(metrics.begin(), metrics.end());
}

Status preview_delete_metrics(Client& client, const RunName& name,
                              const std::vector<std::string>& metrics) {
    TRY_ASSIGN(const std::vector<std::string> forks, find_forks(client, name));
    if (!forks.empty()) {
        return forks_in_the_way("metrics of run " + name.path(), forks);
    }
    fmt::print("would delete the points that run {} has logged of {}:\n", name.path(),
               count_of(metrics.size(), "metric"));
    for (const std::string& metric : metrics) {
        fmt::print("  {}\n", safe_text(metric));
    }
    fmt::print("Points inherited from a parent stay visible. {}\n", kSayYes);
    return {};
}

Status delete_metrics(const RunOptions& options, const RunName& name) {
    DeleteMetricsFrame frame;
    if (!options.yes) {
        TRY_ASSIGN(const auto client, connect_to(options.server));
        TRY_ASSIGN(frame.metrics, find_metrics(*client, options, name));
        return preview_delete_metrics(*client, name, frame.metrics);
    }
    TRY_ASSIGN(RunWriter writer, RunWriter::open(options.server, name, 0));
    TRY_ASSIGN(frame.metrics, find_metrics(writer.client(), options, name));
    TRY(writer.change([&](uint32_t handle, uint64_t number) {
        frame.handle = handle;
        return encode_delete_metrics_frame(frame, number);
    }));
    fmt::print("{} of run {} deleted\n", count_of(frame.metrics.size(), "metric"), name.path());
    return {};
}

Status preview_delete_run(const RunOptions& options, const RunName& name) {
    TRY_ASSIGN(const auto client, connect_to(options.server));
    TRY_ASSIGN(const RunFacts facts, read_run_facts(*client, name));
    TRY_ASSIGN(const std::vector<std::string> forks, find_forks(*client, name));
    if (!forks.empty()) {
        return forks_in_the_way("run " + name.path(), forks);
    }
    TRY_ASSIGN(const std::vector<std::string> series, find_own_metrics(*client, name, facts, "**"));
    const size_t attempts = facts.readable.size() + facts.discarded.size();
    fmt::print("would delete run {} with {} of its own{}. {}\n", name.path(),
               series_text(series.size()),
               attempts == 1 ? "" : fmt::format(" and all its {} attempts", attempts), kSayYes);
    return {};
}

}  // namespace

Status check_discard_options(const RunOptions& options) {
    TRY(parse_attempt_name(options.run));
    return {};
}

Status discard_attempt(const RunOptions& options) {
    return discard(options, false);
}

Status check_delete_options(const RunOptions& options) {
    TRY_ASSIGN(const RunName name, parse_run_name(options.run));
    if (name.attempt && !options.metrics.empty()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "metrics are deleted in all attempts of a run; write {} without the #{}",
                          name.path(), *name.attempt);
    }
    for (const std::string& pattern : options.metrics) {
        if (!parse_query(fmt::format("metrics {} @ p/r", pattern))) {
            return make_error(ErrorCode::kInvalidArgument,
                              "--metrics: '{}' is no pattern of metrics; write them as in a query: "
                              "'debug/**', or '\"my loss\"' with quotes of its own",
                              printable(pattern));
        }
    }
    return {};
}

Status delete_run_or_part(const RunOptions& options) {
    TRY_ASSIGN(const RunName name, parse_run_name(options.run));
    if (name.attempt) {
        return discard(options, true);
    }
    if (!options.metrics.empty()) {
        return delete_metrics(options, name);
    }
    if (!options.yes) {
        return preview_delete_run(options, name);
    }
    TRY_ASSIGN(RunWriter writer, RunWriter::open(options.server, name, 0));
    TRY(writer.change(encode_delete_run_frame));
    fmt::print("run {} deleted; its space comes back with compaction\n", name.path());
    return {};
}

}  // namespace stepdb
