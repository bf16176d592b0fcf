#include "net/query_report.h"

#include <fmt/format.h>

#include <string_view>

#include "engine/base/text.h"

namespace stepdb {

namespace {

constexpr size_t kTextBytesMax = 500;
constexpr size_t kErrorBytesMax = 200;
// Values may be of a kind that a log should not hold: enough to tell them apart.
constexpr size_t kValueBytesMax = 16;
constexpr size_t kParametersShownMax = 8;

std::string_view outcome_name(QueryOutcome outcome) {
    switch (outcome) {
        case QueryOutcome::kDone:
            return "ok";
        case QueryOutcome::kFailed:
            return "error";
        case QueryOutcome::kCancelled:
            return "cancelled";
        case QueryOutcome::kClientGone:
            return "client-gone";
    }
    return "unknown";
}

double seconds(std::chrono::microseconds time) {
    return std::chrono::duration<double>(time).count();
}

std::string describe_parameters(const QueryParameters& parameters) {
    std::string described;
    size_t shown = 0;
    for (const auto& [name, value] : parameters.values()) {
        if (shown++ == kParametersShownMax) {
            described +=
                fmt::format(" and {} more", parameters.values().size() - kParametersShownMax);
            break;
        }
        described += fmt::format("{}${}={}", described.empty() ? "" : " ",
                                 printable(name, kValueBytesMax), printable(value, kValueBytesMax));
    }
    return described;
}

}  // namespace

LogEvent describe_query(const QueryReport& report, const QueryText& asked) {
    const ReadCost& cost = report.cost;
    LogEvent event(LogLevel::kInfo, "slow_query");
    event.text("outcome", std::string(outcome_name(report.outcome)))
        .number("seconds", seconds(report.duration))
        .number("turn_wait", seconds(report.turn_wait))
        .number("memory_wait", seconds(report.memory_wait))
        .count("memory_bytes", report.memory_peak_bytes)
        .count("rows", report.rows)
        .count("pieces", cost.pieces)
        .count("vectors", cost.vectors_decoded)
        .count("nodes", cost.nodes_used)
        .count("read_bytes", cost.bytes_read);
    if (!report.error.empty()) {
        event.text("error", printable(report.error, kErrorBytesMax));
    }
    event.text("query", printable(asked.text, kTextBytesMax));
    if (const std::string parameters = describe_parameters(asked.parameters); !parameters.empty()) {
        event.text("parameters", parameters);
    }
    return event;
}

}  // namespace stepdb
