#include "engine/base/memory_budget.h"

#include <algorithm>

namespace stepdb {

MemoryBudget::~MemoryBudget() {
    if (whole_ != nullptr) {
        whole_->give_back(reserved());
    }
}

bool MemoryBudget::try_take(size_t bytes, size_t leaving) {
    const size_t bound = bytes_max_ - std::min(leaving, bytes_max_);
    size_t before = used();
    do {
        if (bytes > bound || before > bound - bytes) {
            return false;
        }
    } while (!used_.compare_exchange_weak(before, before + bytes, std::memory_order_relaxed));
    if (whole_ != nullptr && !try_reserve(before + bytes)) {
        give_back(bytes);
        return false;
    }
    return true;
}

void MemoryBudget::take(size_t bytes) {
    const size_t used = used_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    if (whole_ == nullptr) {
        return;
    }
    size_t before = reserved();
    while (before < used) {
        if (reserved_.compare_exchange_weak(before, used, std::memory_order_relaxed)) {
            whole_->take(used - before);
            return;
        }
    }
}

bool MemoryBudget::try_reserve(size_t bytes) {
    size_t before = reserved();
    while (before < bytes) {
        const size_t more = bytes - before;
        if (!whole_->try_take(more, spared_at(bytes))) {
            return false;
        }
        if (reserved_.compare_exchange_strong(before, bytes, std::memory_order_relaxed)) {
            return true;
        }
        whole_->give_back(more);  // another thread has reserved meanwhile
    }
    return true;
}

void MemoryBudget::release() {
    const size_t kept = used();
    whole_->give_back(reserved_.exchange(kept, std::memory_order_relaxed) - kept);
}

}  // namespace stepdb
