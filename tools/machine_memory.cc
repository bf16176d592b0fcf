#include "tools/machine_memory.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>

namespace stepdb {

namespace {

// What the file says, or `most` if there is none or it says "max".
uint64_t limit_in(const std::string& path, uint64_t most) {
    std::ifstream stream(path);
    std::string text;
    uint64_t limit = 0;
    if (!std::getline(stream, text)) {
        return most;
    }
    const auto read = std::from_chars(text.data(), text.data() + text.size(), limit);
    return read.ec == std::errc() ? std::min(limit, most) : most;
}

// The least limit of a group and those above it, up to the top of what is mounted. Where only the
// group itself is mounted, as in some containers, its path leads nowhere and the top is the group.
uint64_t limit_of_group(const std::string& mount, std::string_view group, const char* file,
                        uint64_t most) {
    while (true) {
        most = limit_in(mount + std::string(group) + "/" + file, most);
        if (group.empty()) {
            return most;
        }
        group = group.substr(0, group.rfind('/'));
    }
}

}  // namespace

uint64_t memory_of_machine(const std::string& root) {
    uint64_t memory = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                      static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    const std::string mount = root + "/sys/fs/cgroup";
    std::ifstream groups(root + "/proc/self/cgroup");
    // A line for each hierarchy: "NUMBER:CONTROLLERS:/PATH". That of version 2 names no
    // controllers.
    for (std::string line; std::getline(groups, line);) {
        const size_t first = line.find(':');
        const size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) {
            continue;
        }
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        std::string_view group = std::string_view(line).substr(second + 1);
        while (group.ends_with('/')) {
            group.remove_suffix(1);
        }
        if (controllers == ",,") {
            memory = limit_of_group(mount, group, "memory.max", memory);
        } else if (controllers.find(",memory,") != std::string::npos) {
            memory = limit_of_group(mount + "/memory", group, "memory.limit_in_bytes", memory);
        }
    }
    return memory;
}

}  // namespace stepdb
