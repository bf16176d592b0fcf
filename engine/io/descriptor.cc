#include "engine/io/descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "engine/io/host_error.h"

namespace stepdb {

namespace {

constexpr mode_t kFileMode = 0644;

}  // namespace

Descriptor::~Descriptor() {
    if (is_open()) {
        ::close(number_);
    }
}

Result<Descriptor> Descriptor::open(std::string_view verb, const std::string& path, int flags) {
    int number = -1;
    do {
        number = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
    } while (number < 0 && errno == EINTR);
    if (number < 0) {
        return host_error(fmt::format("{} {}", verb, path), errno);
    }
    return Descriptor(number);
}

}  // namespace stepdb
