// First in, first out, and no memory while it is empty. A connection has several queues, there are
// thousands of connections, and nearly all of them wait for something: an empty std::deque holds
// 576 bytes, and one that was long once holds them for good.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "engine/base/check.h"

namespace stepdb {

template <typename T>
class LeanQueue {
  public:
    bool empty() const { return begin_ == items_.size(); }
    size_t size() const { return items_.size() - begin_; }
    const T& front() const { return items_[begin_]; }

    void push_back(T item) { items_.push_back(std::move(item)); }

    // Takes the first one out.
    T pop_front() {
        CHECK(!empty(), "nothing is in the queue");
        T item = std::move(items_[begin_]);
        ++begin_;
        if (begin_ == items_.size()) {
            clear();
        } else if (begin_ >= kMovedMin && begin_ > items_.size() / 2) {
            items_.erase(items_.begin(), items_.begin() + static_cast<ptrdiff_t>(begin_));
            begin_ = 0;
        }
        return item;
    }

    void clear() {
        items_ = std::vector<T>();
        begin_ = 0;
    }

  private:
    // Below so many taken ones nothing is moved up.
    static constexpr size_t kMovedMin = 32;

    std::vector<T> items_;
    size_t begin_ = 0;  // those before it are taken
};

}  // namespace stepdb
