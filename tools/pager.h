// Shows text that may be longer than the terminal, through $PAGER or else `less`.
#pragma once

#include <cstdio>
#include <string_view>

namespace stepdb {

// While it lives what it is given goes to the pager, or to the standard output if there is none.
// The pager is started by the first text. It should leave what fits on one screen at once, as `less
// -F` does; if the user quits early the rest is swallowed. Ctrl-C is the pager's. Single-threaded.
class Pager {
  public:
    // Does nothing but write to the standard output unless `wanted`.
    explicit Pager(bool wanted) : is_wanted_(wanted) {}
    // Waits until the user has seen it.
    ~Pager();
    Pager(const Pager&) = delete;
    Pager& operator=(const Pager&) = delete;

    void write(std::string_view text);
    // The user has quit: what is still to come is not wanted.
    bool is_closed() const { return is_closed_; }

  private:
    bool is_wanted_;
    std::FILE* pipe_ = nullptr;
    bool is_closed_ = false;
};

}  // namespace stepdb
