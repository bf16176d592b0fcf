// What an operator is told of while a store is open: each trouble once, when it begins and when it
// is over.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/engine_fixture.h"

namespace stepdb::troubles_test {

std::vector<std::string>& told() {
    static std::vector<std::string> events;
    return events;
}

EngineOptions options_that_tell() {
    EngineOptions options = SimStore::small_options();
    options.tell = [](const LogEvent& event) { told().emplace_back(event.name); };
    return options;
}

class Troubles : public EngineTest {
  protected:
    Troubles() : EngineTest(options_that_tell()) { told().clear(); }

    void tick() {
        store_.clock().advance(40'000'000);
        store_.engine().tick();
        store_.run();
    }

    void rows(int first, int count) {
        for (int step = first; step < first + count; ++step) {
            writer_.send(one_row("p/r", loss_, step, {0.5 * step}));
        }
        store_.run();
    }

    using Events = std::vector<std::string>;
};

TEST_F(Troubles, AFailedWriteEndsTakingRows) {
    rows(0, 3);
    store_.files().fail_operation(store_.files().count_operations() + 1,
                                  make_error(ErrorCode::kIoError, "Input/output error"));
    rows(3, 3);
    tick();
    tick();
    EXPECT_EQ(told(), (Events{"store_read_only"}));
}

TEST_F(Troubles, AFullDiskIsToldOfWhenItBeginsAndWhenItIsOver) {
    rows(0, 3);
    disk_.set_capacity(1);
    for (int step = 3; told().empty() && step < 4000; ++step) {
        rows(step, 1);
    }
    EXPECT_EQ(told(), (Events{"disk_full"}));
    tick();
    EXPECT_EQ(told().front(), "disk_full");
    disk_.set_capacity(1U << 30U);
    tick();
    tick();
    EXPECT_EQ(std::ranges::count(told(), "disk_full"), 1);
    EXPECT_EQ(std::ranges::count(told(), "disk_has_room"), 1);
}

TEST_F(Troubles, AFlushForWhichThereIsNoRoomIsToldOf) {
    disk_.set_capacity(disk_.used_bytes());
    // So many that a flush begins by itself.
    for (int step = 0; std::ranges::count(told(), "flush_failed") == 0 && step < 4000; ++step) {
        rows(step, 1);
        store_.engine().tick();
        store_.run();
    }
    EXPECT_EQ(std::ranges::count(told(), "flush_failed"), 1);
    disk_.set_capacity(1U << 30U);
    for (int i = 0; i < 4; ++i) {
        tick();
    }
    EXPECT_EQ(std::ranges::count(told(), "flush_recovered"), 1);
}

}  // namespace stepdb::troubles_test
