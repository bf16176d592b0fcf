// Plays worlds by their seeds, for hours: tests/simulation/run_long.
#include <cstdio>
#include <cstdlib>

#include "tests/simulation/world.h"

int main(int argc, char** argv) {
    using namespace stepdb;
    if (argc != 3) {
        std::fputs("usage: stepdb_simulation FIRST_SEED LAST_SEED\n", stderr);
        return 2;
    }
    const uint64_t first = std::strtoull(argv[1], nullptr, 10);
    const uint64_t last = std::strtoull(argv[2], nullptr, 10);
    SimulationCounts counts;
    for (uint64_t seed = first; seed <= last; ++seed) {
        World world(seed);
        const std::string problem = world.run();
        counts.add(world.counts());
        if (!problem.empty()) {
            fmt::print("seed {}: {}\n", seed, problem);
            return 1;
        }
    }
    fmt::print("seeds {} to {}: {}\n", first, last, counts.to_string());
    return 0;
}
