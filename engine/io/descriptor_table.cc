#include "engine/io/descriptor_table.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace stepdb {

size_t make_room_for_descriptors(size_t wanted) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return wanted;  // it cannot fail by Linux's manual
    }
    if (limit.rlim_cur < wanted) {
        rlimit raised = limit;
        raised.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
        limit = ::setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised : limit;
    }
    const auto room = static_cast<size_t>(std::min<rlim_t>(wanted, limit.rlim_cur));
    std::array<int, 2> ends{};
    if (room != 0 && ::pipe2(ends.data(), O_CLOEXEC) == 0) {
        // The highest one that there may be; if it cannot be had the table grows as it always did.
        const int highest = ::fcntl(ends[0], F_DUPFD_CLOEXEC, static_cast<int>(room) - 1);
        if (highest >= 0) {
            ::close(highest);
        }
        ::close(ends[0]);
        ::close(ends[1]);
    }
    return static_cast<size_t>(limit.rlim_cur);
}

}  // namespace stepdb
