// `stepdb agent`: what a host is doing, as timed rows of a run.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <optional>
#include <set>

#include "engine/io/environment.h"
#include "engine/model/schema.h"
#include "tools/agent/host_sampler.h"
#include "tools/agent/nvml.h"
#include "tools/command.h"
#include "tools/duration_text.h"
#include "tools/import/growing_schemas.h"
#include "tools/import/row_collector.h"
#include "tools/import/run_id.h"
#include "tools/output/format_cell.h"
#include "tools/output/progress.h"
#include "tools/patient_writer.h"
#include "tools/stop_signals.h"

namespace stepdb {

namespace {

constexpr int64_t kIntervalMin = 100'000;  // below that the kernel's ticks show

struct AgentOptions {
    std::string project;
    std::string run;
    std::string prefix;
    std::string interval = "10s";
    std::string buffer = "16M";
    std::string nvml = Nvml::kUsualLibrary;
    bool has_nvml = false;  // it was named
    ServerChoice server;
};

void tell_agent_note(const std::string& what) {
    fmt::print(stderr, "note: {}\n", what);
}

std::string host_name() {
    std::array<char, 256> name = {};
    return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data()
                                                                               : "host";
}

// The run it logs to, whatever set of metrics a row has.
class HostLog {
  public:
    HostLog(client::Run run, std::string prefix)
        : run_(std::move(run)), prefix_(std::move(prefix)) {}

    Status log(const std::vector<Reading>& readings, int64_t time_us);
    // What the host is.
    Status describe(const std::vector<std::string>& gpus);

  private:
    client::Run run_;
    const std::string prefix_;
    MetricNames names_;
    GrowingSchemas schemas_{Axis::kTimed};
    std::vector<client::RowLog> logs_;  // by schema
};

Status HostLog::log(const std::vector<Reading>& readings, int64_t time_us) {
    std::map<uint32_t, double> values;
    for (const auto& [name, value] : readings) {
        TRY_ASSIGN(const uint32_t metric, names_.intern(prefix_ + "/" + name));
        values[metric] = value;
    }
    if (values.empty()) {
        return {};
    }
    std::vector<uint32_t> metrics;
    metrics.reserve(values.size());
    for (const auto& [metric, value] : values) {
        metrics.push_back(metric);
    }
    TRY_ASSIGN(const std::vector<uint32_t> found, schemas_.find(metrics, names_.all()));
    for (const uint32_t schema : found) {
        const std::vector<uint32_t>& columns = schemas_.schemas()[schema].metrics;
        std::vector<double> row(columns.size());
        std::vector<std::byte> present((columns.size() + 7) / 8);
        for (size_t column = 0; column < columns.size(); ++column) {
            const auto value = values.find(columns[column]);
            if (value != values.end()) {
                row[column] = value->second;
                present[column / 8] |= std::byte{1} << (column % 8);
            }
        }
        while (logs_.size() <= schema) {
            TRY_ASSIGN(client::RowLog log, run_.row_log(schemas_.schemas()[logs_.size()].schema,
                                                        client::ValueType::kFloat64));
            logs_.push_back(std::move(log));
        }
        TRY(logs_[schema].log_timed(client::Values(row, present), time_us));
    }
    return {};
}

Status HostLog::describe(const std::vector<std::string>& gpus) {
    std::vector<AttributeChange> changes;
    const auto add = [&](const std::string& name, AttributeValue value) {
        changes.emplace_back(AttributeChange::Kind::kSet, prefix_ + "/" + name, std::move(value));
    };
    add("name", AttributeValue(std::in_place_type<std::string>, host_name()));
    add("cores", AttributeValue(std::in_place_type<int64_t>, ::sysconf(_SC_NPROCESSORS_ONLN)));
    for (size_t gpu = 0; gpu < gpus.size(); ++gpu) {
        if (!gpus[gpu].empty()) {
            add(fmt::format("gpu/{}/name", gpu),
                AttributeValue(std::in_place_type<std::string>, gpus[gpu]));
        }
    }
    return run_.change_attributes(std::move(changes));
}

// What became of rows, told when it changes.
class AgentReport {
  public:
    void take(const client::Report& report) {
        stored_ += report.rows;
        refused_ += report.refused_rows;
        dropped_ += report.dropped_rows;
        for (const client::Refused& refused : report.refused) {
            if (told_.size() < kToldMax && told_.insert(refused.error.message()).second) {
                tell_agent_note("the server refuses rows: " + refused.error.message());
            }
        }
        if (report.dropped_rows > 0 && !std::exchange(is_dropping_, true)) {
            tell_agent_note(
                "the server takes nothing, and the memory for rows is full: new ones "
                "are dropped until there is room");
        }
        if (report.rows > 0 && report.dropped_rows == 0 && std::exchange(is_dropping_, false)) {
            tell_agent_note(
                fmt::format("the server takes rows again; {} were dropped so far", dropped_));
        }
    }

    Status conclude(const Status& ended) const {
        fmt::print(stderr, "{} stored, {} refused, {} dropped\n", count_of(stored_, "row"),
                   refused_, dropped_);
        if (!ended) {
            return ended.error().within("what was sampled last may be lost");
        }
        return refused_ == 0
                   ? Status()
                   : Status(make_error(ErrorCode::kFailedPrecondition, "the server refused {}",
                                       count_of(refused_, "row")));
    }

  private:
    static constexpr size_t kToldMax = 100;

