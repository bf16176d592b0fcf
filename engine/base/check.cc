#include "engine/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace stepdb {

void check_failed(const char* file, int line, const char* condition, std::string_view values) {
    fmt::print(stderr, "stepdb: broken invariant at {}:{}: {} ({})\n", file, line, condition,
               values);
    std::fflush(stderr);
    std::abort();
}

}  // namespace stepdb
