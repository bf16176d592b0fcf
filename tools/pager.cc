#include "tools/pager.h"

#include <cstdlib>
#include <string>

namespace stepdb {

namespace {

// -F: leave at once what fits on a screen; -R: colours; -S: no wrapping of wide tables; -X: leave
// the screen as it is.
constexpr const char* kLess = "less -FRSX";

std::string pager_command() {
    const char* own = std::getenv("PAGER");  // NOLINT(concurrency-mt-unsafe): nobody sets it
    if (own != nullptr && *own != '\0' && std::string_view(own) != "less") {
        return own;
    }
    return std::system("command -v less >/dev/null 2>&1") == 0  // NOLINT(concurrency-mt-unsafe)
               ? kLess
               : "";
}

}  // namespace

Pager::Pager(bool wanted) {
    // Found once: it does not come and go.
    static const std::string command = pager_command();
    if (wanted && !command.empty()) {
        std::fflush(stdout);
        pipe_ = popen(command.c_str(), "w");
    }
}

Pager::~Pager() {
    if (pipe_ != nullptr) {
        pclose(pipe_);
    }
}

void Pager::write(std::string_view text) {
    if (is_closed_) {
        return;
    }
    std::FILE* const to = pipe_ == nullptr ? stdout : pipe_;
    is_closed_ = std::fwrite(text.data(), 1, text.size(), to) < text.size();
}

}  // namespace stepdb
