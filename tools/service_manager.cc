#include "tools/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "engine/base/text.h"

namespace stepdb {

namespace {

// 0, or what errno says.
int send_state(std::string_view path, std::string_view state) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        return ENAMETOOLONG;
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path.front() == '@') {
        address.sun_path[0] = '\0';  // a name that is in no file system
    }
    const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) {
        return errno;
    }
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): as the call wants it
    const auto* const to = reinterpret_cast<const sockaddr*>(&address);
    const ssize_t sent = ::sendto(socket, state.data(), state.size(), MSG_NOSIGNAL, to, length);
    const int error = sent < 0 ? errno : 0;
    ::close(socket);
    return error;
}

}  // namespace

void tell_service_manager(std::string_view state, const TellEvent& tell) {
    const char* const path = std::getenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe)
    if (path == nullptr || *path == '\0') {
        return;
    }
    if (const int error = send_state(path, state); error != 0) {
        LogEvent event(LogLevel::kWarning, "service_manager_unreached",
                       "it was not told how far the server is");
        tell(event.text("socket", printable(path))
                 .text("state", std::string(state))
                 .text("error", std::generic_category().message(error)));
    }
}

}  // namespace stepdb
