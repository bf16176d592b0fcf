// What the kernel says of this process and of the disk of its store.
#pragma once

#include <cstdint>
#include <string>

namespace stepdb {

// What cannot be found out is 0.
struct ProcessFigures {
    ProcessFigures() = default;

    uint64_t resident_bytes = 0;
    uint64_t virtual_bytes = 0;
    double cpu_seconds = 0;
    double started_seconds = 0;  // since the Unix epoch
    uint64_t open_files = 0;
    uint64_t open_files_max = 0;
    uint64_t threads = 0;
    uint64_t disk_bytes = 0;       // of the file system that holds the directory
    uint64_t disk_free_bytes = 0;  // of these, for users
};

// Any thread; some system calls. An empty directory: of no disk.
ProcessFigures read_process_figures(const std::string& directory);

}  // namespace stepdb
