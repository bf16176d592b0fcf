#include "tools/bench/measured.h"

#include <atomic>
#include <csignal>

namespace stepdb {

namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

void note_interruption(int /*signal*/) {
    interrupted = true;
}

}  // namespace

MeasuredWindow MeasuredWindow::from_now(double warm_up, double seconds) {
    const auto after = [](double wait) {
        return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
            std::chrono::duration<double>(wait));
    };
    MeasuredWindow window;
    window.begin = std::chrono::steady_clock::now() + after(warm_up);
    window.end = window.begin + after(seconds);
    return window;
}

bool is_interrupted() {
    return interrupted;
}

void catch_interruption() {
    struct sigaction action = {};
    action.sa_handler = note_interruption;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

void LoadReport::merge(const LoadReport& other) {
    rows += other.rows;
    rows_in_window += other.rows_in_window;
    late_rows += other.late_rows;
    frames += other.frames;
    bytes += other.bytes;
    latencies.merge(other.latencies);
}

}  // namespace stepdb
