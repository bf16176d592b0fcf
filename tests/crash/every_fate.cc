#include "tests/crash/every_fate.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"

namespace stepdb {

namespace {

// Which sectors these four outcomes keep.
constexpr uint64_t kTearings = 4;

std::vector<bool> torn(size_t count, uint64_t tearing) {
    std::vector<bool> kept(count);
    for (size_t i = 0; i < count; ++i) {
        const bool is_first_half = i < count / 2;
        const bool is_last = i + 1 == count;
        kept[i] = tearing == 0   ? is_first_half
                  : tearing == 1 ? !is_first_half
                  : tearing == 2 ? !is_last
                                 : is_last;
    }
    return kept;
}

// Of one or two sectors some of these are the same.
uint64_t tearings(size_t count) {
    return count < 3 ? 2 : kTearings;
}

}  // namespace

uint64_t EveryFate::below(uint64_t outcomes) {
    if (at_ == answers_.size()) {
        answers_.push_back({outcomes, 0});
    }
    const Answer& answer = answers_[at_++];
    CHECK(answer.outcomes == outcomes,
          "question {} has {} outcomes and had {} with the same answers", at_, outcomes,
          answer.outcomes);
    return answer.chosen;
}

std::vector<bool> EveryFate::sectors(size_t count) {
    return torn(count, below(tearings(count)));
}

bool EveryFate::next() {
    at_ = 0;
    while (!answers_.empty() && answers_.back().chosen + 1 == answers_.back().outcomes) {
        answers_.pop_back();
    }
    if (answers_.empty()) {
        return false;
    }
    ++answers_.back().chosen;
    return true;
}

uint64_t OneApartFate::below(uint64_t outcomes) {
    outcomes_.push_back(outcomes);
    const uint64_t usual = std::min(usual_, outcomes - 1);
    return outcomes_.size() - 1 == apart_ ? apart_outcome_ : usual;
}

std::vector<bool> OneApartFate::sectors(size_t count) {
    return torn(count, below(tearings(count)));
}

bool OneApartFate::next() {
    const std::vector<uint64_t> asked = std::exchange(outcomes_, {});
    if (apart_ == SIZE_MAX) {
        apart_ = 0;
        apart_outcome_ = 0;
    } else {
        ++apart_outcome_;
    }
    while (apart_ < asked.size()) {
        if (apart_outcome_ == std::min(usual_, asked[apart_] - 1)) {
            ++apart_outcome_;
        }
        if (apart_outcome_ < asked[apart_]) {
            return true;
        }
        ++apart_;
        apart_outcome_ = 0;
    }
    if (usual_ == 1) {
        return false;
    }
    usual_ = 1;
    apart_ = SIZE_MAX;
    return true;
}

}  // namespace stepdb
