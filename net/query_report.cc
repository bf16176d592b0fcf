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
        described += fmt::format(" ${}={}", printable(name, kValueBytesMax),
                                 printable(value, kValueBytesMax));
    }
    return described.empty() ? described : "; with" + described;
}

}  // namespace

std::string describe_query(const QueryReport& report, const QueryText& asked) {
    const ReadCost& cost = report.cost;
    std::string line = fmt::format(
        "outcome={} seconds={:.3f} turn_wait={:.3f} memory_wait={:.3f} memory_bytes={} rows={} "
        "pieces={} vectors={} nodes={} read_bytes={}",
        outcome_name(report.outcome), seconds(report.duration), seconds(report.turn_wait),
        seconds(report.memory_wait), report.memory_peak_bytes, report.rows, cost.pieces,
        cost.vectors_decoded, cost.nodes_used, cost.bytes_read);
    if (!report.error.empty()) {
        line += fmt::format(" error: {};", printable(report.error, kErrorBytesMax));
    }
    return line + " query: " + printable(asked.text, kTextBytesMax) +
           describe_parameters(asked.parameters);
}

}  // namespace stepdb
