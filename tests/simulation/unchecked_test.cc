// A store that takes frames from its log without verifying their checksum, which is how this
// program is built: both ways of looking for a loss must find that it shows what nobody wrote.
#include <gtest/gtest.h>

#include "tests/crash/enumeration.h"
#include "tests/simulation/world.h"

namespace stepdb::unchecked_test {

TEST(WithoutFrameChecksum, TheEnumerationFindsIt) {
    EnumerationOptions options;
    options.verifies = false;
    for (const CrashScript& script : crash_scripts()) {
        CrashEnumeration enumeration(script, options);
        const std::string found = enumeration.run();
        if (!found.empty()) {
            fmt::print("{}\n", found);
            return;
        }
    }
    FAIL() << "no crash shows it";
}

TEST(WithoutFrameChecksum, TheSimulationFindsIt) {
    constexpr uint64_t kWorldsMax = 3000;
    for (uint64_t seed = 1; seed <= kWorldsMax; ++seed) {
        World world(seed, [](SimDisk&) {});
        const std::string found = world.run();
        if (!found.empty()) {
            fmt::print("world {}: {}\n", seed, found);
            return;
        }
    }
    FAIL() << "no world shows it";
}

}  // namespace stepdb::unchecked_test
