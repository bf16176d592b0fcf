#include "tools/stop_signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "engine/base/check.h"

namespace stepdb {

namespace {

constexpr std::chrono::milliseconds kSameSignal(500);

sigset_t stop_signals() {
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    return stops;
}

int blocked_signals() {
    const sigset_t stops = stop_signals();
    pthread_sigmask(SIG_BLOCK, &stops, nullptr);
    return signalfd(-1, &stops, SFD_CLOEXEC);
}

enum class Came { kNothing, kSignal, kWake };

// Waits for the first of them; a signal is taken.
Came wait_for(int signals, int wake, int time_max_ms, int& signal) {
    pollfd ready[2] = {};
    ready[0].fd = signals;
    ready[0].events = POLLIN;
    ready[1].fd = wake;
    ready[1].events = POLLIN;
    int count = 0;
    do {
        count = ::poll(ready, 2, time_max_ms);
    } while (count < 0 && errno == EINTR);
    if (ready[1].revents != 0) {
        return Came::kWake;
    }
    signalfd_siginfo info = {};
    if (ready[0].revents == 0 || ::read(signals, &info, sizeof(info)) != sizeof(info)) {
        return Came::kNothing;
    }
    signal = static_cast<int>(info.ssi_signo);
    return Came::kSignal;
}

[[noreturn]] void end_by(int signal) {
    const sigset_t stops = stop_signals();
    std::signal(signal, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &stops, nullptr);
    ::raise(signal);
    ::_exit(128 + signal);
}

}  // namespace

StopSignals::StopSignals() : wake_(eventfd(0, EFD_CLOEXEC)), signals_(blocked_signals()) {
    CHECK(wake_ >= 0 && signals_ >= 0, "no descriptors left: {} and {}", wake_, signals_);
    thread_ = std::thread([this] { run(); });
}

StopSignals::~StopSignals() {
    const uint64_t one = 1;
    CHECK(::write(wake_, &one, sizeof(one)) == sizeof(one), "eventfd {}", wake_);
    thread_.join();
    ::close(wake_);
    ::close(signals_);
}

bool StopSignals::wait(std::chrono::microseconds time_max) {
    std::unique_lock lock(mutex_);
    return stopping_.wait_for(lock, time_max, [&] { return is_stopping(); });
}

void StopSignals::when_overdue(std::chrono::milliseconds grace, std::function<void()> stop) {
    const std::lock_guard lock(overdue_);
    grace_ = grace;
    stop_ = std::move(stop);
}

void StopSignals::run() {
    int signal = 0;
    if (wait_for(signals_, wake_, -1, signal) == Came::kWake) {
        return;
    }
    const auto first = std::chrono::steady_clock::now();
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    stopping_.notify_all();
    int grace_ms = 0;
    {
        const std::lock_guard lock(overdue_);
        grace_ms = static_cast<int>(grace_.count());
    }
    while (true) {
        const Came came = wait_for(signals_, wake_, grace_ms, signal);
        if (came == Came::kWake) {
            return;
        }
        if (came == Came::kSignal) {
            // Whoever signals a process and its group, as timeout(1) does, says one thing twice.
            if (std::chrono::steady_clock::now() - first >= kSameSignal) {
                end_by(signal);
            }
            continue;
        }
        grace_ms = -1;
        const std::lock_guard lock(overdue_);
        if (const std::function<void()> stop = std::exchange(stop_, nullptr)) {
            stop();
        }
    }
}

}  // namespace stepdb
