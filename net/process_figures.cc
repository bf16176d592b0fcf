#include "net/process_figures.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>

namespace stepdb {

namespace {

double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

uint64_t count_open_files() {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc/self/fd"), closedir);
    if (directory == nullptr) {
        return 0;
    }
    uint64_t count = 0;
    // Nobody else reads this stream of names.
    while (readdir(directory.get()) != nullptr) {  // NOLINT(concurrency-mt-unsafe)
        ++count;
    }
    // Without `.`, `..` and the directory itself.
    return count < 3 ? 0 : count - 3;
}

// Fields of /proc/self/stat behind the name, which may hold blanks and parentheses.
std::istringstream read_own_stat() {
    std::ifstream file("/proc/self/stat");
    std::string line;
    std::getline(file, line);
    const size_t end = line.rfind(')');
    return std::istringstream(end == std::string::npos ? std::string() : line.substr(end + 1));
}

void read_own_stat(ProcessFigures& figures) {
    std::istringstream fields = read_own_stat();
    std::string skipped;
    for (int field = 3; field < 20; ++field) {  // numbered as in proc(5)
        fields >> skipped;
    }
    uint64_t started_ticks = 0;
    uint64_t pages = 0;
    fields >> figures.threads >> skipped >> started_ticks >> figures.virtual_bytes >> pages;
    figures.resident_bytes = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    double up_seconds = 0;
    std::ifstream("/proc/uptime") >> up_seconds;
    const double now =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    figures.started_seconds =
        now - up_seconds +
        static_cast<double>(started_ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessFigures read_process_figures(const std::string& directory) {
    ProcessFigures figures;
    read_own_stat(figures);
    rusage used = {};
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        figures.cpu_seconds = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
    }
    figures.open_files = count_open_files();
    rlimit files = {};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        figures.open_files_max = files.rlim_cur;
    }
    struct statvfs disk = {};
    if (!directory.empty() && statvfs(directory.c_str(), &disk) == 0) {
        figures.disk_bytes = uint64_t{disk.f_blocks} * disk.f_frsize;
        figures.disk_free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
    }
    return figures;
}

}  // namespace stepdb
