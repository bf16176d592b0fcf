// One connection that asks one question after the other: each as soon as the last is answered, or
// at fixed times, as a page does that refreshes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "net/client.h"
#include "tools/bench/latencies.h"
#include "tools/bench/measured.h"

namespace stepdb {

struct AskerReport {
    AskerReport() = default;

    std::string text;   // the last question
    uint64_t rows = 0;  // of all answers in the window
    Latencies latencies;

    void merge(const AskerReport& other) {
        text = other.text;
        rows += other.rows;
        latencies.merge(other.latencies);
    }
};

class ChartAsker {
  public:
    // `question` makes the text of the next one; `interval` is between the times at which they are
    // due, zero for each as soon as the last is answered.
    ChartAsker(std::unique_ptr<Client> client, std::function<std::string()> question,
               std::chrono::nanoseconds interval = std::chrono::nanoseconds::zero())
        : client_(std::move(client)), question_(std::move(question)), interval_(interval) {}

    // Asks until the window ends; what is answered before it begins warms up. A latency is from
    // the sending of the text, or from when that was due if answers come too late for it, until the
    // answer's last block has been read and decoded.
    Status run(const MeasuredWindow& window);

    const AskerReport& report() const { return report_; }

  private:
    std::unique_ptr<Client> client_;
    std::function<std::string()> question_;
    std::chrono::nanoseconds interval_;
    AskerReport report_;
};

}  // namespace stepdb
