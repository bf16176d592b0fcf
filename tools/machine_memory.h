// How much memory a process may have: the machine's, or what its control groups leave of that, as
// in a container or under a service manager's limit.
#pragma once

#include <cstdint>
#include <string>

namespace stepdb {

// `root` is where /proc and /sys are looked for.
uint64_t memory_of_machine(const std::string& root = "");

}  // namespace stepdb
