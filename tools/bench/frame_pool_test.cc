#include "tools/bench/frame_pool.h"

#include <gtest/gtest.h>

#include "engine/model/limits.h"
#include "engine/model/rows.h"

namespace stepdb::frame_pool_test {

RowsView decode(Bytes frame, const Schema& schema) {
    const Result<FrameHeader> header = parse_frame_header(frame);
    EXPECT_TRUE(header.has_value());
    EXPECT_TRUE(verify_frame(*header, frame).has_value());
    RowPosition bad;
    Result<RowsView> rows = RowsView::decode(frame_body(frame), schema, bad);
    EXPECT_TRUE(rows.has_value()) << rows.error().message();
    return std::move(rows).value();
}

LoadShape shape_of(uint32_t metrics, uint32_t rows, bool is_float64) {
    LoadShape shape;
    shape.metrics = metrics;
    shape.rows_per_frame = rows;
    shape.is_float64 = is_float64;
    return shape;
}

TEST(FramePool, AStampedFrameIsWholeAndHoldsWhatWasStamped) {
    for (const bool is_float64 : {false, true}) {
        const LoadShape shape = shape_of(7, 3, is_float64);
        const auto schema = bench_schema(shape);
        ASSERT_TRUE(schema.has_value());
        FramePool pool(*schema, shape, 1);
        ASSERT_GT(pool.frames(), 1U);
        ClientRun run;
        run.handle = 5;
        run.attempt = 2;
        run.next_number = 40;
        // The first frame twice: a frame is stamped anew.
        for (uint64_t frame = 0; frame < 20; ++frame) {
            const Bytes bytes = pool.stamp(frame % 19, run, 3 * frame, 1'000'000);
            EXPECT_EQ(parse_frame_header(bytes)->number, 40 + frame);
            const RowsView rows = decode(bytes, **schema);
            EXPECT_EQ(rows.layout() == ValueLayout::kFloat32, !is_float64);
            EXPECT_EQ(rows.head().run_handle, 5U);
            EXPECT_EQ(rows.head().attempt, 2U);
            ASSERT_EQ(rows.rows(), 3U);
            EXPECT_EQ(rows.step(2), static_cast<double>(3 * frame + 2));
            EXPECT_EQ(rows.time(2), 1'000'002);
        }
    }
}

TEST(FramePool, TheSeedMakesTheValues) {
    const LoadShape shape = shape_of(7, 3, false);
    const auto schema = bench_schema(shape);
    ASSERT_TRUE(schema.has_value());
    const auto first_frame = [&](uint64_t seed) {
        FramePool pool(*schema, shape, seed);
        ClientRun run;
        const Bytes bytes = pool.stamp(0, run, 0, 0);
        return std::vector<std::byte>(bytes.begin(), bytes.end());
    };
    EXPECT_EQ(first_frame(1), first_frame(1));
    EXPECT_NE(first_frame(1), first_frame(2));
}

TEST(FramePool, AFrameTooLargeForTheWireIsRefusedByItsOptions) {
    const auto schema = bench_schema(shape_of(1'000'000, 100, false));
    ASSERT_FALSE(schema.has_value());
    EXPECT_NE(schema.error().message().find("--rows-per-frame 100 of --metrics 1000000"),
              std::string::npos);
}

}  // namespace stepdb::frame_pool_test
