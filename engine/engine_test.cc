#include "engine/engine.h"

#include <gtest/gtest.h>

#include <bit>

#include "tests/support/engine_fixture.h"

namespace stepdb::engine_test {

TEST_F(EngineTest, ARowIsSeenOnlyOnceItIsDurable) {
    send(one_row("p/r", loss_, 1, {0.5}));
    EXPECT_TRUE(store_.contents()->empty());
    EXPECT_EQ(writer_.acknowledged(), 0U);
    store_.run();
    EXPECT_EQ(writer_.acknowledged(), 1U);
    expect_model();
}

TEST_F(EngineTest, EveryClassOfValueComesBackBitForBitFromEveryStage) {
    std::vector<std::optional<double>> values;
    std::vector<std::string> metrics;
    for (const uint64_t bits :
         {0x0000000000000000ULL, 0x8000000000000000ULL, 0x7FF0000000000000ULL,
          0xFFF0000000000000ULL, 0x7FF8000000000000ULL, 0xFFF8000000000000ULL,
          0x7FF0000000000001ULL, 0x7FF4DEAD0BEEF000ULL, 0x7FF0000020000000ULL,
          0x0000000000000001ULL, 0x800FFFFFFFFFFFFFULL, 0x3FF0000000000000ULL,
          0x3FB999999999999AULL, 0x4340000000000000ULL, 0x36A0000000000000ULL}) {
        values.emplace_back(std::bit_cast<double>(bits));
        metrics.push_back(fmt::format("m/{:016x}", bits));
    }
    const auto schema = stepped(metrics);
    for (int step = 0; step < 40; ++step) {
        std::rotate(values.begin(), values.begin() + 1, values.end());
        send(one_row("p/r", schema, step, values));
    }
    store_.run();
    EXPECT_GT(store_.engine().stats().memory_block_bytes, 0U);
    expect_model();  // tails and blocks
    writer_.disconnect();
    store_.crash(CrashKind::kPowerCut);
    ASSERT_TRUE(store_.open().has_value());
    EXPECT_EQ(store_.engine().recovery().rows_replayed, 40U);
    expect_model();  // replayed
    ASSERT_TRUE(store_.flush().has_value());
    EXPECT_EQ(store_.engine().stats().segments, 1U);
    expect_model();  // a segment
    writer_.connect(store_);
    reopen();
    EXPECT_EQ(store_.engine().recovery().rows_replayed, 0U);
    expect_model();  // a segment read from disk
}

// Rows of large frames are not copied out of the log's group, others are; nobody can tell.
TEST_F(EngineTest, RowsMayStayInTheGroupOfTheLogThatTheyCameIn) {
    std::vector<std::string> metrics;
    metrics.reserve(64);
    for (int metric = 0; metric < 64; ++metric) {
        metrics.push_back(fmt::format("m{}", metric));
    }
    const auto schema = stepped(metrics);
    int step = 0;
    const auto send_frame = [&](int rows) {
        ModelChange change = one_row("p/r", schema, step, {});
        change.rows.clear();
        for (int row = 0; row < rows; ++row) {
            ++step;
            change.rows.push_back({step, 1'700'000'000'000'000 + step,
                                   std::vector<std::optional<double>>(64, 0.1 * step)});
        }
        send(change);
        store_.run();
    };
    for (int round = 0; round < 3; ++round) {
        const std::vector<uint64_t> run = {1};
        send_frame(41);
        EXPECT_GT(store_.engine().memory().shared->used(), 16U << 10U);
        EXPECT_GE(store_.engine().memory().rows->used(), store_.engine().memory().shared->used());
        send_frame(1);
        expect_model();
        auto snapshot = store_.engine().snapshot(run);
        ASSERT_TRUE(store_.flush().has_value());
        EXPECT_GT(store_.engine().memory().shared->used(), 0U) << "a reader still sees the rows";
        snapshot.reset();
        EXPECT_EQ(store_.engine().memory().shared->used(), 0U);
        expect_model();
        send_frame(41);
        reopen();
        expect_model();
    }
}

TEST_F(EngineTest, ALaterWriteReplacesAndALateOneFindsItsPlace) {
    const auto both = stepped({"loss", "lr"});
    send(one_row("p/r", loss_, 5, {1.0}));
    send(one_row("p/r", both, 5, {2.0, 0.1}));
    send(one_row("p/r", both, 3, {3.0, std::nullopt}));
    send(one_row("p/r", both, 5, {std::nullopt, 0.2}));
    store_.run();
    expect_model();
    const auto contents = *store_.contents();
    EXPECT_EQ(contents.at({"p/r", "loss"}).size(), 2U);
    EXPECT_EQ(contents.at({"p/r", "loss"}).at(key_of_step(5)).value_bits, bits_of(2.0));
    EXPECT_EQ(contents.at({"p/r", "lr"}).at(key_of_step(5)).value_bits, bits_of(0.2));
    ASSERT_TRUE(store_.flush().has_value());
    send(one_row("p/r", loss_, 5, {4.0}));
    store_.run();
    expect_model();
}

TEST_F(EngineTest, LateRowsAreCountedPerSchema) {
    const auto other = stepped({"eval"});
    send(one_row("p/r", loss_, 5, {1.0}));
    send(one_row("p/r", loss_, 5, {1.0}));
    send(one_row("p/r", loss_, 4, {1.0}));
    send(one_row("p/r", loss_, 6, {1.0}));
    send(one_row("p/r", other, 1, {1.0}));
    store_.run();
    EXPECT_EQ(writer_.late_rows(), 2U);
    ASSERT_TRUE(store_.flush().has_value());
    reopen();
    send(one_row("p/r", loss_, 6, {1.0}));
    store_.run();
    EXPECT_EQ(writer_.late_rows(), 3U) << "the highest step is known after a restart";
}

TEST_F(EngineTest, NegativeZeroStepIsZero) {
    send(one_row("p/r", loss_, -0.0, {1.0}));
    send(one_row("p/r", loss_, 0.0, {2.0}));
    store_.run();
    EXPECT_EQ(store_.contents()->at({"p/r", "loss"}).size(), 1U);
}

TEST_F(EngineTest, TheFirstSchemaOfAMetricFixesItsAxis) {
    send(one_row("p/r", loss_, 1, {1.0}));
    ModelChange change;
    change.run = "p/r";
    change.schema = timed({"gpu", "loss"});
    change.rows.push_back({std::nullopt, 5, {1.0, 2.0}});
    writer_.send(change);
    store_.run();
    ASSERT_EQ(writer_.refusals().size(), 1U);
    EXPECT_EQ(writer_.refusals()[0].second.error.code(), ErrorCode::kFailedPrecondition);
    EXPECT_NE(last_refusal().find("'loss' of run p/r is stepped"), std::string::npos);
    expect_model();
    ASSERT_TRUE(store_.flush().has_value());
    reopen();
    change.schema = timed({"loss"});
    change.rows[0].values = {1.0};
    writer_.send(change);
    store_.run();
    EXPECT_NE(last_refusal().find("is stepped"), std::string::npos) << "known after a restart";
}

TEST_F(EngineTest, AFrameSentAgainChangesNothing) {
    send(one_row("p/r", loss_, 1, {1.0}));
    store_.run();
    RowsBuilder builder(loss_);
    const double value = 99;
    builder.add(1.0, 5, std::span(&value, 1));
    const uint64_t ordinal = writer_.submit(builder.finish(1, 0, 1));
    store_.run();
    EXPECT_EQ(writer_.durable_ordinal(), ordinal);
    EXPECT_TRUE(writer_.refusals().empty());
    expect_model();
}

TEST_F(EngineTest, AGapInTheNumbersIsRefused) {
    send(one_row("p/r", loss_, 1, {1.0}));
    RowsBuilder builder(loss_);
    const double value = 99;
    builder.add(2.0, 5, std::span(&value, 1));
    writer_.submit(builder.finish(1, 0, 3));
    store_.run();
    EXPECT_NE(last_refusal().find("numbering gap: frame 3"), std::string::npos) << last_refusal();
    expect_model();
}

TEST_F(EngineTest, ARefusedFrameUsesUpItsNumber) {
    send(one_row("p/r", loss_, 1, {1.0}));
    RowsBuilder builder(stepped({"unknown schema"}));
    const double value = 99;
    builder.add(2.0, 5, std::span(&value, 1));
    writer_.submit(builder.finish(1, 0, 2));
    RowsBuilder next(loss_);
    next.add(2.0, 5, std::span(&value, 1));
    writer_.submit(next.finish(1, 0, 3));
    store_.run();
    ASSERT_EQ(writer_.refusals().size(), 1U);
    EXPECT_EQ(writer_.refusals()[0].second.error.code(), ErrorCode::kNotFound);
    EXPECT_EQ(store_.contents()->at({"p/r", "loss"}).size(), 2U);
}

TEST_F(EngineTest, ANewConnectionFencesTheOldOne) {
    send(one_row("p/r", loss_, 1, {1.0}));
    store_.run();
    TestWriter second(sha256_128(as_bytes("writer")));
    second.connect(store_);
    ModelChange change = one_row("p/r", loss_, 2, {2.0});
    second.send(change);  // number 1 again: acknowledged without effect
    writer_.send(change);
    store_.run();
    EXPECT_NE(last_refusal().find("fenced"), std::string::npos) << last_refusal();
    EXPECT_EQ(store_.contents()->at({"p/r", "loss"}).size(), 1U);
}

// What a lost connection had sent before may arrive behind what its successor sends.
TEST_F(EngineTest, AnOldConnectionDoesNotFenceTheNewOne) {
    const Id128 writer = sha256_128(as_bytes("writer"));
    TestWriter late(writer);
    TestWriter next(writer);
    store_.set_sessions(
        [&, connection = uint64_t{2}](const Id128& id, OutcomeSink& sink) mutable {
            return store_.engine().open_session(id, sink, connection--, nullptr);
        },
        {});
    next.connect(store_);  // the second connection that was made
    next.send(one_row("p/r", loss_, 1, {1.0}));
    store_.run();
    late.connect(store_);  // the first
    late.send(one_row("p/r", loss_, 1, {7.0}));
    next.send(one_row("p/r", loss_, 2, {2.0}));
    store_.run();
    EXPECT_TRUE(next.refusals().empty());
    ASSERT_FALSE(late.refusals().empty());
    EXPECT_NE(late.refusals().front().second.error.message().find("fenced"), std::string::npos);
    const ReferenceModel::Series series = store_.contents()->at({"p/r", "loss"});
    EXPECT_EQ(series.size(), 2U);
    EXPECT_EQ(series.begin()->second.value_bits, bits_of(1.0));
    store_.set_sessions({}, {});
}

TEST_F(EngineTest, AResumingWriterMustBeKnown) {
    OpenRunFrame open;
    open.handle = 1;
    open.mode = OpenRunFrame::kCreateIfMissing | OpenRunFrame::kResume;
    open.project = "p";
    open.run = "r";
    writer_.submit(encode_open_run_frame(open));
    store_.run();
    EXPECT_NE(last_refusal().find("cannot resume"), std::string::npos);
    EXPECT_TRUE(store_.engine().catalog()->runs().empty());
}

TEST_F(EngineTest, AWriterIsForgottenThirtyDaysAfterItsLastFrame) {
    send(one_row("p/r", loss_, 1, {1.0}));
    store_.run();
    TestWriter other(sha256_128(as_bytes("other")));
    other.connect(store_);
    other.send(one_row("p/r", loss_, 2, {2.0}));
    store_.run();
    writer_.disconnect();
    const auto resume = [&] {
        OpenRunFrame open;
        open.handle = 1;
        open.mode = OpenRunFrame::kResume;
        open.project = "p";
        open.run = "r";
        TestWriter again(sha256_128(as_bytes("writer")));
        again.connect(store_);
        again.submit(encode_open_run_frame(open));
        store_.run();
        return again.refusals().empty();
    };
    constexpr int64_t kDay = int64_t{24} * 3600 * 1'000'000;
    store_.clock().advance(29 * kDay);
    ASSERT_TRUE(store_.flush().has_value());
    EXPECT_TRUE(resume());
    store_.clock().advance(31 * kDay);
    other.send(one_row("p/r", loss_, 3, {3.0}));
    store_.run();
    ASSERT_TRUE(store_.flush().has_value());
    EXPECT_FALSE(resume()) << "and its connected neighbour still writes";
    other.send(one_row("p/r", loss_, 4, {4.0}));
    store_.run();
    EXPECT_EQ(other.acknowledged(), 3U);
}

TEST_F(EngineTest, RunsAreFoundOrMadeAsAsked) {
    OpenRunFrame open;
    open.handle = 1;
    open.project = "p";
    open.run = "r";
    writer_.submit(encode_open_run_frame(open));
    open.mode = OpenRunFrame::kMustCreate;
    writer_.submit(encode_open_run_frame(open));
    writer_.submit(encode_open_run_frame(open));
    open.run = "a/b";
    writer_.submit(encode_open_run_frame(open));
    store_.run();
    ASSERT_EQ(writer_.refusals().size(), 3U);
    EXPECT_EQ(writer_.refusals()[0].second.error.code(), ErrorCode::kNotFound);
    EXPECT_EQ(writer_.refusals()[1].second.error.code(), ErrorCode::kAlreadyExists);
    EXPECT_EQ(writer_.refusals()[2].second.error.code(), ErrorCode::kInvalidArgument);
    ASSERT_EQ(writer_.opened().size(), 1U);
    EXPECT_TRUE(writer_.opened()[0].created);
}

TEST_F(EngineTest, FinishingIsStoredAndRowsAfterItAreWelcome) {
    send(one_row("p/r", loss_, 1, {1.0}));
    writer_.finish_run("p/r", RunState::kFailed);
    send(one_row("p/r", loss_, 2, {2.0}));
    store_.run();
    EXPECT_EQ(store_.engine().catalog()->find_run("p", "r")->state, RunState::kFailed);
    expect_model();
    reopen();
    EXPECT_EQ(store_.engine().catalog()->find_run("p", "r")->state, RunState::kFailed);
}

TEST_F(EngineTest, TimedRowsWithoutATimeAreNotAccepted) {
    const auto schema = timed({"gpu"});
    RowsBuilder builder(stepped({"gpu"}));
    const double value = 1;
    builder.add(1.0, std::nullopt, std::span(&value, 1));
    send(one_row("p/r", loss_, 1, {1.0}));
    writer_.submit(encode_schema_frame("p", *schema));
    std::vector<std::byte> frame = builder.finish(1, 0, 2);
    const SchemaHash hash = schema->hash();
    std::copy(hash.bytes.begin(), hash.bytes.end(), frame.begin() + kFrameHeaderBytes + 8);
    store_le(frame.data() + 8, frame_checksum(ChecksumKind::kXxh3, frame));
    writer_.submit(frame);
    store_.run();
    ASSERT_EQ(writer_.refusals().size(), 1U) << "steps on a timed schema";
}

TEST_F(EngineTest, ASchemaMayComeInPieces) {
    const auto schema = stepped({"a/long/metric/name", "another/one", "and/a/third"});
    const std::vector<std::byte> whole = encode_schema_frame("p", *schema);
    const Result<SchemaFrame> decoded = SchemaFrame::decode(frame_body(whole));
    for (const auto& [from, to] :
         std::vector<std::pair<size_t, size_t>>{{0, 20}, {20, 31}, {31, 999}}) {
        FrameBuilder builder(FrameType::kSchema, 0);
        builder.writer().put_text("p");
        builder.writer().put_bytes(schema->hash().bytes);
        builder.writer().put(decoded->total_bytes);
        builder.writer().put(static_cast<uint32_t>(from));
        const size_t end = std::min<size_t>(to, decoded->total_bytes);
        builder.writer().put_bytes(decoded->piece.subspan(from, end - from));
        writer_.submit(builder.finish());
    }
    store_.run();
    EXPECT_TRUE(writer_.refusals().empty()) << last_refusal();
    EXPECT_NE(store_.engine().catalog()->find_schema("p", schema->hash()), nullptr);
    reopen();
    EXPECT_NE(store_.engine().catalog()->find_schema("p", schema->hash()), nullptr);
}

TEST_F(EngineTest, AFailedSyncLatchesTheStoreReadOnly) {
    send(one_row("p/r", loss_, 1, {1.0}));
    store_.run();
    store_.files().fail_operation(store_.files().count_operations() + 2,
                                  make_error(ErrorCode::kIoError, "sync failed"));
    writer_.send(one_row("p/r", loss_, 2, {2.0}));
    store_.run();
    EXPECT_EQ(writer_.acknowledged(), 1U);
    EXPECT_NE(last_refusal().find("read-only until it is restarted"), std::string::npos);
    expect_model();
    writer_.send(one_row("p/r", loss_, 3, {3.0}));
    store_.run();
    EXPECT_EQ(writer_.refusals().size(), 2U);
    EXPECT_TRUE(store_.engine().read_only_reason().has_value());
    ASSERT_TRUE(store_.close().has_value());
    ASSERT_TRUE(store_.open().has_value());
}

TEST_F(EngineTest, AFullDiskRefusesAndWritesResumeWhenThereIsRoom) {
    disk_.set_capacity(disk_.used_bytes() + (8U << 10U));
    int step = 0;
    while (writer_.refusals().empty() && step < 200) {
        writer_.send(one_row("p/r", loss_, ++step, {0.5}));
        store_.run();
    }
    ASSERT_FALSE(writer_.refusals().empty());
    EXPECT_EQ(writer_.refusals()[0].second.error.code(), ErrorCode::kResourceExhausted);
    const auto shown = store_.contents();
    ASSERT_TRUE(shown.has_value()) << "reads go on";
    disk_.set_capacity(disk_.used_bytes() + (4U << 20U));
    const size_t refused = writer_.refusals().size();
    store_.engine().tick();  // asks for a file
    store_.run();
    writer_.send(one_row("p/r", loss_, ++step, {0.5}));
    store_.run();
    EXPECT_EQ(writer_.refusals().size(), refused) << last_refusal();
    // Every frame that was not refused is there, those that waited for room included.
    EXPECT_EQ(store_.contents()->at({"p/r", "loss"}).size(),
              static_cast<size_t>(step) - writer_.refusals().size());
    EXPECT_FALSE(store_.engine().read_only_reason().has_value());
}

TEST_F(EngineTest, ClosingEndsWhileFramesWaitOnAFullDisk) {
    disk_.set_capacity(disk_.used_bytes() + (8U << 10U));
    for (int step = 0; step < 4000; ++step) {
        writer_.send(one_row("p/r", loss_, step, {0.5}));
    }
    store_.run();
    EXPECT_LT(writer_.acknowledged(), writer_.sent());
    const size_t acknowledged = writer_.acknowledged();
    ASSERT_TRUE(store_.close().has_value());
    disk_.set_capacity(64U << 20U);
    ASSERT_TRUE(store_.open().has_value());
    EXPECT_GE(store_.contents()->at({"p/r", "loss"}).size(), acknowledged);
}

TEST_F(EngineTest, ARefusedFrameSentAgainIsRefusedAgain) {
    send(one_row("p/r", loss_, 1, {1.0}));
    RowsBuilder builder(stepped({"unknown schema"}));
    const double value = 99;
    builder.add(2.0, 5, std::span(&value, 1));
    const std::vector<std::byte> frame = builder.finish(1, 0, 2);
    writer_.submit(frame);
    writer_.submit(frame);
    store_.run();
    ASSERT_EQ(writer_.refusals().size(), 2U) << "an ack would say that its rows are stored";
    EXPECT_NE(last_refusal().find("stays refused"), std::string::npos) << last_refusal();
}

TEST_F(EngineTest, AFailedFlushRefusesWhatComesAndKeepsWhatIsUnderWay) {
    send(one_row("p/r", loss_, 1, {1.0}));
    store_.run();
    const uint64_t begun = store_.files().count_operations();
    store_.files().fail_operation(begun + 2,
                                  make_error(ErrorCode::kIoError, "the disk is on fire"));
    std::optional<Status> flushed;
    start(store_.engine().flush(), [&](Status status) { flushed = std::move(status); });
    while (store_.files().count_operations() < begun + 2) {
        ASSERT_TRUE(store_.executor().run_one());
    }
    send(one_row("p/r", loss_, 2, {2.0}));
    store_.run();
    ASSERT_TRUE(flushed.has_value());
    EXPECT_FALSE(flushed->has_value());
    EXPECT_EQ(writer_.acknowledged(), 2U);
    writer_.send(one_row("p/r", loss_, 3, {3.0}));
    store_.run();
    ASSERT_EQ(writer_.refusals().size(), 1U);
    expect_model();
    ASSERT_TRUE(store_.close().has_value());
    ASSERT_TRUE(store_.open().has_value());
    expect_model();
}

TEST_F(EngineTest, LogFilesAreLetGoAndRecycled) {
    for (int round = 0; round < 60; ++round) {
        for (int i = 0; i < 40; ++i) {
            send(one_row("p/r", loss_, round * 40 + i, {0.1 * i}));
            if (i % 4 == 0) {
                store_.run();
            }
        }
    }
    store_.run();
    EXPECT_GT(store_.engine().stats().flushes, 1U);
    EXPECT_LE(store_.engine().stats().log_live_bytes, 512U << 10U);
    expect_model();
    reopen();
    expect_model();
}

TEST_F(EngineTest, ASecondOpeningOfTheSameDirectoryIsRefused) {
    const EngineEnvironment environment(store_.executor(), store_.files(), store_.clock(),
                                        store_.random());
    const auto second =
        run_task(store_.executor(), Engine::open(environment, SimStore::small_options()));
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code(), ErrorCode::kFailedPrecondition);
}

}  // namespace stepdb::engine_test
