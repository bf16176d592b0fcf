// Finds where the log of a run jumps back as a whole, as after a crash and from a checkpoint, and
// tells that from rows that only come late: docs/import.md, Restarts, has the rule.
//
// A row below the highest step so far, of series that all were at its step or later, begins a
// candidate. It ends when a series gets further than it was before the candidate, with the next
// jump back that is found to be one, or with the log; then it is a restart, or its rows were late
// ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tools/import/log_row.h"

namespace stepdb {

struct LogRestart {
    LogRestart() = default;

    size_t file = 0;    // of the run's files
    uint64_t row = 0;   // the first row behind the jump, as a number within its file
    double step = 0;    // of this row
    double before = 0;  // of the row before the jump
    double cut = 0;     // the last step that is read of what was before: just below `step`
    uint64_t place = 0;
};

// The steps of a log, each once: the highest kKeptMax of them exactly, of those below that there
// were some.
class StepHistory {
  public:
    static constexpr size_t kKeptMax = 65'536;

    // True if it is new.
    bool insert(double step);
    bool contains(double step) const;
    // How many there are above `low` up to `high`.
    size_t count_above(double low, double high) const;

  private:
    std::vector<double> kept_;  // ascending
    double lowest_ = 0;
    bool has_more_ = false;  // below what is kept
};

// For the files of one run, in their order. Memory grows with the metrics, not with the rows.
// Single-threaded.
class RestartFinder {
  public:
    // Rows that follow are of the run's file of this number.
    void begin_file(size_t file);
    // A row with a step; `metrics` is the list of its log.
    void see(const LogRow& row, const std::vector<std::string>& metrics);

    // In order; nothing is seen any more.
    std::vector<LogRestart> finish();

  private:
    struct Seen {
        double highest = 0;
        uint64_t points = 0;  // 0: not seen
    };
    // What was logged since a jump, or since the begin.
    struct Part {
        Part() = default;

        void add(double step, const std::vector<uint32_t>& metrics);

        LogRestart start;
        double highest = 0;
        std::vector<Seen> seen;         // by metric
        std::vector<uint32_t> touched;  // metrics that are seen
        // Of a candidate, with the rows of those on top of it, against the part before:
        std::optional<double> reached;       // the highest step
        std::vector<uint8_t> is_again;       // by metric: it was there and came again
        uint64_t again_points = 0;           // there, of these
        std::optional<uint64_t> cut_points;  // there, of the series that a restart would cut
        size_t repeated = 0;                 // steps that had been logged
        size_t new_steps = 0;                // others
        bool was_whole = false;              // when the one on top of it began
    };

    static constexpr size_t kPartsMax = 3;       // the last known one and two candidates
    static constexpr size_t kStepsRepeated = 2;  // these make a candidate a restart:
    static constexpr size_t kStepsPassed = 32;   //   one of them suffices
    static constexpr size_t kThinning = 8;       // steps passed for each of its own, or left out

    void take_metrics(const LogRow& row, const std::vector<std::string>& metrics);
    bool gets_further(const Part& part, double step) const;
    bool logs_again(const Part& part, double step) const;
    // In parts_[at], a candidate:
    void note_again(size_t at, double step);
    size_t passed(const Part& part) const;
    bool is_whole(size_t at);
    bool covers(size_t at, double step) const;
    void accept_first();
    void merge(size_t at);
    void count_again(size_t at);
    void end_candidates(double step);
    void begin_candidate(const LogRow& row);

    std::unordered_map<std::string, uint32_t> ids_;
    std::vector<uint32_t> id_of_metric_;  // of the file
    std::vector<uint32_t> metrics_;       // of the row
    size_t file_ = 0;
    uint64_t rows_ = 0;  // of the file
    bool is_integral_ = true;
    double before_ = 0;
    StepHistory steps_;
    std::vector<Part> parts_;
    std::vector<LogRestart> found_;
};

}  // namespace stepdb
