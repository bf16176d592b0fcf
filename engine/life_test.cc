// The life of a run, a rule a test: restarts, forks, states, deletes, retention. What is read is
// that of the reference model before a flush, after it, after a merge and after the store was
// opened anew; expect_everywhere() looks at all four.
#include "tests/support/engine_fixture.h"

namespace stepdb::life_test {

class LifeTest : public EngineTest {
  protected:
    LifeTest() : EngineTest(quiet_options()) { told().clear(); }

    // For the server's log.
    static std::vector<LogEvent>& told() {
        static std::vector<LogEvent> events;
        return events;
    }

    static EngineOptions quiet_options() {
        EngineOptions options = SimStore::small_options();
        options.tell = [](const LogEvent& event) { told().push_back(event); };
        options.merge_automatically = false;
        return options;
    }

    // Frames to the engine alone; those that are to count are told to the model by the caller.
    void send_restart(const std::string& run, uint32_t attempt, std::optional<double> step) {
        writer_.send_life(run, [=](uint32_t handle, uint64_t number) {
            RestartRunFrame frame;
            frame.handle = handle;
            frame.attempt = attempt;
            frame.step = step;
            return encode_restart_run_frame(frame, number);
        });
        store_.run();
    }
    void send_finish(const std::string& run, uint32_t attempt, RunState state) {
        writer_.send_life(run, [=](uint32_t handle, uint64_t number) {
            FinishRunFrame frame;
            frame.handle = handle;
            frame.attempt = attempt;
            frame.state = state;
            return encode_finish_run_frame(frame, number);
        });
        store_.run();
    }
    void send_discard(const std::string& run, uint32_t attempt, bool refuse_if_forked) {
        writer_.send_life(run, [=](uint32_t handle, uint64_t number) {
            DiscardAttemptFrame frame;
            frame.handle = handle;
            frame.attempt = attempt;
            frame.refuse_if_forked = refuse_if_forked;
            return encode_discard_attempt_frame(frame, number);
        });
        store_.run();
    }
    void send_delete_metrics(const std::string& run, std::vector<std::string> metrics) {
        writer_.send_life(run, [metrics](uint32_t handle, uint64_t number) {
            DeleteMetricsFrame frame;
            frame.handle = handle;
            frame.metrics = metrics;
            return encode_delete_metrics_frame(frame, number);
        });
        store_.run();
    }

    void restart(const std::string& run, uint32_t attempt, std::optional<double> step) {
        send_restart(run, attempt, step);
        model_.restart(run, attempt, step);
    }
    void fork(const std::string& run, const std::string& parent, double step) {
        writer_.fork_run(run, parent, step);
        store_.run();
        model_.fork(run, parent, step);
    }
    void log(const std::string& run, double step, double value, uint32_t attempt = 0) {
        ModelChange change = one_row(run, loss_, step, {value});
        change.attempt = attempt;
        send(change);
        store_.run();
    }
    void log_time(const std::string& run, int64_t time_us, double value, uint32_t attempt = 0) {
        ModelChange change;
        change.run = run;
        change.attempt = attempt;
        change.schema = temperature_;
        change.rows.push_back({std::nullopt, time_us, {value}});
        send(change);
        store_.run();
    }

    RunState state_of(std::string_view run) {
        return store_.engine().catalog()->find_run("p", run)->state;
    }
    size_t refused() const { return writer_.refusals().size(); }

    void expect_now() {
        expect_model();
        EXPECT_EQ(describe_difference(model_.facts(), store_.facts()), "");
        EXPECT_EQ(store_.verify(), "");
    }
    void expect_everywhere() {
        expect_now();
        ASSERT_TRUE(store_.flush().has_value());
        expect_now();
        ASSERT_TRUE(store_.compact().has_value());
        expect_now();
        reopen();
        expect_now();
    }

