#include "engine/io/loop.h"

#include <utility>

namespace stepdb {

namespace {

// The loop whose thread this is.
thread_local const Loop* current_loop = nullptr;

}  // namespace

void Loop::post(std::function<void()> work) {
    bool asleep = false;
    {
        const std::lock_guard lock(mutex_);
        posted_.push_back(std::move(work));
        asleep = std::exchange(sleeping_, false);
    }
    if (asleep) {
        wake();
    }
}

bool Loop::is_current() const {
    return current_loop == this;
}

void Loop::start_thread() {
    CHECK(!thread_.joinable(), "a loop starts once");
    thread_ = std::thread([this] { run(); });
}

void Loop::stop() {
    CHECK(!is_current(), "a loop cannot stop itself");
    bool asleep = false;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        asleep = std::exchange(sleeping_, false);
    }
    if (asleep) {
        wake();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

void Loop::run() {
    current_loop = this;
    std::vector<std::function<void()>> batch;
    while (true) {
        bool idle = false;
        {
            const std::lock_guard lock(mutex_);
            batch.swap(posted_);
            idle = batch.empty();
            if (idle && stopping_ && !has_requests()) {
                break;
            }
            // While it is set, post() and stop() call wake(), once.
            sleeping_ = idle;
        }
        for (std::function<void()>& work : batch) {
            work();
            work = nullptr;  // frees what it holds before the next piece runs
        }
        batch.clear();
        poll(idle);
        if (idle) {
            const std::lock_guard lock(mutex_);
            sleeping_ = false;
        }
    }
    current_loop = nullptr;
}

}  // namespace stepdb
