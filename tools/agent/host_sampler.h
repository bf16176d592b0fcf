// What a host is doing, from /proc and /sys of Linux. docs/agent.md has the names.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stepdb {

// A metric, without the agent's prefix, and its value.
using Reading = std::pair<std::string, double>;

// Single-threaded. What cannot be read, or has just come, is left out.
class HostSampler {
  public:
    // The directory that has proc and sys in it; "" for the host's own.
    explicit HostSampler(std::string root = "");

    // Amounts of now, shares and rates of the time since the last call, of which the first has
    // none. `steady_us` is of a clock that nobody sets.
    std::vector<Reading> sample(int64_t steady_us);

  private:
    // Counters of one thing, that only rise; one that falls was begun anew.
    template <size_t N>
    using Counters = std::array<uint64_t, N>;
    using CpuTicks = Counters<8>;
    using DiskCounters = Counters<5>;     // reads, bytes read, writes, bytes written, busy ms
    using NetworkCounters = Counters<4>;  // bytes received, bytes sent, errors, drops

    void sample_cpu(std::vector<Reading>& readings);
    void sample_load(std::vector<Reading>& readings) const;
    void sample_memory(std::vector<Reading>& readings) const;
    void sample_disks(std::vector<Reading>& readings, double seconds);
    void sample_networks(std::vector<Reading>& readings, double seconds);
    bool is_disk(std::string_view name) const;

    const std::string root_;
    int64_t steady_us_ = 0;
    bool has_sampled_ = false;
    CpuTicks cpu_ = {};
    std::map<std::string, DiskCounters, std::less<>> disks_;
    std::map<std::string, NetworkCounters, std::less<>> networks_;
};

}  // namespace stepdb
