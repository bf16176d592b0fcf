// Data of known content, which `stepdb bench query` stores and then asks about: what every point of
// it is can be told without asking, so that answers can be checked.
//
// A set is some runs of equal shape with the steps 0, 1, 2, ... Its values are a pool of rows made
// by LoadValues, through which every run goes from a place of its own, as in a load.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "net/client.h"

namespace stepdb {

// What metrics are called.
enum class KnownNames : uint8_t {
    kNumbered,     // bench/000000, as in a load
    kLayers,       // layers/3/attn/q/grad_norm: a hundred to a layer
    kLayersOfRun,  // model-17/layers/3/attn/q/grad_norm in run 17: no name is in two runs
};

struct KnownShape {
    KnownShape() = default;

    std::string name;  // of the set, and in the names of its runs
    uint32_t runs = 1;
    uint32_t metrics = 1;
    uint64_t rows = 1;  // of each run
    KnownNames names = KnownNames::kNumbered;
    bool has_attributes = false;  // config/lr, config/opt and config/seed
    // Each run is a fork of the one before: run k of n reads as it up to the step k * rows / n.
    bool forks = false;

    uint64_t points() const { return uint64_t{runs} * metrics * rows; }
};

class KnownData {
  public:
    // Makes the values. Runs are PROJECT/PREFIX-NAME-a-0 and so on: those of the first tenth with
    // an a, the others with a b, so that a glob can name a tenth. Their natural order is that of
    // their numbers, and so it is with metrics.
    KnownData(KnownShape shape, std::string project, const std::string& prefix, uint64_t seed);

    const KnownShape& shape() const { return shape_; }
    // As queries name them.
    std::string run(uint32_t run) const;
    std::string metric(uint32_t run, uint32_t metric) const;
    std::string all_runs() const { return project_ + "/" + prefix_ + "*"; }
    std::string first_tenth() const { return project_ + "/" + prefix_ + "a-*"; }
    uint32_t tenth() const { return (shape_.runs + 9) / 10; }

    // As the run reads: of a fork, at the steps up to its fork step, as its parent does.
    double value(uint32_t run, uint32_t metric, uint64_t step) const;
    double learning_rate(uint32_t run) const;
    std::string_view optimizer(uint32_t run) const;

    // Whether `metric` of any run is what kKnownRegex is found in.
    static bool is_found(uint32_t metric);

    // On a connection of a writer that has opened no run. Everything is acknowledged then; `told`
    // is how many points have been sent, again and again.
    Status store(Client& client, const std::function<void(uint64_t)>& told) const;

  private:
    uint64_t fork_step(uint32_t run) const { return run * shape_.rows / shape_.runs; }
    uint32_t writer_of(uint32_t run, uint64_t step) const;
    size_t pool_row(uint32_t run, uint64_t step) const {
        return (run * uint64_t{7919} + step) % pool_rows_;
    }
    std::string run_id(uint32_t run) const;
    std::vector<std::string> metrics_of(uint32_t run) const;
    Status store_run(Client& client, const std::shared_ptr<const Schema>& schema, uint32_t run,
                     int64_t time_us) const;

    KnownShape shape_;
    std::string project_;
    std::string prefix_;
    size_t pool_rows_;
    std::vector<double> pool_;  // row after row
};

// Finds two metrics of every tenth layer, whatever stands before.
inline constexpr std::string_view kKnownRegex = R"(layers/\d*7/attn/[qk]/grad_norm$)";

}  // namespace stepdb
