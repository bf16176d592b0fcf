// A large buffer that is filled once and then held by everybody who still reads from it.
#pragma once

#include <memory>
#include <utility>

#include "engine/base/bytes.h"
#include "engine/base/large_buffer.h"
#include "engine/base/memory_budget.h"

namespace stepdb {

// Filled and charged on one thread; the last holder may be on any.
class SharedBuffer {
  public:
    explicit SharedBuffer(size_t bytes) : memory_(bytes) {}

    std::byte* data() { return memory_.data(); }
    size_t size() const { return memory_.size(); }
    Bytes span() const { return {memory_.data(), memory_.size()}; }

    // Before it is held for long: charges the whole of it to `rows`, once, if `shared`, which
    // bounds what is held of such buffers altogether, has room for it. Else nothing is done.
    bool try_charge(const std::shared_ptr<MemoryBudget>& rows,
                    const std::shared_ptr<MemoryBudget>& shared) {
        if (rows_.bytes() != 0) {
            return true;
        }
        MemoryCharge charge(shared);
        if (!charge.try_set(memory_.capacity())) {
            return false;
        }
        shared_ = std::move(charge);
        rows_ = MemoryCharge(rows, memory_.capacity());
        return true;
    }

  private:
    LargeBuffer memory_;
    MemoryCharge shared_;
    MemoryCharge rows_;
};

}  // namespace stepdb
