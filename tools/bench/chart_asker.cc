#include "tools/bench/chart_asker.h"

#include <thread>

namespace stepdb {

Status ChartAsker::run(const MeasuredWindow& window) {
    AnswerHandler handler;
    uint64_t rows = 0;
    handler.on_block = [&rows](const ResultBlock& block) {
        rows += block.rows();
        return true;
    };
    SteadyTime now = std::chrono::steady_clock::now();
    SteadyTime due = now;
    while (now < window.end && !is_interrupted()) {
        std::string text = question_();
        SteadyTime since = due;
        if (interval_.count() == 0) {
            since = std::chrono::steady_clock::now();
        } else {
            std::this_thread::sleep_until(due);
            due += interval_;
        }
        rows = 0;
        const Result<QueryEnd> end = client_->query(text, handler);
        if (!end) {
            return end.error();
        }
        now = std::chrono::steady_clock::now();
        if (window.contains(now)) {
            report_.text = std::move(text);
            report_.rows += rows;
            report_.latencies.add(
                std::chrono::duration_cast<std::chrono::nanoseconds>(now - since).count());
        }
    }
    return {};
}

}  // namespace stepdb
