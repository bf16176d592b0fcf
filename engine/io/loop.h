// The real executor: one thread that runs posted work and the completions of its own I/O, so that a
// coroutine that waits for the disk goes on without a hop to another thread. Two kinds: UringLoop
// and PosixLoop; HostFileSystem makes a FileSystem of either.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/check.h"
#include "engine/base/task.h"
#include "engine/io/executor.h"

namespace stepdb {

// One system call on a descriptor, or a write and the sync that must follow it. Results are the
// kernel's: a count of bytes or 0, or minus an errno. It lives with whoever waits for it.
struct IoRequest {
    enum class Kind : uint8_t {
        kRead,      // fills `into`, perhaps in part
        kWrite,     // writes `from`, perhaps in part
        kSync,      // fsync
        kDataSync,  // fdatasync
        kAllocate,  // reserves [offset, offset + length)
    };
    IoRequest() = default;

    Kind kind = Kind::kRead;
    bool then_sync = false;  // of a kWrite: fdatasync `sync_descriptor` once all of it is written
    int descriptor = -1;
    int sync_descriptor = -1;
    uint64_t offset = 0;
    uint64_t length = 0;
    MutableBytes into;
    Bytes from;

    int64_t result = 0;
    int64_t sync_result = 0;  // -ECANCELED if the sync was not made because the write fell short
    std::coroutine_handle<> waiter;

    int steps_left = 0;          // the loop's own
    bool sync_unlinked = false;  // likewise
};

class Loop : public Executor {
  public:
    // Bytes of one read or write at most; the kernel's own limit is a little under 2 GiB.
    static constexpr uint64_t kTransferBytesMax = uint64_t{1} << 30U;

    Loop() = default;
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    void post(std::function<void()> work) final;
    bool is_current() const final;

    // Runs what is posted and waits for what is under way until both are none, then ends the
    // thread. Not from the loop's own thread. Work posted later never runs. Once or more.
    void stop();

    // Begins `request` at the end of this turn of the loop, with all others begun in it, and
    // resumes its waiter when it has ended. On the loop's thread only.
    virtual void submit(IoRequest& request) = 0;

  protected:
    // Derived classes call start_thread() when they are whole and stop() in their destructors.
    void start_thread();

    // Begins the requests submitted, and resumes the waiters of those that have ended. If `block`
    // is set it waits until there is one, or until wake() is called.
    virtual void poll(bool block) = 0;

    // Ends a poll() that waits, or the next one that would. From any thread.
    virtual void wake() = 0;

    // Requests that have not ended.
    virtual bool has_requests() const = 0;

  private:
    void run();

    mutable std::mutex mutex_;
    std::vector<std::function<void()>> posted_;  // under mutex_, like the next two
    bool sleeping_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

// co_await IoCall(loop, request): until `request` has ended.
class IoCall {
  public:
    IoCall(Loop& loop, IoRequest& request) : loop_(&loop), request_(&request) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
        request_->waiter = waiter;
        loop_->submit(*request_);
    }
    void await_resume() const noexcept {}

  private:
    Loop* loop_;
    IoRequest* request_;
};

// Runs `task` on the loop and blocks this thread, which is not the loop's, until it has ended and
// its coroutine is gone. For tools, tests and benchmarks.
template <typename T>
T block_on(Loop& loop, Task<T> task) {
    CHECK(!loop.is_current(), "the loop would wait for itself");
    std::optional<T> result;
    std::promise<void> ended;
    loop.post([&] {
        start(std::move(task), [&](T value) {
            result.emplace(std::move(value));
            loop.post([&ended] { ended.set_value(); });
        });
    });
    ended.get_future().wait();
    return *std::move(result);
}

inline void block_on(Loop& loop, Task<void> task) {
    CHECK(!loop.is_current(), "the loop would wait for itself");
    std::promise<void> ended;
    loop.post([&] { start(std::move(task), [&] { loop.post([&ended] { ended.set_value(); }); }); });
    ended.get_future().wait();
}

}  // namespace stepdb
