// Executors for tests of the network: one run by hand, one with a thread of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "engine/io/executor.h"

namespace stepdb {

// Work runs when the test says so.
class ManualExecutor : public Executor {
  public:
    void post(std::function<void()> work) override { work_.push_back(std::move(work)); }
    bool is_current() const override { return true; }

    // Runs what was posted and what that posts. True if there was anything.
    bool run() {
        const bool had_work = !work_.empty();
        while (!work_.empty()) {
            const std::function<void()> work = std::move(work_.front());
            work_.pop_front();
            work();
        }
        return had_work;
    }

  private:
    std::deque<std::function<void()>> work_;
};

class ThreadExecutor : public Executor {
  public:
    ThreadExecutor() : thread_([this] { loop(); }) {}
    // Runs what was posted, then joins.
    ~ThreadExecutor() override {
        {
            const std::lock_guard lock(mutex_);
            is_stopping_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }
    ThreadExecutor(const ThreadExecutor&) = delete;
    ThreadExecutor& operator=(const ThreadExecutor&) = delete;

    void post(std::function<void()> work) override {
        {
            const std::lock_guard lock(mutex_);
            work_.push_back(std::move(work));
        }
        changed_.notify_one();
    }
    bool is_current() const override { return std::this_thread::get_id() == thread_.get_id(); }

    // Runs `work` there and waits for it.
    void run(const std::function<void()>& work) {
        std::promise<void> done;
        post([&] {
            work();
            done.set_value();
        });
        done.get_future().wait();
    }

  private:
    void loop() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return is_stopping_ || !work_.empty(); });
            if (work_.empty()) {
                return;
            }
            const std::function<void()> work = std::move(work_.front());
            work_.pop_front();
            lock.unlock();
            work();
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> work_;
    bool is_stopping_ = false;
    std::thread thread_;
};

}  // namespace stepdb
