// What `stepdb bench` sends: the named workloads, and the shape of any other.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace stepdb {

// What the values of a column are like (tools/bench/load_values.h).
enum class LoadData : uint8_t { kMixed, kNoise };

// The rows.
struct LoadShape {
    uint32_t metrics = 1000;
    uint32_t rows_per_frame = 16;
    bool is_float64 = false;
    LoadData data = LoadData::kMixed;
};

struct Workload {
    Workload() = default;

    std::string name = "free";
    LoadShape shape;
    uint32_t connections = 1;
    uint32_t runs = 1;           // of a connection; its rows go to them in turn
    bool coalesce = false;       // rows go one by one to the client library, which packs them
    bool closed_loop = false;    // a row, and the next when it is durable
    double rows_per_second = 0;  // of a connection; 0: as many as are acknowledged
    double warm_up = 1;
    double seconds = 5;

    uint64_t runs_in_all() const { return uint64_t{connections} * runs; }
};

// What is said on the command line; unset is as the workload has it.
struct WorkloadChoice {
    WorkloadChoice() = default;

    std::string names;  // separated by commas, or `all`; "": the free one alone
    std::optional<uint32_t> metrics;
    std::optional<uint32_t> rows_per_frame;
    std::optional<uint32_t> connections;
    std::optional<uint32_t> runs;
    std::optional<std::string> values;    // f32 or f64
    std::optional<std::string> data;      // mixed or noise
    std::optional<std::string> coalesce;  // on or off
    bool closed_loop = false;             // one row a frame, then, if nothing else is said
    std::optional<double> rate;           // points a second over all connections
    std::optional<double> warm_up;
    std::optional<double> seconds;
};

// The named ones, in the order in which `all` runs them; `idle`, which measures no speed, is not
// among these.
std::span<const std::string_view> workload_names();
// Of one name, `idle` too. kInvalidArgument naming those there are.
Result<Workload> find_workload(std::string_view name);
// Those of a command line, at least one; `free` is what it begins with where nothing is named.
Result<std::vector<Workload>> choose_workloads(const WorkloadChoice& choice, const Workload& free);

}  // namespace stepdb
