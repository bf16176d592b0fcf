#include "query/run_state.h"

#include <algorithm>

#include "engine/model/limits.h"

namespace stepdb {

std::string_view shown_state(const Run& run, const RunActivity& activity, int64_t now_us) {
    const bool stale = run.state == RunState::kRunning && activity.last_sign_us != 0 &&
                       now_us - activity.last_sign_us > kStaleAfterUs;
    return stale ? "stale" : run_state_name(run.state);
}

std::optional<double> fork_step(const Run& run, uint32_t attempt) {
    Key cut = kKeyMax;
    for (const Attempt* at = run.find_attempt(attempt); at != nullptr;
         at = run.find_attempt(at->parent_attempt)) {
        if (at->parent_run == 0) {
            return std::nullopt;
        }
        cut = std::min(cut, at->parent_cut);
        if (at->parent_run != run.id) {
            return step_of_key(cut);
        }
    }
    return std::nullopt;
}

}  // namespace stepdb
