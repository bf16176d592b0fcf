// Small workloads that together touch every feature of a store, each written by one client. For the
// enumeration of crashes.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "tests/support/tracked_client.h"

namespace stepdb {

struct CrashScript {
    std::string_view name;
    std::function<void(TrackedClient&)> play;
    // Of small_options(), what is different.
    std::function<void(EngineOptions&)> adjust = [](EngineOptions&) {};
    bool backs_up = false;  // to kBackupsDirectory
};

const std::vector<CrashScript>& crash_scripts();

}  // namespace stepdb
