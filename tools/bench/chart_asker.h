// One connection that asks one question after the other, each as soon as the last is answered.
#pragma once

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
    // `question` makes the text of the next one.
    ChartAsker(std::unique_ptr<Client> client, std::function<std::string()> question)
        : client_(std::move(client)), question_(std::move(question)) {}

    // Asks until the window ends; what is answered before it begins warms up. A latency is from
    // the sending of the text until the answer's last block has been read and decoded.
    Status run(const MeasuredWindow& window);

    const AskerReport& report() const { return report_; }

  private:
    std::unique_ptr<Client> client_;
    std::function<std::string()> question_;
    AskerReport report_;
};

}  // namespace stepdb
