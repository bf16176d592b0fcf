// Shows text that may be longer than the terminal, through $PAGER or else `less`.
#pragma once

#include <cstdio>
#include <string_view>

namespace stepdb {

// While it lives what it is given goes to the pager, or to the standard output if there is none.
// The pager must be one that shows and leaves what fits on one screen, as `less -F` does; one that
// the user quits early swallows the rest. Single-threaded.
class Pager {
  public:
    // Does nothing but write to the standard output unless `wanted`.
    explicit Pager(bool wanted);
    // Waits until the user has seen it.
    ~Pager();
    Pager(const Pager&) = delete;
    Pager& operator=(const Pager&) = delete;

    void write(std::string_view text);
    // The user has quit: what is still to come is not wanted.
    bool is_closed() const { return is_closed_; }

  private:
    std::FILE* pipe_ = nullptr;
    bool is_closed_ = false;
};

}  // namespace stepdb
