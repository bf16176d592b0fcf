#include "tools/agent/host_sampler.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace stepdb::host_sampler_test {

class HostSamplerTest : public ::testing::Test {
  protected:
    HostSamplerTest() : sampler_(root_) {
        std::filesystem::create_directories(root_ + "/sys/block");
    }
    ~HostSamplerTest() override { std::filesystem::remove_all(root_); }

    void write(const std::string& path, const std::string& text) {
        std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text;
    }
    void add_disk(const std::string& name) {
        std::filesystem::create_directory(root_ + "/sys/block/" + name);
    }

    std::map<std::string, double> sample(double seconds) {
        const auto readings = sampler_.sample(static_cast<int64_t>(seconds * 1e6));
        std::map<std::string, double> found(readings.begin(), readings.end());
        EXPECT_EQ(found.size(), readings.size());
        return found;
    }

    std::string root_ = ::testing::TempDir() + "host_sampler_test." +
                        ::testing::UnitTest::GetInstance()->current_test_info()->name();
    HostSampler sampler_;
};

using Found = std::map<std::string, double>;

TEST_F(HostSamplerTest, TellsSharesOfTheTimeOfAllCores) {
    write("/proc/stat", "cpu  100 20 30 1000 50 5 5 0 7 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
    EXPECT_EQ(sample(1), Found());
    write("/proc/stat", "cpu  150 20 40 1100 60 10 15 15 9 0\n");
    const Found found = sample(3);
    EXPECT_DOUBLE_EQ(found.at("cpu/busy"), 0.45);  // 90 of 200 ticks
    EXPECT_DOUBLE_EQ(found.at("cpu/user"), 0.25);
    EXPECT_DOUBLE_EQ(found.at("cpu/system"), 0.125);
    EXPECT_DOUBLE_EQ(found.at("cpu/iowait"), 0.05);
    EXPECT_DOUBLE_EQ(found.at("cpu/steal"), 0.075);
}

TEST_F(HostSamplerTest, BearsIdleTicksThatFall) {
    write("/proc/stat", "cpu  100 0 0 1000 50 0 0 0 0 0\n");
    sample(1);
    write("/proc/stat", "cpu  200 0 0 998 50 0 0 0 0 0\n");
    EXPECT_EQ(sample(2).at("cpu/busy"), 1);
}

TEST_F(HostSamplerTest, TellsMemoryAndLoadAtOnce) {
    write("/proc/loadavg", "1.25 0.50 0.10 2/345 6789\n");
    write("/proc/meminfo",
          "MemTotal:       1000 kB\nMemFree:  10 kB\nMemAvailable:    400 kB\n"
          "SwapTotal:      64 kB\nSwapFree:       60 kB\nHugePages_Total:       0\n");
    EXPECT_EQ(sample(1), (Found{{"cpu/load_1m", 1.25},
                                {"memory/total_bytes", 1000 * 1024},
                                {"memory/available_bytes", 400 * 1024},
                                {"memory/used_bytes", 600 * 1024},
                                {"memory/swap_used_bytes", 4 * 1024}}));
}

TEST_F(HostSamplerTest, TellsRatesOfWholeDisks) {
    add_disk("nvme0n1");
    add_disk("loop0");
    write("/proc/diskstats",
          " 259 0 nvme0n1 10 0 100 5 20 0 200 9 0 1000 14\n"
          " 259 1 nvme0n1p1 10 0 100 5 20 0 200 9 0 1000 14\n"
          "   7 0 loop0 10 0 100 5 20 0 200 9 0 1000 14\n");
    EXPECT_EQ(sample(10), Found());
    write("/proc/diskstats",
          " 259 0 nvme0n1 14 0 108 5 28 0 1000 9 0 1500 14 0 0 0 0\n"
          " 259 1 nvme0n1p1 14 0 108 5 28 0 1000 9 0 1500 14\n"
          "   7 0 loop0 14 0 108 5 28 0 1000 9 0 1500 14\n");
    EXPECT_EQ(sample(12), (Found{{"disk/nvme0n1/reads", 2},
                                 {"disk/nvme0n1/read_bytes", 8 * 512 / 2},
                                 {"disk/nvme0n1/writes", 4},
                                 {"disk/nvme0n1/written_bytes", 800 * 512 / 2},
                                 {"disk/nvme0n1/busy", 0.25}}));
}

TEST_F(HostSamplerTest, LeavesOutWhatWasBegunAnew) {
    const std::string head = "Inter-| Receive\n face |bytes\n";
    write("/proc/net/dev", head +
                               "    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n"
                               "  eth0:1000 9 1 2 0 0 0 0 500 9 3 4 0 0 0 0\n"
                               "  eth1: 1000 9 0 0 0 0 0 0 500 9 0 0 0 0 0 0\n");
    EXPECT_EQ(sample(0), Found());
    write("/proc/net/dev", head +
                               "    lo: 99 9 0 0 0 0 0 0 99 9 0 0 0 0 0 0\n"
                               "  eth0:5000 9 2 3 0 0 0 0 900 9 4 6 0 0 0 0\n"
                               "  eth1: 20 9 0 0 0 0 0 0 10 9 0 0 0 0 0 0\n"
                               "  eth2: 7 9 0 0 0 0 0 0 7 9 0 0 0 0 0 0\n");
    EXPECT_EQ(sample(4), (Found{{"network/eth0/received_bytes", 1000},
                                {"network/eth0/sent_bytes", 100},
                                {"network/eth0/errors", 0.5},
                                {"network/eth0/drops", 0.75}}));
    write("/proc/net/dev", head + "  eth1: 30 9 0 0 0 0 0 0 10 9 0 0 0 0 0 0\n");
    EXPECT_EQ(sample(5).at("network/eth1/received_bytes"), 10);
}

TEST_F(HostSamplerTest, BearsFilesOfAnyContent) {
    for (const std::string text : {"", "\n\n", "cpu", "cpu  1 2 x", ":::",
                                   "a b c d e f g h i j k l m", "99999999999999999999999 1"}) {
        for (const std::string path :
             {"/proc/stat", "/proc/loadavg", "/proc/meminfo", "/proc/diskstats", "/proc/net/dev"}) {
            write(path, text);
        }
        sample(1);
    }
}

}  // namespace stepdb::host_sampler_test
