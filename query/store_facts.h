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

// What a server knows of its queries since it was started; 0 without one.
struct QueryFacts {
    QueryFacts() = default;

    uint64_t running = 0;  // those that wait, and the one that asks, too
    uint64_t waiting = 0;  // for memory that others have
    uint64_t done = 0;
    uint64_t failed = 0;
    uint64_t cancelled = 0;  // also because the client had gone
    uint64_t slow = 0;
    uint64_t memory_bytes = 0;
    uint64_t memory_bytes_max = 0;
    uint64_t cache_bytes = 0;
    uint64_t cache_bytes_max = 0;
    uint64_t cache_looks = 0;
    uint64_t cache_hits = 0;
};

std::vector<StoreFact> list_store_facts(const EngineStats& stats, const QueryFacts& queries);

// Why something that goes on by itself does not get on, if so.
std::vector<std::string> list_store_troubles(const EngineStats& stats);

}  // namespace stepdb
