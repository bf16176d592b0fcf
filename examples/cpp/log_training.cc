// Logs a made-up training: loss and learning rate at every step, telemetry of the machine beside
// it. What a trainer in C++ would do; see clients/cpp/README.md.
//
//   log_training HOST:PORT PROJECT RUN STEPS
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "clients/cpp/writer.h"

namespace {

using stepdb::Axis;
using stepdb::Result;
using stepdb::Status;
namespace client = stepdb::client;

Status log_training(const client::Options& options, const std::string& project,
                    const std::string& name, int steps) {
    TRY_ASSIGN(const auto writer, client::Writer::connect(options));
    TRY_ASSIGN(client::Run run, writer->open_run(project, name));
    TRY(run.set("config/steps", int64_t{steps}));

    // A schema each for what is logged together; the handles are kept.
    TRY_ASSIGN(const client::RowLog train, run.row_log({"train/loss", "train/lr"}));
    TRY_ASSIGN(const client::RowLog machine, run.row_log({"gpu/0/power"}, Axis::kTimed));

    for (int step = 0; step < steps; ++step) {
        const auto loss = static_cast<float>(2.0 + 8.0 / std::sqrt(1.0 + step));
        const float lr = 3e-4F;
        TRY(train.log(step, std::array{loss, lr}));
        if (step % 100 == 0) {
            TRY(machine.log_timed(650.0F));
        }
    }
    TRY(run.finish());

    TRY_ASSIGN(const client::Report report, writer->flush());
    std::printf("%llu rows stored, %llu refused, over %llu connections\n",
                static_cast<unsigned long long>(report.rows),
                static_cast<unsigned long long>(report.refused_rows),
                static_cast<unsigned long long>(writer->counts().connections));
    return report.all_stored() ? Status() : Status(report.refused.front().error);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: log_training HOST:PORT PROJECT RUN STEPS\n");
        return 2;
    }
    client::Options options;
    const std::string address = argv[1];
    const size_t colon = address.rfind(':');
    options.host = address.substr(0, colon);
    options.port = static_cast<uint16_t>(std::atoi(address.c_str() + colon + 1));
    const Status logged = log_training(options, argv[2], argv[3], std::atoi(argv[4]));
    if (!logged) {
        std::fprintf(stderr, "log_training: error: %s\n", logged.error().to_string().c_str());
        return 1;
    }
    return 0;
}
