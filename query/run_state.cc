#include "query/run_state.h"

#include "engine/model/limits.h"

namespace stepdb {

std::string_view shown_state(const Run& run, const RunActivity& activity, int64_t now_us) {
    const bool stale = run.state == RunState::kRunning && activity.last_sign_us != 0 &&
                       now_us - activity.last_sign_us > kStaleAfterUs;
    return stale ? "stale" : run_state_name(run.state);
}

}  // namespace stepdb
