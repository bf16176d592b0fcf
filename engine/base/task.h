// Task<T>: a lazy coroutine, the form of everything in the engine that waits for the disk.
//
// A Task starts when it is awaited and runs on whichever thread resumes it (in the engine: the one
// executor). One that ends without having waited lets its caller go on in place, so a loop over
// such tasks uses no stack in any build (g++ turns symmetric transfer into a jump only from -O2
// on); one that has waited hands over by symmetric transfer. A Task that was never awaited is
// destroyed without running. Exceptions end the process.
//
// Rules for g++ 12, which destroys some temporaries of co_await expressions twice: no lambda, no
// aggregate with members of class type and no `?:` of class type inside an expression that
// contains co_await. Name it on the line before.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "engine/base/check.h"

namespace stepdb {

template <typename T>
class [[nodiscard]] Task;

namespace task_internal {

struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) const noexcept {
        if (done.promise().starting) {
            return std::noop_coroutine();
        }
        return done.promise().continuation;
    }
    void await_resume() const noexcept {}
};

struct PromiseBase {
    std::coroutine_handle<> continuation = std::noop_coroutine();
    bool starting = false;  // within await_suspend, which sees for itself whether the task ended

    std::suspend_always initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return {}; }
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

template <typename T>
struct Promise : PromiseBase {
    std::optional<T> value;

    Task<T> get_return_object();
    template <typename U>
    void return_value(U&& result) {
        value.emplace(std::forward<U>(result));
    }
    T take() { return std::move(*value); }
};

template <>
struct Promise<void> : PromiseBase {
    Task<void> get_return_object();
    void return_void() const noexcept {}
    void take() const noexcept {}
};

}  // namespace task_internal

template <typename T>
class [[nodiscard]] Task {
  public:
    using promise_type = task_internal::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() {
        if (handle_) {
            handle_.destroy();
        }
    }

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> awaiting) noexcept {
        auto& promise = handle_.promise();
        promise.continuation = awaiting;
        promise.starting = true;
        handle_.resume();
        promise.starting = false;
        return !handle_.done();
    }
    T await_resume() { return handle_.promise().take(); }

  private:
    Handle handle_;
};

namespace task_internal {

template <typename T>
Task<T> Promise<T>::get_return_object() {
    return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
    return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

// A coroutine nobody awaits: it starts at once and frees itself at its end.
struct Detached {
    struct promise_type {
        Detached get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    };
};

template <typename T, typename Done>
Detached run_detached(Task<T> task, Done done) {
    if constexpr (std::is_void_v<T>) {
        co_await task;
        done();
    } else {
        T value = co_await task;
        done(std::move(value));
    }
}

}  // namespace task_internal

// Starts `task` now, on this thread, and calls done(value) (done() for void) when it ends.
template <typename T, typename Done>
void start(Task<T> task, Done done) {
    task_internal::run_detached<T, Done>(std::move(task), std::move(done));
}

// Suspends until resume() is called, from the same thread; for waiting on a condition of the
// engine's own. One waiter at a time.
class Signal {
  public:
    bool await_ready() const noexcept { return fired_; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
    void await_resume() noexcept { fired_ = false; }

    void fire() {
        fired_ = true;
        if (auto waiter = std::exchange(waiter_, {})) {
            waiter.resume();
        }
    }

  private:
    std::coroutine_handle<> waiter_;
    bool fired_ = false;
};

// Mutual exclusion among tasks of one executor, in order of asking.
class TaskMutex {
  public:
    class Awaiter {
      public:
        explicit Awaiter(TaskMutex& mutex) : mutex_(mutex) {}
        bool await_ready() const noexcept { return !std::exchange(mutex_.locked_, true); }
        void await_suspend(std::coroutine_handle<> waiter) { mutex_.waiters_.push_back(waiter); }
        void await_resume() const noexcept {}

      private:
        TaskMutex& mutex_;
    };

    [[nodiscard]] Awaiter lock() { return Awaiter(*this); }

    // Hands over to the next waiter, which runs at once.
    void unlock() {
        if (waiters_.empty()) {
            locked_ = false;
            return;
        }
        const std::coroutine_handle<> next = waiters_.front();
        waiters_.pop_front();
        next.resume();
    }

  private:
    std::deque<std::coroutine_handle<>> waiters_;
    bool locked_ = false;
};

}  // namespace stepdb
