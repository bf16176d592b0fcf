// A file descriptor that closes itself.
#pragma once

#include <string>
#include <utility>

#include "engine/base/result.h"

namespace stepdb {

class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor();

    int number() const { return number_; }
    bool is_open() const { return number_ >= 0; }

    // open(2) with `flags` and O_CLOEXEC; the error says "<verb> <path>: ...".
    static Result<Descriptor> open(std::string_view verb, const std::string& path, int flags);

  private:
    int number_ = -1;
};

}  // namespace stepdb
