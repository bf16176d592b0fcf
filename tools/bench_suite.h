// `stepdb bench query`: questions of known answers.
#pragma once

#include "tools/bench_run.h"

namespace stepdb {

// Stores what the questions of `options` are about, asks them in turn and prints what it measured
// of each. An error also if an answer was not what had been stored; the others are measured still.
Status run_suite(const BenchOptions& options);

}  // namespace stepdb
