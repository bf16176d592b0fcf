#include "engine/io/descriptor_table.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace stepdb::descriptor_table_test {

// In a process of its own, whose limits these are.
int status_of(rlim_t soft, rlim_t hard, size_t wanted, size_t expected) {
    const pid_t child = fork();
    if (child == 0) {
        rlimit limit{soft, hard};
        const bool is_set = setrlimit(RLIMIT_NOFILE, &limit) == 0;
        const size_t room = make_room_for_descriptors(wanted);
        getrlimit(RLIMIT_NOFILE, &limit);
        // The next descriptor is the lowest that is free: nothing stays open.
        const int before = dup(0);
        close(before);
        make_room_for_descriptors(wanted);
        const bool is_closed = dup(0) == before;
        _exit(is_set && room == expected && limit.rlim_cur == expected && is_closed ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

TEST(DescriptorTable, TheSoftLimitIsRaisedAsFarAsTheHardOneLetsIt) {
    EXPECT_EQ(status_of(100, 500, 400, 400), 0);
    EXPECT_EQ(status_of(100, 300, 400, 300), 0);
    EXPECT_EQ(status_of(450, 500, 400, 450), 0) << "what there is already is left alone";
}

}  // namespace stepdb::descriptor_table_test