    std::shared_ptr<const Schema> temperature_ = timed({"gpu/temp"});
};

TEST_F(LifeTest, ARestartReadsWhatWasBeforeUpToAndIncludingItsStep) {
    for (int step = 1; step <= 4; ++step) {
        log("p/r", step, step);
    }
    restart("p/r", 1, 2);
    log("p/r", 3, 30, 1);
    log("p/r", 2, 20, 1);  // own points win at equal steps
    expect_everywhere();
    EXPECT_EQ(refused(), 0U);
}

TEST_F(LifeTest, EveryRankMaySendTheSameRestartAndAnotherStepIsAnError) {
    log("p/r", 1, 1);
    restart("p/r", 1, 1);
    TestWriter other(sha256_128(as_bytes("another rank")));
    other.connect(store_);
    other.send_life("p/r", [](uint32_t handle, uint64_t number) {
        RestartRunFrame frame;
        frame.handle = handle;
        frame.attempt = 1;
        frame.step = 1;
        return encode_restart_run_frame(frame, number);
    });
    store_.run();
    EXPECT_TRUE(other.refusals().empty());
    send_restart("p/r", 1, 2);
    EXPECT_NE(last_refusal().find("attempt 1 of run p/r was opened at step 1, not at step 2"),
              std::string::npos)
        << last_refusal();
    other.disconnect();
    expect_everywhere();
}

TEST_F(LifeTest, NumbersOfAttemptsMayBeSkipped) {
    log("p/r", 1, 1);
    restart("p/r", 5, 1);
    log("p/r", 2, 2, 5);
    restart("p/r", 7, 2);
    // Between them none was opened, and none can be any more.
    send_restart("p/r", 6, 1);
    EXPECT_EQ(refused(), 1U);
    expect_everywhere();
}

TEST_F(LifeTest, TelemetryIsNotCutAndARestartFromNoneReadsNothingOfBefore) {
    log("p/r", 1, 1);
    log_time("p/r", 9'000'000, 60);
    restart("p/r", 1, 0);
    log("p/r", 5, 5, 1);
    log_time("p/r", 2'000'000, 61, 1);
    EXPECT_EQ(model_.contents().at({"p/r", "loss"}).size(), 1U);
    EXPECT_EQ(model_.contents().at({"p/r", "gpu/temp"}).size(), 2U);
    expect_now();
    restart("p/r", 2, std::nullopt);
    log("p/r", 6, 6, 2);
    EXPECT_FALSE(model_.contents().contains({"p/r", "gpu/temp"}));
    EXPECT_EQ(model_.contents().at({"p/r#1", "gpu/temp"}).size(), 2U);
    expect_everywhere();
}

TEST_F(LifeTest, RowsLandInTheAttemptTheyName) {
    log("p/r", 1, 1);
    restart("p/r", 1, 1);
    log("p/r", 0.5, 0.5, 0);  // of a dead job's spool, below the cut: the new attempt reads it
    log("p/r", 2, 200, 0);    // above the cut: only the old one
    log("p/r", 2, 2, 1);
    expect_everywhere();
    ModelChange never = one_row("p/r", loss_, 3, {3.0});
    never.attempt = 4;
    writer_.send(never);
    store_.run();
    EXPECT_NE(last_refusal().find("no attempt 4"), std::string::npos) << last_refusal();
    expect_now();
}

TEST_F(LifeTest, ADiscardedAttemptTakesNoRowsAndOthersReadOnWhatTheyReadOfIt) {
    log("p/r", 1, 1);
    log("p/r", 9, 9);
    restart("p/r", 1, 1);
    log("p/r", 2, 2, 1);
    send_discard("p/r", 0, false);
    model_.discard("p/r", 0);
    ModelChange late = one_row("p/r", loss_, 0, {0.0});
    writer_.send(late);
    store_.run();
    EXPECT_NE(last_refusal().find("discarded"), std::string::npos) << last_refusal();
    expect_everywhere();
}

TEST_F(LifeTest, FinishCountsOnlyForTheNewestAttemptAndARestartSetsTheRunRunning) {
    log("p/r", 1, 1);
    send_finish("p/r", 0, RunState::kFinished);
    model_.finish("p/r", 0, RunState::kFinished);
    EXPECT_EQ(state_of("r"), RunState::kFinished);
    log("p/r", 2, 2);  // rows to a finished run are accepted
    EXPECT_EQ(state_of("r"), RunState::kFinished);
    restart("p/r", 1, 1);
    EXPECT_EQ(state_of("r"), RunState::kRunning);
    send_finish("p/r", 0, RunState::kFailed);
    model_.finish("p/r", 0, RunState::kFailed);
    EXPECT_EQ(state_of("r"), RunState::kRunning);
    expect_everywhere();
}

TEST_F(LifeTest, AForkReadsItsPinnedAttemptUpToItsStepLatePointsIncluded) {
    log("p/a", 1, 1);
    log("p/a", 3, 3);
    fork("p/f", "p/a", 2);
    restart("p/a", 1, 0);  // the fork stays with attempt 0
    log("p/a", 1.5, 15, 0);
    log("p/a", 2, 20, 0);
    log("p/a", 1, 100, 1);
    log("p/f", 2, 200);
    log("p/f", 4, 400);
    log_time("p/a", 1'000'000, 60);  // telemetry is not inherited
    EXPECT_FALSE(model_.contents().contains({"p/f", "gpu/temp"}));
    expect_everywhere();
}

TEST_F(LifeTest, AForkStepBelongsToTheAttempt) {
    log("p/a", 1, 1);
    log("p/a", 2, 2);
    fork("p/f", "p/a", 2);
    fork("p/g", "p/f", 10);
    restart("p/f", 1, 1);    // min(2, 1)
    restart("p/f", 2, 100);  // min(1, 100)
    log("p/f", 3, 3, 2);
    log("p/g", 11, 11);
    const auto contents = model_.contents();
    EXPECT_EQ(contents.at({"p/f", "loss"}).size(), 2U);
    EXPECT_EQ(contents.at({"p/f#0", "loss"}).size(), 2U);
    EXPECT_EQ(contents.at({"p/g", "loss"}).size(), 3U);
    expect_everywhere();
}

TEST_F(LifeTest, OwnLeavesAncestorsOutAndKeepsEarlierAttempts) {
    log("p/a", 1, 1);
    fork("p/f", "p/a", 5);
    log("p/f", 6, 6);
    restart("p/f", 1, 6);
    log("p/f", 7, 7, 1);
    for (const bool own : {false, true}) {
        const auto run = store_.engine().catalog()->find_run("p", "f");
        const std::vector<uint64_t> ids = {run->id};
        const auto snapshot = store_.engine().snapshot(ids);
        SnapshotReader reader(store_.files(), snapshot);
        const auto summary =
            run_task(store_.executor(), reader.summarize({*run, 1, own}, "loss", KeyRange()));
        EXPECT_EQ(summary.value().count, own ? 2U : 3U);
        EXPECT_EQ(summary.value().first.value, own ? 6 : 1);
    }
    expect_everywhere();
}

TEST_F(LifeTest, WhatForksReadCannotBeDeletedAndTheErrorNamesThem) {
    log("p/a", 1, 1);
    fork("p/child", "p/a", 1);
    log("p/child", 2, 2);
    writer_.send_life("p/a", encode_delete_run_frame);
    store_.run();
    EXPECT_NE(last_refusal().find("p/child"), std::string::npos) << last_refusal();
    send_delete_metrics("p/a", {"loss"});
    EXPECT_EQ(refused(), 2U);
    EXPECT_NE(last_refusal().find("p/child"), std::string::npos) << last_refusal();
    restart("p/a", 1, 1);
    send_discard("p/a", 0, true);
    EXPECT_EQ(refused(), 3U);
    EXPECT_NE(last_refusal().find("p/child"), std::string::npos) << last_refusal();
    expect_everywhere();
    // Without the child it is nobody else's.
    writer_.send_life("p/child", encode_delete_run_frame);
    model_.delete_run("p/child");
    store_.run();
    writer_.forget_run("p/child");
    writer_.send_life("p/a", encode_delete_run_frame);
    model_.delete_run("p/a");
    store_.run();
    writer_.forget_run("p/a");
    EXPECT_EQ(refused(), 3U);
    expect_everywhere();
}

TEST_F(LifeTest, DeletedMetricsGoFromAllAttemptsAndWhatComesLaterIsVisible) {
    log("p/r", 1, 1);
    restart("p/r", 1, 1);
    log("p/r", 2, 2, 1);
    send_delete_metrics("p/r", {"loss"});
    model_.delete_metrics("p/r", {"loss"});
    expect_now();
    log("p/r", 0.5, 0.5, 0);
    log("p/r", 3, 3, 1);
    EXPECT_EQ(model_.contents().at({"p/r", "loss"}).size(), 2U);
    expect_everywhere();
}

TEST_F(LifeTest, FiftyRestartsAndTenForksReadAsTheirPoints) {
    std::string run = "p/r0";
    double step = 0;
    for (int forks = 0; forks <= 10; ++forks) {
        if (forks > 0) {
            const std::string child = "p/r" + std::to_string(forks);
            fork(child, run, step - 1.5);
            run = child;
        }
        for (uint32_t attempt = 0; attempt < 6; ++attempt) {
            if (attempt > 0) {
                restart(run, attempt, step - 1.5);
            }
            for (int i = 0; i < 3; ++i, step += 1) {
                log(run, step, 0.5 * step, attempt);
            }
        }
    }
    expect_everywhere();
    // 66 attempts in a row: the newest reads all but the one point that each cut took away.
    EXPECT_EQ(model_.contents().at({run, "loss"}).size(), 66U * 3 - 65);
}

TEST_F(LifeTest, RetentionSparesWhatIsKeptAndParentsOfWhatIsFresh) {
    log("p/old", 1, 1);
    log("p/kept", 1, 1);
    log("p/parent", 1, 1);
    fork("p/child", "p/parent", 1);
    AttributeChange keep;
    keep.name = "sys/tags";
    keep.kind = AttributeChange::Kind::kAddToSet;
    keep.value.emplace<StringSet>(StringSet{"keep"});
    writer_.send_life("p/kept", [&](uint32_t handle, uint64_t number) {
        SetAttributesFrame frame;
        frame.handle = handle;
        frame.changes = {keep};
        return encode_set_attributes_frame(frame, number);
    });
    model_.set_attributes("p/kept", {keep});
    SetRetentionFrame retention;
    retention.project = "p";
    constexpr int64_t kDayUs = 86'400'000'000;
    retention.age_us = 10 * kDayUs;
    writer_.submit(encode_set_retention_frame(retention));
    store_.run();
    expect_now();
    store_.clock().advance(8 * kDayUs);
    log("p/child", 2, 2);
    store_.clock().advance(8 * kDayUs);
    store_.engine().tick();
    store_.run();
    model_.delete_run("p/old");
    writer_.forget_run("p/old");
    ASSERT_EQ(told().size(), 1U);
    EXPECT_EQ(told()[0].name, "retention");
    const std::vector<LogField>& fields = told()[0].fields;
    ASSERT_EQ(fields.size(), 3U);
    EXPECT_EQ(fields[0].value, LogField::Value(std::string("p")));
    EXPECT_EQ(fields[1].value, LogField::Value(uint64_t{1}));
    EXPECT_EQ(fields[2].value, LogField::Value(std::string("old")));
    expect_everywhere();
}

}  // namespace stepdb::life_test
