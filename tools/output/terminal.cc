#include "tools/output/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace stepdb {

namespace {

// The environment is read only; nothing of ours changes it.
std::string_view environment(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? std::string_view() : std::string_view(value);
}

}  // namespace

bool is_terminal(int descriptor) {
    return isatty(descriptor) == 1;
}

bool wants_color(int descriptor) {
    return is_terminal(descriptor) && environment("NO_COLOR").empty() &&
           environment("TERM") != "dumb";
}

TerminalSize terminal_size(int descriptor) {
    TerminalSize size;
    winsize window{};
    if (ioctl(descriptor, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0) {
        size.width = window.ws_col;
        size.height = window.ws_row;
    }
    return size;
}

}  // namespace stepdb
