// Crashes at every operation of random workloads on the simulated disk: everything acknowledged is
// back, in order; what was not is there as whole frames or not at all; sending it again changes
// nothing that is there.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/sim_store.h"
#include "tests/support/workload.h"

namespace stepdb::crash_test {

Id128 writer_id(uint64_t n) {
    return sha256_128(as_bytes(fmt::format("writer {}", n)));
}

struct Scenario {
    Scenario() = default;

    uint64_t seed = 0;
    uint64_t crash_at = 0;  // operation of the life in which the changes are sent; 0: none
    CrashKind kind = CrashKind::kPowerCut;
    std::optional<SyncSite> disabled;
    bool crash_in_recovery = false;
};

// What one scenario came to: "" if all is well. `operations` is how many operations the first life
// took.
class CrashRun {
  public:
    explicit CrashRun(Scenario scenario)
        : scenario_(scenario),
          random_(scenario.seed),
          workload_(random_, 2),
          store_(disk_, scenario.seed + 1) {
        if (scenario_.disabled) {
            disk_.disable_site(*scenario_.disabled);
            store_.read_points_alone();
        }
    }

    std::string run() {
        std::string first = first_life();
        if (!first.empty()) {
            return first;
        }
        std::string found = reopen();
        if (!found.empty()) {
            return found;
        }
        found = check_prefix("after the crash");
        if (!found.empty()) {
            return found;
        }
        // The client sends again what it was not told of; everything is there once.
        writer_.connect(store_);
        store_.run();
        if (writer_.acknowledged() != changes_.size()) {
            return fmt::format("{} of {} changes acknowledged after sending again; {}",
                               writer_.acknowledged(), changes_.size(),
                               writer_.refusals().empty()
                                   ? std::string("none refused")
                                   : writer_.refusals().front().second.error.to_string());
        }
        found = check_prefix("after sending again");
        if (!found.empty()) {
            return found;
        }
        writer_.disconnect();
        const Status closed = store_.close();
        if (!closed) {
            return closed.error().to_string();
        }
        found = reopen();
        return found.empty() ? check_prefix("after closing") : found;
    }

    uint64_t operations() const { return operations_; }

  private:
    std::string first_life() {
        // A store is made in peace and then crashed in, or crashed while it is made.
        const bool crash_early = random_.below(8) == 0;
        if (crash_early && scenario_.crash_at != 0) {
            store_.crash_next_open_at(scenario_.crash_at);
            const Status opened = store_.open();
            static_cast<void>(opened);  // mostly cut short
        } else {
            const Status opened = store_.open();
            if (!opened) {
                return opened.error().to_string();
            }
            if (scenario_.crash_at != 0) {
                store_.files().crash_at_operation(store_.files().count_operations() +
                                                  scenario_.crash_at);
            }
            live();
            if (!seen_in_life_.empty()) {
                return seen_in_life_;
            }
        }
        if (store_.is_open()) {
            operations_ = store_.files().count_operations();
            if (scenario_.kind == CrashKind::kProcessKill) {
                // The page cache outlives the process; what recovery shows must outlive the power.
                store_.crash(CrashKind::kProcessKill);
                std::string found = reopen();
                if (!found.empty()) {
                    return found;
                }
                std::string shown = check_prefix("after the kill");
                if (!shown.empty()) {
                    return shown;
                }
                store_.crash(CrashKind::kPowerCut);
            } else {
                writer_.disconnect();
                store_.crash(CrashKind::kPowerCut);
            }
        }
        return "";
    }

    void live() {
        writer_.connect(store_);
        for (int i = 0; i < 40; ++i) {
            changes_.push_back(workload_.next());
            writer_.send(changes_.back(), random_.below(8) == 0, random_.below(8) == 0);
            for (uint64_t turns = random_.below(12); turns > 0; --turns) {
                store_.executor().run_one();
            }
            if (random_.below(10) == 0 && !store_.files().powered_off()) {
                std::string seen = check_prefix("while it lives");
                if (!seen.empty() && !store_.files().powered_off()) {
                    seen_in_life_ = std::move(seen);
                }
            }
            if (random_.below(12) == 0 && !store_.files().powered_off()) {
                const Status flushed = store_.flush();
                static_cast<void>(flushed);  // the power may go in the middle
                if (random_.below(3) == 0 && !store_.files().powered_off()) {
                    const Status compacted = store_.compact();
                    static_cast<void>(compacted);  // likewise
                }
            }
        }
        if (random_.coin()) {
            store_.run();
        }
    }

    std::string reopen() {
        writer_.disconnect();
        if (store_.is_open()) {
            store_.crash(CrashKind::kProcessKill);
        }
        if (scenario_.crash_in_recovery && !crashed_in_recovery_) {
            crashed_in_recovery_ = true;
            store_.crash_next_open_at(1 + random_.below(20));
            const Status cut = store_.open();
            if (cut) {
                store_.crash(CrashKind::kPowerCut);
            }
        }
        const Status opened = store_.open();
        if (!opened) {
            return opened.error().to_string();
        }
        // Without a sync it is the loss that has to be found.
        return scenario_.disabled ? "" : store_.verify();
    }

