// Invariants of ours. A failed CHECK is a bug in StepDB, never bad input: it prints the condition
// and the values, and aborts, because a store that no longer understands itself must not write.
// On in every build. DCHECK is for inner loops and costs nothing outside Debug builds.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace stepdb {

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view values);

}  // namespace stepdb

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) [[unlikely]] {                                                           \
            ::stepdb::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
        }                                                                                          \
    } while (false)

#ifdef STEPDB_DCHECK
#define DCHECK(condition, ...) CHECK(condition, __VA_ARGS__)
#else
#define DCHECK(condition, ...) static_cast<void>(0)
#endif
