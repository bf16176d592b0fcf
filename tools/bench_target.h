// The server that a benchmark loads, its own or another's, and questions to it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "net/client.h"
#include "tools/bench/load.h"
#include "tools/bench/own_server.h"
#include "tools/bench/reports.h"
#include "tools/bench_run.h"

namespace stepdb {

// What one series is: its range of steps, and how many points it has.
struct SeriesExtent {
    double lo = 0;
    double hi = 0;
    uint64_t points = 0;
};

class BenchTarget {
  public:
    // Starts a server if there is none. `options` outlive the target.
    static Result<std::unique_ptr<BenchTarget>> open(const BenchOptions& options);

    // Null if the server is another's.
    OwnServer* own() const { return own_.get(); }
    const BenchOptions& options() const { return options_; }
    // Of the runs that are made: eight random digits.
    const std::string& prefix() const { return prefix_; }
    // HOST:PORT; another one after a restart.
    ServerChoice server() const;

    Result<std::unique_ptr<Client>> connect_reader() const;
    Result<std::unique_ptr<Client>> connect_writer() const;
    Result<BenchContext> describe(std::string_view benchmark) const;
    Result<LoadOptions> load_options(const Workload& workload) const;

    // Takes an answer block by block.
    using TakeBlock = std::function<void(const std::vector<ResultColumn>&, const ResultBlock&)>;
    Status ask(const std::string& text, const TakeBlock& take) const;
    // Of all series that `selection` finds together.
    Result<SeriesExtent> extent_of(const std::string& selection) const;

    // Segments, catalog and manifests of its own, stopped server by the points in them; nothing if
    // there are none. A stopped server leaves a little in its log: those rows are not counted.
    Result<std::optional<double>> settled_bytes_per_point(uint64_t rows, uint32_t metrics) const;

  private:
    explicit BenchTarget(const BenchOptions& options) : options_(options) {}

    const BenchOptions& options_;
    std::unique_ptr<OwnServer> own_;
    std::string prefix_;
};

// To the standard output.
TextSink bench_sink();

}  // namespace stepdb