    // The contents are the first m changes, for one m of at least what was acknowledged and what
    // readers have been shown before.
    std::string check_prefix(std::string_view when) {
        // Before the reading: more may be acknowledged while it goes on.
        const size_t least = std::max(writer_.acknowledged(), shown_);
        const Result<ReferenceModel::Contents> got = store_.contents();
        if (!got) {
            return fmt::format("{}: {}", when, got.error().to_string());
        }
        ReferenceModel model;
        for (size_t i = 0; i < least; ++i) {
            model.apply(changes_[i]);
        }
        const std::string difference = describe_difference(model.contents(), *got);
        for (size_t m = least;; ++m) {
            if (model.contents() == *got) {
                shown_ = m;
                return "";
            }
            if (m == changes_.size()) {
                break;
            }
            model.apply(changes_[m]);
        }
        return fmt::format(
            "{}: no prefix of at least {} of {} changes ({} acknowledged) is what is "
            "there: {}",
            when, least, changes_.size(), writer_.acknowledged(), difference);
    }

    Scenario scenario_;
    SimDisk disk_;
    SimRandom random_;
    Workload workload_;
    SimStore store_;
    TestWriter writer_{writer_id(1)};
    std::vector<ModelChange> changes_;
    size_t shown_ = 0;  // readers have seen at least so many changes
    std::string seen_in_life_;
    uint64_t operations_ = 0;
    bool crashed_in_recovery_ = false;
};

std::string describe(const Scenario& scenario) {
    return fmt::format("seed {} crash at {} {}{}", scenario.seed, scenario.crash_at,
                       scenario.kind == CrashKind::kPowerCut ? "power cut" : "kill, then power cut",
                       scenario.crash_in_recovery ? ", and in recovery" : "");
}

constexpr uint64_t kShards = 4;  // tests that ctest runs side by side

class Crash : public ::testing::TestWithParam<uint64_t> {};

TEST_P(Crash, AtEveryOperationOfRandomWorkloads) {
    const uint64_t seed = test_seed(1);
    const uint64_t points_wanted = scaled(4000) / kShards;
    uint64_t points = 0;
    for (uint64_t round = GetParam(); points < points_wanted; round += kShards) {
        Scenario scenario;
        scenario.seed = seed * 1000 + round;
        CrashRun whole(scenario);
        const std::string found = whole.run();
        ASSERT_EQ(found, "") << describe(scenario);
        for (uint64_t at = 1; at <= whole.operations(); ++at) {
            scenario.crash_at = at;
            scenario.kind = at % 3 == 0 ? CrashKind::kProcessKill : CrashKind::kPowerCut;
            scenario.crash_in_recovery = at % 4 == 0;
            const std::string problem = CrashRun(scenario).run();
            ASSERT_EQ(problem, "") << describe(scenario);
            ++points;
        }
    }
    std::printf("%llu crash points\n", static_cast<unsigned long long>(points));
    RecordProperty("crash_points", static_cast<int>(points));
}

INSTANTIATE_TEST_SUITE_P(Shards, Crash, ::testing::Range(uint64_t{0}, kShards));

// Every sync is needed: without any one of them, some crash loses something.
class CrashWithoutSync : public ::testing::TestWithParam<int> {};

TEST_P(CrashWithoutSync, IsFound) {
    const uint64_t seed = test_seed(1);
    const auto site = static_cast<SyncSite>(GetParam());
    uint64_t points = 0;
    for (uint64_t round = 0; points < 20000; ++round) {
        Scenario scenario;
        scenario.seed = seed * 1000 + round;
        scenario.disabled = site;
        for (uint64_t at = 1; at <= 120; ++at) {
            scenario.crash_at = at;
            scenario.kind = at % 3 == 0 ? CrashKind::kProcessKill : CrashKind::kPowerCut;
            scenario.crash_in_recovery = at % 2 == 0;
            ++points;
            const std::string problem = CrashRun(scenario).run();
            if (!problem.empty()) {
                std::printf("found after %llu crash points (%s): %s\n",
                            static_cast<unsigned long long>(points), describe(scenario).c_str(),
                            problem.c_str());
                return;
            }
        }
    }
    FAIL() << sync_site_name(site) << " can be left out without a loss in " << points
           << " crash points";
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CrashWithoutSync);
INSTANTIATE_TEST_SUITE_P(Sites, CrashWithoutSync,
                         ::testing::Range(0, is_sanitized()
                                                 ? 0
                                                 : static_cast<int>(kStoreSyncSiteCount)),
                         [](const auto& site) {
                             std::string name(sync_site_name(static_cast<SyncSite>(site.param)));
                             std::replace(name.begin(), name.end(), ' ', '_');
                             return name;
                         });

}  // namespace stepdb::crash_test
