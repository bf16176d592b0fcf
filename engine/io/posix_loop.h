// A Loop for machines without io_uring: plain pread, pwrite, fdatasync and fallocate on a few
// worker threads, their completions back on the loop's own.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/io/loop.h"

namespace stepdb {

class PosixLoop final : public Loop {
  public:
    // Workers: system calls under way at once. The log keeps 2 to 4 groups in flight.
    static constexpr size_t kWorkers = 4;

    static std::unique_ptr<PosixLoop> create();
    ~PosixLoop() override;

    void submit(IoRequest& request) override;

  private:
    PosixLoop();
    void poll(bool block) override;
    void wake() override;
    bool has_requests() const override;
    void work();

    std::deque<IoRequest*> submitted_;  // this turn's; the loop's thread alone
    size_t under_way_ = 0;              // likewise

    std::mutex mutex_;
    std::condition_variable work_ready_;
    std::condition_variable event_ready_;
    std::deque<IoRequest*> waiting_;  // under mutex_, like the rest
    std::vector<IoRequest*> ended_;
    bool woken_ = false;
    bool closing_ = false;
    std::vector<std::thread> workers_;
};

}  // namespace stepdb
