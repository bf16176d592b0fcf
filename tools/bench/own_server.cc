#include "tools/bench/own_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>
#include <vector>

namespace stepdb {

namespace {

namespace fs = std::filesystem;

Error failed(std::string_view what, int number) {
    return make_error(ErrorCode::kUnavailable, "{}: {}", what,
                      std::generic_category().message(number));
}

double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// In the child: becomes the server. Returns only if that fails.
void become_server(const std::vector<std::string>& arguments, int ready, int said) {
    // Ctrl-C is for us; we end the server when we end, however that is.
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(ready, STDOUT_FILENO);
    dup2(said, STDERR_FILENO);
    std::vector<char*> argv;
    for (const std::string& argument : arguments) {
        // exec takes what it does not change as not constant.
        argv.push_back(const_cast<char*>(argument.c_str()));  // NOLINT
    }
    argv.push_back(nullptr);
    execv("/proc/self/exe", argv.data());
}

// Everything up to the line's end, or to the end of the file.
std::string read_line(int file) {
    std::string line;
    char byte = 0;
    for (;;) {
        const ssize_t count = read(file, &byte, 1);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0 || byte == '\n') {
            return line;
        }
        line += byte;
    }
}

}  // namespace

Result<std::unique_ptr<OwnServer>> OwnServer::create(const std::string& parent,
                                                     const std::string& memory) {
    std::error_code error;
    const fs::path below = parent.empty() ? fs::temp_directory_path(error) : fs::path(parent);
    std::string directory = (below / "stepdb-bench-XXXXXX").string();
    if (error || mkdtemp(directory.data()) == nullptr) {
        return failed(fmt::format("cannot make the directory {}", directory),
                      error ? error.value() : errno);
    }
    std::unique_ptr<OwnServer> server(new OwnServer());
    server->directory_ = directory;
    server->memory_ = memory;
    return server;
}

OwnServer::~OwnServer() {
    if (child_ > 0) {
        kill(child_, SIGKILL);
        waitpid(child_, nullptr, 0);
    }
    std::error_code error;
    fs::remove_all(directory_, error);
    if (error) {
        fmt::print(stderr, "note: {} is left: {}\n", directory_, error.message());
    }
}

Status OwnServer::start() {
    std::vector<std::string> arguments = {"stepdb", "serve",    "--data",
                                          store(),  "--listen", "127.0.0.1:0"};
    if (!memory_.empty()) {
        arguments.insert(arguments.end(), {"--memory", memory_});
    }
    const int said =
        open((directory_ + "/stderr").c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    int ready[2] = {-1, -1};
    if (said < 0 || pipe2(ready, O_CLOEXEC) != 0) {
        return failed("cannot start a server", errno);
    }
    child_ = fork();
    if (child_ == 0) {
        become_server(arguments, ready[1], said);
        _exit(127);
    }
    const int number = errno;
    close(said);
    close(ready[1]);
    const std::string line = child_ < 0 ? "" : read_line(ready[0]);
    close(ready[0]);
    if (child_ < 0) {
        return failed("cannot start a server", number);
    }
    constexpr std::string_view kReady = "listening on ";
    if (!line.starts_with(kReady)) {
        waitpid(child_, nullptr, 0);
        child_ = -1;
        return make_error(ErrorCode::kUnavailable, "the server did not start: {}", this->said());
    }
    address_ = line.substr(kReady.size());
    return {};
}

Status OwnServer::stop() {
    if (child_ <= 0) {
        return {};
    }
    // Not what the kernel says of it when it has ended: that begins with what its parent had.
    TRY_ASSIGN(const uint64_t peak, peak_memory_bytes_now());
    cost_.peak_memory_bytes = std::max(cost_.peak_memory_bytes, peak);
    kill(child_, SIGTERM);
    int status = 0;
    rusage used = {};
    while (wait4(child_, &status, 0, &used) < 0 && errno == EINTR) {
    }
    child_ = -1;
    cost_.cpu_seconds += seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return make_error(ErrorCode::kUnavailable, "the server ended with wait status {}: {}",
                          status, said());
    }
    return {};
}

void OwnServer::drop_cached_files() const {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(store(), ignored)) {
        const int file = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            fdatasync(file);  // pages that are not written stay
            posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
            close(file);
        }
    }
}

Result<double> OwnServer::cpu_seconds_now() const {
    std::ifstream file(fmt::format("/proc/{}/stat", child_));
    std::string text;
    std::getline(file, text);
    // After the name in parentheses, which may hold anything: state is field 3, utime 14, stime 15.
    size_t at = text.rfind(')');
    std::vector<std::string> fields;
    while (at != std::string::npos && fields.size() < 14) {
        const size_t blank = text.find(' ', at + 1);
        fields.push_back(text.substr(at + 1, blank - at - 1));
        at = blank;
    }
    if (fields.size() < 14) {
        return has_ended();
    }
    return (std::stod(fields[12]) + std::stod(fields[13])) /
           static_cast<double>(sysconf(_SC_CLK_TCK));
}

Result<uint64_t> OwnServer::status_bytes(std::string_view name) const {
    std::ifstream file(fmt::format("/proc/{}/status", child_));
    std::string line;
    while (std::getline(file, line)) {
        if (line.starts_with(name)) {
            return std::stoull(line.substr(name.size())) * 1024;
        }
    }
    return has_ended();
}

Error OwnServer::has_ended() const {
    return make_error(ErrorCode::kUnavailable, "process {}, the server, has ended: {}", child_,
                      said());
}

std::string OwnServer::said() const {
    std::ifstream file(directory_ + "/stderr");
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    return text;
}

std::string OwnServer::file_system() const {
    // From statfs(2) and linux/magic.h.
    static const std::map<uint64_t, std::string> names = {
        {0xEF53, "ext4"},      {0x58465342, "xfs"},       {0x9123683E, "btrfs"},
        {0x01021994, "tmpfs"}, {0x794C7630, "overlayfs"}, {0x6969, "nfs"}};
    struct statfs found = {};
    if (statfs(directory_.c_str(), &found) != 0) {
        return "unknown";
    }
    const auto kind = static_cast<uint64_t>(found.f_type);
    const auto name = names.find(kind);
    return name != names.end() ? name->second : fmt::format("{:#x}", kind);
}

uint64_t OwnServer::settled_bytes() const {
    uint64_t bytes = 0;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(store(), ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with("segment-") || name.starts_with("catalog-") ||
            name.starts_with("manifest-")) {
            bytes += entry.file_size(ignored);
        }
    }
    return bytes;
}

}  // namespace stepdb
