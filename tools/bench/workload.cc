#include "tools/bench/workload.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace stepdb {

namespace {

constexpr std::array<std::string_view, 6> kNames = {"wide",   "long",  "fleet",
                                                    "narrow", "ranks", "huge"};
constexpr double kWarmUpSeconds = 5;
constexpr double kSeconds = 30;

Workload workload_of(std::string_view name, uint32_t metrics, uint32_t rows_per_frame) {
    Workload workload;
    workload.name = name;
    workload.shape.metrics = metrics;
    workload.shape.rows_per_frame = rows_per_frame;
    workload.warm_up = kWarmUpSeconds;
    workload.seconds = kSeconds;
    return workload;
}

std::vector<std::string_view> split_names(std::string_view names) {
    std::vector<std::string_view> all;
    for (size_t begin = 0; begin <= names.size();) {
        const size_t end = std::min(names.find(',', begin), names.size());
        all.push_back(names.substr(begin, end - begin));
        begin = end + 1;
    }
    return all;
}

void apply(const WorkloadChoice& choice, Workload& workload) {
    LoadShape& shape = workload.shape;
    workload.closed_loop = choice.closed_loop;
    if (choice.closed_loop) {
        shape.rows_per_frame = 1;
    }
    shape.metrics = choice.metrics.value_or(shape.metrics);
    shape.rows_per_frame = choice.rows_per_frame.value_or(shape.rows_per_frame);
    workload.connections = choice.connections.value_or(workload.connections);
    workload.runs = choice.runs.value_or(workload.runs);
    workload.warm_up = choice.warm_up.value_or(workload.warm_up);
    workload.seconds = choice.seconds.value_or(workload.seconds);
    if (choice.values) {
        shape.is_float64 = *choice.values == "f64";
    }
    if (choice.data) {
        shape.data = *choice.data == "noise" ? LoadData::kNoise : LoadData::kMixed;
    }
    if (choice.coalesce) {
        workload.coalesce = *choice.coalesce == "on";
    }
    if (choice.rate) {
        workload.rows_per_second = *choice.rate / shape.metrics / workload.connections;
    }
}

}  // namespace

std::span<const std::string_view> workload_names() {
    return kNames;
}

Result<Workload> find_workload(std::string_view name) {
    if (name == "wide") {
        return workload_of(name, 10'000, 16);
    }
    if (name == "long") {
        return workload_of(name, 20, 512);
    }
    if (name == "fleet") {
        // A service that takes rows of 1,000 runs and passes them on as they come.
        Workload fleet = workload_of(name, 50, 1);
        fleet.connections = 4;
        fleet.runs = 250;
        fleet.coalesce = true;
        return fleet;
    }
    if (name == "narrow") {
        Workload narrow = workload_of(name, 1, 1);
        narrow.coalesce = true;
        return narrow;
    }
    if (name == "ranks") {
        Workload ranks = workload_of(name, 100, 1);
        ranks.connections = 1024;
        return ranks;
    }
    if (name == "huge") {
        return workload_of(name, 100'000, 1);
    }
    if (name == "idle") {
        Workload idle = workload_of(name, 10, 1);
        idle.connections = 10'000;
        idle.rows_per_second = 1;
        return idle;
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "there is no workload '{}'; there are {}, idle, and all for the first {}",
                      name, fmt::join(kNames, ", "), kNames.size());
}

Result<std::vector<Workload>> choose_workloads(const WorkloadChoice& choice, const Workload& free) {
    std::vector<Workload> chosen;
    if (choice.names.empty()) {
        chosen.push_back(free);
    } else if (choice.names == "all") {
        for (const std::string_view name : kNames) {
            chosen.push_back(*find_workload(name));
        }
    } else {
        for (const std::string_view name : split_names(choice.names)) {
            TRY_ASSIGN(Workload workload, find_workload(name));
            chosen.push_back(std::move(workload));
        }
    }
    for (Workload& workload : chosen) {
        apply(choice, workload);
    }
    return chosen;
}

}  // namespace stepdb
