// `stepdb import tensorboard --follow`: from the command line to tools/import/event_follower.h.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "tools/import/event_follower.h"
#include "tools/output/result_writer.h"
#include "tools/server_choice.h"

namespace stepdb {

// What a command line says of it that no other import takes.
struct FollowChoice {
    FollowChoice() = default;

    bool is_wanted = false;
    std::string poll = "1s";
};

void add_follow_options(CLI::App& app, FollowChoice& choice);
// Refuses what does not go with it; `app` has the options of an import.
Status check_follow(const CLI::App& app, const FollowChoice& choice, std::string_view restarts,
                    std::string_view axis);

struct FollowOptions {
    FollowOptions() = default;

    FollowTarget target;
    ServerChoice server;
    OutputFormat format = OutputFormat::kTable;
    int64_t poll_us = 1'000'000;
    bool finish = false;
};

// Until a signal stops it, or the server will have no more of it.
Status follow_events(const FollowOptions& options);

}  // namespace stepdb
