#include "engine/io/prompt_thread.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace stepdb {

namespace {

// struct sched_attr of the kernel, first version, which glibc 2.36 does not declare:
// sched_setattr(2).
struct SchedulingAttributes {
    uint32_t size = 48;
    uint32_t policy = 0;  // SCHED_OTHER
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime = 0;  // of SCHED_OTHER the slice, in nanoseconds
    uint64_t deadline = 0;
    uint64_t period = 0;
};

}  // namespace

void make_thread_prompt() {
    SchedulingAttributes attributes;
    if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0 ||
        attributes.policy != 0) {
        return;  // an operator has chosen something else
    }
    attributes.runtime = std::chrono::nanoseconds(kPromptSlice).count();
    // A refusal is no matter: then it waits as all others do.
    static_cast<void>(::syscall(SYS_sched_setattr, 0, &attributes, 0));
}

}  // namespace stepdb
