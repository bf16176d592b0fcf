#include "tools/agent/host_sampler.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>

namespace stepdb {

namespace {

constexpr uint64_t kSectorBytes = 512;  // of /proc/diskstats, whatever the disk's own are

std::string read_all(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
    std::vector<std::string_view> parts;
    while (true) {
        const size_t begin = text.find_first_not_of(separators);
        if (begin == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(begin);
        const size_t end = std::min(text.find_first_of(separators), text.size());
        parts.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
}

template <typename T>
std::optional<T> number_of(std::string_view text) {
    T value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    return read.ec == std::errc() ? std::optional<T>(value) : std::nullopt;
}

// The numbers of these fields; nothing if one is missing.
template <size_t N>
std::optional<std::array<uint64_t, N>> numbers_of(const std::vector<std::string_view>& fields,
                                                  const std::array<size_t, N>& places) {
    std::array<uint64_t, N> numbers = {};
    for (size_t i = 0; i < N; ++i) {
        const auto number =
            places[i] < fields.size() ? number_of<uint64_t>(fields[places[i]]) : std::nullopt;
        if (!number) {
            return std::nullopt;
        }
        numbers[i] = *number;
    }
    return numbers;
}

// From the last look at the thing to this one; nothing of a thing that was not there, or begun
// anew.
template <size_t N>
std::optional<std::array<double, N>> risen(
    const std::map<std::string, std::array<uint64_t, N>, std::less<>>& before,
    std::string_view name, const std::array<uint64_t, N>& now) {
    const auto last = before.find(name);
    std::array<double, N> rise = {};
    for (size_t i = 0; i < N; ++i) {
        if (last == before.end() || now[i] < last->second[i]) {
            return std::nullopt;
        }
        rise[i] = static_cast<double>(now[i] - last->second[i]);
    }
    return rise;
}

}  // namespace

HostSampler::HostSampler(std::string root) : root_(std::move(root)) {}

std::vector<Reading> HostSampler::sample(int64_t steady_us) {
    std::vector<Reading> readings;
    const double seconds = has_sampled_ ? static_cast<double>(steady_us - steady_us_) / 1e6 : 0.0;
    sample_cpu(readings);
    sample_load(readings);
    sample_memory(readings);
    sample_disks(readings, seconds);
    sample_networks(readings, seconds);
    steady_us_ = steady_us;
    has_sampled_ = true;
    return readings;
}

// "cpu  user nice system idle iowait irq softirq steal guest guest_nice", in ticks; guest is in
// user.
void HostSampler::sample_cpu(std::vector<Reading>& readings) {
    const std::string text = read_all(root_ + "/proc/stat");
    const auto fields = split(std::string_view(text).substr(0, text.find('\n')), " ");
    const auto now = numbers_of<8>(fields, {1, 2, 3, 4, 5, 6, 7, 8});
    if (!now || fields.front() != "cpu") {
        return;
    }
    const CpuTicks before = std::exchange(cpu_, *now);
    std::array<double, 8> ticks = {};
    double all = 0;
    for (size_t i = 0; i < ticks.size(); ++i) {
        // The kernel's count of idle ticks can fall by a few.
        ticks[i] = (*now)[i] > before[i] ? static_cast<double>((*now)[i] - before[i]) : 0;
        all += ticks[i];
    }
    if (!has_sampled_ || all == 0) {
        return;
    }
    readings.emplace_back("cpu/busy", 1 - (ticks[3] + ticks[4]) / all);
    readings.emplace_back("cpu/user", (ticks[0] + ticks[1]) / all);
    readings.emplace_back("cpu/system", (ticks[2] + ticks[5] + ticks[6]) / all);
    readings.emplace_back("cpu/iowait", ticks[4] / all);
    readings.emplace_back("cpu/steal", ticks[7] / all);
}

void HostSampler::sample_load(std::vector<Reading>& readings) const {
    const std::string text = read_all(root_ + "/proc/loadavg");
    const auto fields = split(text, " \n");
    const auto load = fields.empty() ? std::nullopt : number_of<double>(fields[0]);
    if (load) {
        readings.emplace_back("cpu/load_1m", *load);
    }
}

// "MemTotal:       24689392 kB", a line each.
void HostSampler::sample_memory(std::vector<Reading>& readings) const {
    const std::string text = read_all(root_ + "/proc/meminfo");
    std::map<std::string_view, double> bytes;
    for (const std::string_view line : split(text, "\n")) {
        const auto fields = split(line, ": ");
        const auto kib = fields.size() == 3 ? number_of<uint64_t>(fields[1]) : std::nullopt;
        if (kib) {
            bytes[fields[0]] = static_cast<double>(*kib) * 1024;
        }
    }
    if (!bytes.contains("MemTotal") || !bytes.contains("MemAvailable")) {
        return;
    }
    readings.emplace_back("memory/total_bytes", bytes["MemTotal"]);
    readings.emplace_back("memory/available_bytes", bytes["MemAvailable"]);
    readings.emplace_back("memory/used_bytes", bytes["MemTotal"] - bytes["MemAvailable"]);
    readings.emplace_back("memory/swap_used_bytes", bytes["SwapTotal"] - bytes["SwapFree"]);
}

// Partitions are not in /sys/block, and what lies in memory or a file is no disk.
bool HostSampler::is_disk(std::string_view name) const {
    for (const std::string_view prefix : {"loop", "ram", "zram", "fd", "sr"}) {
        if (name.starts_with(prefix)) {
            return false;
        }
    }
    std::string entry(name);
    std::replace(entry.begin(), entry.end(), '/', '!');  // as /sys writes cciss/c0d0
    return ::access((root_ + "/sys/block/" + entry).c_str(), F_OK) == 0;
}

// "major minor name reads merged sectors ms writes merged sectors ms in_flight busy_ms ..."
void HostSampler::sample_disks(std::vector<Reading>& readings, double seconds) {
    const std::string text = read_all(root_ + "/proc/diskstats");
    std::map<std::string, DiskCounters, std::less<>> disks;
    for (const std::string_view line : split(text, "\n")) {
        const auto fields = split(line, " ");
        auto now = numbers_of<5>(fields, {3, 5, 7, 9, 12});
        if (!now || !is_disk(fields[2])) {
            continue;
        }
        (*now)[1] *= kSectorBytes;
        (*now)[3] *= kSectorBytes;
        const std::string name(fields[2]);
        if (const auto rise = risen(disks_, name, *now); rise && seconds > 0) {
            const std::string disk = "disk/" + name;
            readings.emplace_back(disk + "/reads", (*rise)[0] / seconds);
            readings.emplace_back(disk + "/read_bytes", (*rise)[1] / seconds);
            readings.emplace_back(disk + "/writes", (*rise)[2] / seconds);
            readings.emplace_back(disk + "/written_bytes", (*rise)[3] / seconds);
            // Counted by the tick, so a little more than there was may come together.
            readings.emplace_back(disk + "/busy", std::min(1.0, (*rise)[4] / 1e3 / seconds));
        }
        disks.emplace(name, *now);
    }
    disks_ = std::move(disks);
}

// "  eth0: bytes packets errors drops fifo frame compressed multicast bytes packets errors ..."
void HostSampler::sample_networks(std::vector<Reading>& readings, double seconds) {
    const std::string text = read_all(root_ + "/proc/net/dev");
    std::map<std::string, NetworkCounters, std::less<>> networks;
    for (const std::string_view line : split(text, "\n")) {
        const size_t colon = line.find(':');
        const auto names = split(line.substr(0, colon), " ");
        if (colon == std::string_view::npos || names.size() != 1 || names[0] == "lo") {
            continue;
        }
        const auto fields = split(line.substr(colon + 1), " ");
        const auto all = numbers_of<6>(fields, {0, 8, 2, 10, 3, 11});
        if (!all) {
            continue;
        }
        const NetworkCounters now = {(*all)[0], (*all)[1], (*all)[2] + (*all)[3],
                                     (*all)[4] + (*all)[5]};
        const std::string name(names[0]);
        if (const auto rise = risen(networks_, name, now); rise && seconds > 0) {
            const std::string network = "network/" + name;
            readings.emplace_back(network + "/received_bytes", (*rise)[0] / seconds);
            readings.emplace_back(network + "/sent_bytes", (*rise)[1] / seconds);
            readings.emplace_back(network + "/errors", (*rise)[2] / seconds);
            readings.emplace_back(network + "/drops", (*rise)[3] / seconds);
        }
        networks.emplace(name, now);
    }
    networks_ = std::move(networks);
}

}  // namespace stepdb
