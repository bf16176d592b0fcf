// A Loop on io_uring. Requests are collected while work runs and submitted with one system call a
// turn, which also waits for completions when there is nothing else to do. A write and its sync
// travel as two linked entries, never as RWF_DSYNC: with direct I/O and all cores busy that takes
// 4 ms where the linked pair takes 0.1 (measured).
#pragma once

#include <memory>

#include "engine/base/result.h"
#include "engine/io/loop.h"

namespace stepdb {

class UringLoop final : public Loop {
  public:
    // Fails with kIoError where the kernel has no io_uring or forbids it.
    static Result<std::unique_ptr<UringLoop>> create();
    ~UringLoop() override;

    void submit(IoRequest& request) override;

  private:
    struct Ring;

    explicit UringLoop(std::unique_ptr<Ring> ring);
    void poll(bool block) override;
    void wake() override;
    bool has_requests() const override;

    std::unique_ptr<Ring> ring_;
};

}  // namespace stepdb
