#include "net/prometheus_text.h"

#include <fmt/format.h>

namespace stepdb {

namespace {

constexpr double kMicrosecondsPerSecond = 1e6;

std::string escape_label(std::string_view value) {
    std::string escaped;
    for (const char byte : value) {
        if (byte == '\n') {
            escaped += "\\n";
        } else {
            if (byte == '"' || byte == '\\') {
                escaped += '\\';
            }
            escaped += byte;
        }
    }
    return escaped;
}

}  // namespace

void PrometheusText::begin(std::string_view name, std::string_view type, std::string_view help) {
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void PrometheusText::counter(std::string_view name, std::string_view help, double value) {
    begin(name, "counter", help);
    text_ += fmt::format("{} {}\n", name, value);
}

void PrometheusText::gauge(std::string_view name, std::string_view help, double value) {
    begin(name, "gauge", help);
    text_ += fmt::format("{} {}\n", name, value);
}

void PrometheusText::sample(std::string_view name, std::string_view label,
                            std::string_view label_value, double value) {
    text_ += fmt::format("{}{{{}=\"{}\"}} {}\n", name, label, escape_label(label_value), value);
}

void PrometheusText::histogram(std::string_view name, std::string_view help,
                               const DurationCounts& counts) {
    begin(name, "histogram", help);
    uint64_t below = 0;
    for (size_t at = 0; at < DurationCounts::kBoundsUs.size(); ++at) {
        below += counts.counts[at];
        const double bound =
            static_cast<double>(DurationCounts::kBoundsUs[at]) / kMicrosecondsPerSecond;
        text_ += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, bound, below);
    }
    const uint64_t all = counts.total();
    text_ += fmt::format("{}_bucket{{le=\"+Inf\"}} {}\n{}_sum {}\n{}_count {}\n", name, all, name,
                         static_cast<double>(counts.sum_us) / kMicrosecondsPerSecond, name, all);
}

}  // namespace stepdb
