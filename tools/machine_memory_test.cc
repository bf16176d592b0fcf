#include "tools/machine_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace stepdb::machine_memory_test {

constexpr uint64_t kGroup = 3U << 20U;
constexpr uint64_t kAbove = 2U << 20U;

// Files that say what /proc and /sys of some machine would.
class MachineMemoryTest : public ::testing::Test {
  protected:
    ~MachineMemoryTest() override { std::filesystem::remove_all(root_); }

    void write(const std::string& path, const std::string& text) {
        std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text << "\n";
    }
    void limit(const std::string& path, uint64_t bytes) { write(path, std::to_string(bytes)); }

    const std::string root_ = ::testing::TempDir() + "machine-memory-" + std::to_string(::getpid());
};

TEST_F(MachineMemoryTest, IsTheMachinesWhereNothingLimitsIt) {
    const uint64_t all = memory_of_machine(root_);
    EXPECT_GT(all, 64U << 20U);
    write("/proc/self/cgroup", "0::/system.slice/stepdb.service");
    write("/sys/fs/cgroup/system.slice/stepdb.service/memory.max", "max");
    EXPECT_EQ(memory_of_machine(root_), all);
    write("/proc/self/cgroup", "nonsense\n5:memory:/x");
    write("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712");
    EXPECT_EQ(memory_of_machine(root_), all);
}

TEST_F(MachineMemoryTest, IsTheLeastOfItsGroupAndThoseAbove) {
    write("/proc/self/cgroup", "0::/system.slice/stepdb.service");
    limit("/sys/fs/cgroup/system.slice/stepdb.service/memory.max", kGroup);
    EXPECT_EQ(memory_of_machine(root_), kGroup);
    limit("/sys/fs/cgroup/system.slice/memory.max", kAbove);
    EXPECT_EQ(memory_of_machine(root_), kAbove);
}

TEST_F(MachineMemoryTest, IsTheContainersWhereOnlyItsGroupIsMounted) {
    write("/proc/self/cgroup", "0::/");
    limit("/sys/fs/cgroup/memory.max", kGroup);
    EXPECT_EQ(memory_of_machine(root_), kGroup);
    write("/proc/self/cgroup", "7:cpu,memory:/docker/0123\n0::/docker/0123");
    limit("/sys/fs/cgroup/memory/memory.limit_in_bytes", kAbove);
    EXPECT_EQ(memory_of_machine(root_), kAbove);
}

}  // namespace stepdb::machine_memory_test
