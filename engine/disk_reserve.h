// Room on the disk that is kept for deletes, so that a full disk does not keep anybody from making
// room on it: a file that holds nothing, with its space allocated. When the disk is full and
// something is deleted, or the log cannot write down what it has taken, the file is removed, and
// what it had is there for a log file and a merge; when there is room again, it is made anew.
//
// A file, and not a count of free bytes: others write to the disk too, and what is counted as free
// may be theirs by the time it is needed.
#pragma once

#include <string>

#include "engine/io/file_system.h"

namespace stepdb {

inline constexpr std::string_view kReserveName = "RESERVE";

class DiskReserve {
  public:
    DiskReserve(FileSystem& files, const std::string& directory, uint64_t bytes);

    // Takes over what an earlier life has left; of another size it is removed.
    Task<Status> find();
    // kResourceExhausted if there is no room for it; then nothing is left of it.
    Task<Status> take();
    Task<Status> give_up();

    uint64_t bytes() const { return bytes_; }
    // Whether the room is there now; and whether it was, and has been given up since.
    bool held() const { return state_ == State::kHeld; }
    bool given_up() const { return state_ == State::kGivenUp; }

  private:
    enum class State : uint8_t { kNone, kHeld, kGivenUp };

    FileSystem& files_;
    std::string path_;
    uint64_t bytes_;
    State state_ = State::kNone;
};

}  // namespace stepdb
