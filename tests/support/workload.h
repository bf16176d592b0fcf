// Random changes for the engine's tests: small, and dense in everything that can go wrong: late and
// replaced keys, absent values, several schemas that share metrics, all classes of floats.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/sim_store.h"

namespace stepdb {

class Workload {
  public:
    // Every run has its schemas drawn from one small set of metrics, so that they overlap.
    Workload(SimRandom& random, uint32_t runs);

    // Rows of one schema of one run. Keys come from a small range: many are late or replace.
    ModelChange next();

    // A double of any class: small integers, float32-exact, decimals, random bits, NaNs with
    // payload, infinities, zeros of both signs, denormals.
    static double any_value(SimRandom& random);

  private:
    ModelRow make_row(const Schema& schema);

    SimRandom& random_;
    uint32_t runs_;
    std::vector<std::shared_ptr<const Schema>> schemas_;
    double step_ = 0;
};

// Writes a store of two runs, flushes it after the changes numbered in `flushes`, and kills it: a
// segment for each flush, a catalog, and a log with what came after.
void write_and_kill(SimDisk& disk, int changes, const std::vector<int>& flushes);

}  // namespace stepdb
