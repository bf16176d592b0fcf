// Every outcome of everything that is left to chance, one after the other: a Fate that a test asks
// its questions again and again, and that answers them differently each time until all has been.
//
//     EveryFate fate;
//     do {
//         use(what_a_crash_leaves(fate));
//     } while (fate.next());
//
// Of a torn write four subsets of its sectors stand for all: the first half, the second half, all
// but the last, and the last alone.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/support/sim_executor.h"

namespace stepdb {

class EveryFate final : public Fate {
  public:
    uint64_t below(uint64_t outcomes) override;
    std::vector<bool> sectors(size_t count) override;

    // Begins anew with other answers; false if there are none that have not been given.
    bool next();

  private:
    struct Answer {
        uint64_t outcomes = 0;
        uint64_t chosen = 0;
    };

    std::vector<Answer> answers_;
    size_t at_ = 0;  // of the next question
};

// Of so many questions that not all combinations can be tried: all of them answered alike, and one
// of them differently from all others, in every way.
class OneApartFate final : public Fate {
  public:
    uint64_t below(uint64_t outcomes) override;
    std::vector<bool> sectors(size_t count) override;
    bool next();

  private:
    // Nothing of what has no other answer is kept at first, then all.
    uint64_t usual_ = 0;
    size_t apart_ = SIZE_MAX;  // the question that is answered otherwise; none at first
    uint64_t apart_outcome_ = 0;
    std::vector<uint64_t> outcomes_;  // of the questions of this time
};

}  // namespace stepdb
