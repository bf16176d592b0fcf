// `stepdb bench ingest` and `mixed`.
#pragma once

#include "engine/base/result.h"
#include "tools/bench_run.h"

namespace stepdb {

// Runs the workloads, each against a store of its own if the server is, and prints a report of
// each as soon as it is there.
Status run_ingest(const BenchOptions& options, bool with_charts);

}  // namespace stepdb
