// SIGINT and SIGTERM as a wish to stop, for commands that go on until they are told to.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "engine/base/result.h"

namespace stepdb {

// Another signal half a second later or more ends the process at once, as it would have without
// this. Make it before anything that starts threads: they are not to get the signals.
class StopSignals {
  public:
    StopSignals();
    ~StopSignals();
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;

    // Any thread.
    bool is_stopping() const { return is_stopping_.load(); }
    // Until the wish comes, at most that long; whether it has come.
    bool wait(std::chrono::microseconds time_max);

    // `stop` is called on a thread of this object's if it is still set `grace` after the signal:
    // what holds up the end, such as a server that does not answer, is to be given up. Nothing for
    // it takes it back, and waits for a call that is under way.
    void when_overdue(std::chrono::milliseconds grace, std::function<void()> stop);

  private:
    void run();

    const int wake_;     // readable once this object is to go
    const int signals_;  // the signals
    std::atomic<bool> is_stopping_ = false;
    std::mutex mutex_;
    std::condition_variable stopping_;
    std::mutex overdue_;  // of the next two, and held in the call
    std::chrono::milliseconds grace_ = std::chrono::hours(1);
    std::function<void()> stop_;
    std::thread thread_;
};

}  // namespace stepdb
