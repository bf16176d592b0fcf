// Plays a script on the simulated disk, and at each of its operations on files looks at everything
// that a power cut or a kill there could leave: every combination of what became of each change
// that was not synced, up to a bound. Each such disk is recovered from, and power cut again at
// every operation of the recovery and after it. What is there must be what the script had written
// up to some change: no earlier one than the last that was acknowledged, nor than what was shown.
// Of backups the last one that was made, or a later one, must be there, whole, and the next one can
// be made.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "tests/crash/crash_scripts.h"
#include "tests/support/sim_store.h"

namespace stepdb {

struct EnumerationCounts {
    uint64_t operations = 0;    // of the script: places where it is cut, or those that failed
    uint64_t crashes = 0;       // what was left at them, of script and recoveries
    uint64_t disks = 0;         // of these, different ones: each was recovered from
    uint64_t sampled_cuts = 0;  // places with too many combinations to try all
};

struct EnumerationOptions {
    EnumerationOptions() = default;

    // Combinations tried of each place; of places with more, these and a sample: all changes alike
    // but one, and as many that chance picks.
    uint64_t combinations_max = 4096;
    uint64_t combinations_in_recovery_max = 256;
    // One in so many of the operations that may fail does.
    uint64_t failures_every = 1;
    // Whether verify_store must find nothing wrong with what was recovered.
    bool verifies = true;
    // What is broken on purpose, of a disk.
    std::function<void(SimDisk&)> breaks = [](SimDisk&) {};
};

class CrashEnumeration {
  public:
    CrashEnumeration(const CrashScript& script, EnumerationOptions options);

    // What is wrong, in words; "" if nothing is. Ends at the first.
    std::string run();
    // Instead of at every operation the store is cut at the script's end, in each of which another
    // operation has failed with this error: what was acknowledged in spite of it must be back.
    std::string run_with_failures(ErrorCode code);
    const EnumerationCounts& counts() const { return counts_; }

  private:
    // What recovering from a disk came to.
    struct Recovered {
        size_t view = 0;               // what was there
        size_t least = 0;              // of that, and what was there after a cut in the recovery
        std::optional<size_t> backup;  // what is in the backup that is there
    };

    void look_at_crashes(const SimFileSystem& files, CrashKind kind, uint64_t combinations_max,
                         const std::function<void(SimDisk)>& use);
    void look_at_script();
    bool play_with_failure(uint64_t operation, ErrorCode code);
    void expect(SimDisk disk, size_t least, std::string_view when);
    Recovered recover(SimDisk disk, bool with_cuts);
    Recovered recover_anew(SimDisk disk, bool with_cuts);
    std::optional<size_t> find_view(SimStore& store);
    std::optional<size_t> find_backup(const SimDisk& disk);
    void back_up_again(SimStore& store);
    void fail(std::string what);

    const CrashScript& script_;
    EnumerationOptions options_;
    EngineOptions engine_options_;
    TrackedClient* client_ = nullptr;
    SimStore* store_ = nullptr;
    SimRandom random_{1};
    EnumerationCounts counts_;
    // By the disk's fingerprint; those whose recovery was cut too are apart.
    std::unordered_map<uint64_t, Recovered> recovered_;
    std::unordered_map<uint64_t, Recovered> recovered_with_cuts_;
    // By the fingerprint of the directory of backups.
    std::unordered_map<uint64_t, std::optional<size_t>> backups_;
    std::string problem_;
};

}  // namespace stepdb
