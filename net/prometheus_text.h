// The text in which Prometheus takes metrics (exposition format 0.0.4): a family is its HELP and
// TYPE, then a line for each of its samples.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "engine/base/duration_histogram.h"

namespace stepdb {

class PrometheusText {
  public:
    static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

    // A name ends in `_total`.
    void counter(std::string_view name, std::string_view help, double value);
    void gauge(std::string_view name, std::string_view help, double value);
    // A name ends in `_seconds`.
    void histogram(std::string_view name, std::string_view help, const DurationCounts& counts);

    // Of a family whose samples have a label.
    void begin(std::string_view name, std::string_view type, std::string_view help);
    void sample(std::string_view name, std::string_view label, std::string_view label_value,
                double value);

    std::string take() { return std::move(text_); }

  private:
    std::string text_;
};

}  // namespace stepdb