    uint64_t stored_ = 0;
    uint64_t refused_ = 0;
    uint64_t dropped_ = 0;
    bool is_dropping_ = false;
    std::set<std::string> told_;
};

// Samples until the signal comes; an error ends it, which is the writer's.
Status sample_host(client::Writer& writer, HostLog& log, std::optional<Nvml>& gpus,
                   StopSignals& signals, int64_t interval_us, AgentReport& report) {
    SystemClock clock;
    HostSampler sampler;
    sampler.sample(steady_us());
    for (;;) {
        // At the same moments on every host.
        int64_t to_wait = interval_us - clock.now_us() % interval_us;
        if (to_wait < interval_us / 10) {
            to_wait += interval_us;  // the clock was ahead of the wait: this moment has been
        }
        if (signals.wait(std::chrono::microseconds(to_wait))) {
            TRY_ASSIGN(const client::Report last, writer.flush());
            report.take(last);
            return {};
        }
        std::vector<Reading> readings = sampler.sample(steady_us());
        if (gpus) {
            std::vector<Reading> more = gpus->sample(tell_agent_note);
            readings.insert(readings.end(), more.begin(), more.end());
        }
        TRY(log.log(readings, clock.now_us()));
        report.take(writer.take_report());
    }
}

Result<std::optional<Nvml>> open_gpus(const AgentOptions& options) {
    std::optional<Nvml> gpus;
    Result<Nvml> nvml = Nvml::open(options.nvml);
    if (nvml) {
        gpus.emplace(std::move(*nvml));
    } else if (options.has_nvml) {
        return nvml.error();  // who names it wants it
    } else if (nvml.error().code() != ErrorCode::kNotFound) {
        tell_agent_note(nvml.error().message() + "; there are no figures of GPUs");
    }
    return gpus;
}

Status run_agent(const AgentOptions& options) {
    TRY_ASSIGN(const int64_t interval_us, parse_duration("--interval", options.interval));
    TRY_ASSIGN(const uint64_t buffer, parse_size(options.buffer));
    StopSignals signals;
    TRY_ASSIGN(std::optional<Nvml> gpus, open_gpus(options));
    TRY_ASSIGN(client::Options writing, writer_options(options.server));
    writing.name = "stepdb agent " STEPDB_VERSION;
    writing.queue_bytes_max = buffer;
    writing.when_full = client::WhenFull::kDropNewest;
    TRY_ASSIGN(const PatientWriter writer,
               PatientWriter::connect(std::move(writing), signals, tell_agent_note));
    const std::string name = run_id_of(host_name());
    const std::string run = options.run.empty() ? name : options.run;
    std::string prefix = options.prefix;
    if (prefix.empty()) {
        prefix = options.run.empty() ? "host" : "host/" + name;
    }
    TRY_ASSIGN(client::Run opened, writer->open_run(options.project, run));
    HostLog log(std::move(opened), prefix);
    TRY(log.describe(gpus ? gpus->names() : std::vector<std::string>()));
    fmt::print(stderr, "{}/{} gets {}/... every {}; SIGINT or SIGTERM ends it\n", options.project,
               run, prefix, options.interval);
    AgentReport report;
    return report.conclude(sample_host(*writer, log, gpus, signals, interval_us, report));
}

Status check_agent(const AgentOptions& options) {
    TRY(check_id("project", options.project));
    if (!options.run.empty()) {
        TRY(check_id("run", options.run));
    }
    if (!options.prefix.empty()) {
        TRY(check_metric(options.prefix));
    }
    TRY_ASSIGN(const int64_t interval_us, parse_duration("--interval", options.interval));
    if (interval_us < kIntervalMin) {
        return make_error(ErrorCode::kInvalidArgument, "--interval '{}': 100ms at least",
                          options.interval);
    }
    const Result<uint64_t> buffer = parse_size(options.buffer);
    if (!buffer || *buffer < (1U << 20U) || *buffer > (1U << 30U)) {
        return make_error(ErrorCode::kInvalidArgument,
                          "--buffer '{}': a size from 1M to 1G is wanted", options.buffer);
    }
    return check_server(options.server);
}

}  // namespace

Command add_agent(CLI::App& stepdb) {
    auto options = std::make_shared<AgentOptions>();
    CLI::App* app = stepdb.add_subcommand("agent", "Log what this host is doing, as timed rows");
    app->add_option("--project", options->project, "The project")->type_name("P")->required();
    app->add_option("--run", options->run,
                    "The run, such as that of a training; default: one of "
                    "the host's name")
        ->type_name("R");
    app->add_option("--prefix", options->prefix,
                    "What the metrics begin with; default: host, with --run host/NAME")
        ->type_name("PATH");
    app->add_option("--interval", options->interval, "How often")
        ->type_name("TIME")
        ->capture_default_str();
    app->add_option("--buffer", options->buffer,
                    "Memory for rows that wait for the server; when it is full, new ones are "
                    "dropped")
        ->type_name("SIZE")
        ->capture_default_str();
    CLI::Option* const nvml =
        app->add_option("--nvml", options->nvml,
                        "The library of NVIDIA's driver to ask for GPUs; named, it must be there")
            ->type_name("FILE")
            ->capture_default_str();
    add_server_option(*app, options->server);
    add_examples(
        *app,
        {"stepdb agent --project fleet", "stepdb agent --project gpt --run run-17 --interval 5s"},
        "Metrics are host/cpu/busy, host/memory/used_bytes, host/disk/NAME/read_bytes,\n"
        "host/network/NAME/sent_bytes, host/gpu/0/busy and their like: docs/agent.md. "
        "Shares are\nfrom 0 to 1, bytes of disks and networks are those of a second. It "
        "goes on until SIGINT or\nSIGTERM.");
    return {app,
            [=] {
                options->has_nvml = nvml->count() > 0;
                return run_agent(*options);
            },
            [=] { return check_agent(*options); }};
}

}  // namespace stepdb
