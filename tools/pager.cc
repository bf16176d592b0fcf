#include "tools/pager.h"

#include <csignal>
#include <cstdlib>
#include <string>

namespace stepdb {

namespace {

// -F: leave at once what fits on a screen; -R: colours; -S: no wrapping of wide tables; -X: leave
// the screen as it is.
constexpr const char* kLess = "less -FRSX";

// Whether the shell finds the program that the command begins with.
bool is_there(const std::string& command) {
    const std::string program = command.substr(0, command.find(' '));
    if (program.find('\'') != std::string::npos) {
        return false;
    }
    // NOLINTNEXTLINE(concurrency-mt-unsafe,bugprone-command-processor): the user's own $PAGER
    return std::system(("command -v '" + program + "' >/dev/null 2>&1").c_str()) == 0;
}

// $PAGER, else `less`; empty if neither can be started.
std::string pager_command() {
    const char* own = std::getenv("PAGER");  // NOLINT(concurrency-mt-unsafe): nobody sets it
    std::string wanted = own == nullptr ? "" : own;
    if (!wanted.empty() && wanted != "less" && is_there(wanted)) {
        return wanted;
    }
    return is_there("less") ? kLess : "";
}

}  // namespace

Pager::~Pager() {
    if (pipe_ != nullptr) {
        // The pager shares the terminal and takes Ctrl-C as its own.
        const auto before = std::signal(SIGINT, SIG_IGN);
        pclose(pipe_);
        std::signal(SIGINT, before);
    }
}

void Pager::write(std::string_view text) {
    if (is_closed_) {
        return;
    }
    if (is_wanted_ && pipe_ == nullptr) {
        static const std::string command = pager_command();  // it does not come and go
        is_wanted_ = !command.empty();
        std::fflush(stdout);
        // NOLINTNEXTLINE(bugprone-command-processor): the user's own $PAGER
        pipe_ = is_wanted_ ? popen(command.c_str(), "w") : nullptr;
    }
    std::FILE* const to = pipe_ == nullptr ? stdout : pipe_;
    is_closed_ = std::fwrite(text.data(), 1, text.size(), to) < text.size();
}

}  // namespace stepdb
