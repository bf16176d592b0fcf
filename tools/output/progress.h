// A progress bar on a terminal for anything that takes over a second; silent elsewhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tools/output/result_writer.h"

namespace stepdb {

struct ProgressOptions {
    ProgressOptions() = default;

    std::string label;      // "importing"
    std::string unit;       // "points"
    uint64_t total = 0;     // 0: unknown, no bar and no end time
    bool terminal = false;  // else nothing is ever written
    int width = 80;         // columns of the terminal
};

// The clock for it: one that never goes back, in microseconds.
int64_t steady_us();

// Draws one line again and again, on stderr as a rule. Single-threaded.
//
//   importing  ██████████▌           42 %   1.26M of 3M points   350k/s   5 s left
class Progress {
  public:
    // `now_us` is steady_us() but for tests.
    Progress(ProgressOptions options, TextSink sink, std::function<int64_t()> now_us);
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    // Takes the line away, as finish() does.
    ~Progress();

    // So much is done now. Cheap: draws at most ten times a second, and not in the first second.
    void update(uint64_t done);

    // Takes the line away.
    void finish();

  private:
    std::string line(uint64_t done, int64_t elapsed_us) const;

    ProgressOptions options_;
    TextSink sink_;
    std::function<int64_t()> now_us_;
    int64_t started_us_;
    int64_t drawn_us_ = 0;
    bool drawn_ = false;
};

}  // namespace stepdb
