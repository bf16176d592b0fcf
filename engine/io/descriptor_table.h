// How many files and sockets the process may have open.
#pragma once

#include <cstddef>

namespace stepdb {

// Raises the soft limit of open descriptors to `wanted`, or as far as the hard limit lets it, and
// has the kernel make its table for as many now: it grows by copying at each power of two, for
// which a process with several threads waits until all processors have passed a quiet point
// (expand_fdtable(), some 20 ms), and accept() would be what waits. Returns how many there may be.
// Call it before anything is served; threads do not matter.
size_t make_room_for_descriptors(size_t wanted);

}  // namespace stepdb
