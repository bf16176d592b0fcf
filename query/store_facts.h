// What `stats` tells of a store.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace stepdb {

struct EngineStats;

struct StoreFact {
    StoreFact() = default;

    std::string what;
    double value = 0;      // counts and bytes are whole
    std::string reads_as;  // the value for people, where it does not read by itself
};

std::vector<StoreFact> list_store_facts(const EngineStats& stats);

// Why something that goes on by itself does not get on, if so.
std::vector<std::string> list_store_troubles(const EngineStats& stats);

}  // namespace stepdb
