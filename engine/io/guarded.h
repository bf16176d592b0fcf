// A value that several threads use, one after the other: for the few things of the engine that are
// shared and change. It is held for some instructions at a time, as an allocator holds its lists;
// nobody waits here for anything to happen.
#pragma once

#include <mutex>
#include <utility>

namespace stepdb {

template <typename Value>
class Guarded {
  public:
    Guarded() = default;
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;

    // What use(value) returns. `use` neither posts nor waits, and frees nothing large.
    template <typename Use>
    auto with(Use use) {
        const std::lock_guard lock(mutex_);
        return use(value_);
    }
    template <typename Use>
    auto with(Use use) const {
        const std::lock_guard lock(mutex_);
        return use(std::as_const(value_));
    }

  private:
    mutable std::mutex mutex_;
    Value value_;
};

}  // namespace stepdb
