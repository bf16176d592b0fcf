// The parts of compaction that are functions of what they are given.
#include <gtest/gtest.h>

#include "engine/compaction/column_batch.h"
#include "engine/compaction/merge_plan.h"
#include "engine/compaction/policy.h"

namespace stepdb::compaction_parts_test {

SegmentStats stats(uint64_t id, uint64_t bytes, uint64_t dead = 0, uint64_t pieces = 1) {
    SegmentStats segment;
    segment.file_id = id;
    segment.bytes = bytes;
    segment.dead_bytes = dead;
    segment.pieces = pieces;
    segment.pieces_least = 1;
    segment.pieces_most = 1;
    return segment;
}

constexpr uint64_t kMiB = 1U << 20U;

TEST(MergePolicy, TakesFourOfASizeAndLeavesFewerAlone) {
    std::vector<SegmentStats> segments = {stats(1, 60 * kMiB), stats(2, 50 * kMiB),
                                          stats(3, 55 * kMiB), stats(4, 900 * kMiB)};
    EXPECT_TRUE(choose_segments(segments, MergeUrgency::kBusy).empty());
    segments.push_back(stats(5, 40 * kMiB));
    EXPECT_EQ(choose_segments(segments, MergeUrgency::kBusy), (std::vector<uint64_t>{5, 2, 3, 1}));
}

TEST(MergePolicy, NeverMakesASegmentLargerThanItsBound) {
    std::vector<SegmentStats> segments;
    for (uint64_t id = 1; id <= 8; ++id) {
        segments.push_back(stats(id, 300 * kMiB));
    }
    EXPECT_EQ(choose_segments(segments, MergeUrgency::kBusy).size(), 3U);
    segments.clear();
    for (uint64_t id = 1; id <= 8; ++id) {
        segments.push_back(stats(id, 700 * kMiB));
    }
    EXPECT_TRUE(choose_segments(segments, MergeUrgency::kFull).empty());
}

TEST(MergePolicy, WritesWhatIsMostlyDeadOrInPiecesAnew) {
    const std::vector<SegmentStats> segments = {stats(1, 800 * kMiB),
                                                stats(2, 100 * kMiB, 30 * kMiB)};
    EXPECT_EQ(choose_segments(segments, MergeUrgency::kBusy), std::vector<uint64_t>{2});
    const std::vector<SegmentStats> pieces = {stats(7, 100 * kMiB, 0, 50)};
    EXPECT_TRUE(choose_segments(pieces, MergeUrgency::kBusy).empty());
    EXPECT_EQ(choose_segments(pieces, MergeUrgency::kSettled), std::vector<uint64_t>{7});
    const std::vector<SegmentStats> more = {stats(7, 100 * kMiB, 0, 50), stats(8, 90 * kMiB),
                                            stats(9, 80 * kMiB, 0, 50)};
    EXPECT_EQ(choose_segments(more, MergeUrgency::kSettled), (std::vector<uint64_t>{9, 7}));
}

SegmentBlock block_of(uint64_t schema, uint32_t rows, uint32_t first_column, uint32_t end_column) {
    SegmentBlock block;
    block.info.run = 1;
    block.info.schema = schema;
    block.info.rows = rows;
    block.info.columns = 2000;
    block.info.first_column = first_column;
    block.info.end_column = end_column;
    return block;
}

class EveryRow final : public LiveRows {
  public:
    bool run_exists(uint64_t) const override { return true; }
    uint64_t dead_through(uint64_t, std::string_view) const override { return 0; }
    uint32_t dead_columns(const BlockInfo&, uint64_t) const override { return 0; }
    std::optional<Key> kept_through(uint64_t, uint32_t, Axis) const override {
        return std::nullopt;
    }
};

// Half of the columns were deleted at sequence 100; attempt 3 was discarded from key 50 on.
class SomeRows final : public LiveRows {
  public:
    bool run_exists(uint64_t) const override { return true; }
    uint64_t dead_through(uint64_t, std::string_view) const override { return 0; }
    uint32_t dead_columns(const BlockInfo& block, uint64_t after) const override {
        return after < 100 ? (block.end_column - block.first_column) / 2 : 0;
    }
    std::optional<Key> kept_through(uint64_t, uint32_t attempt, Axis) const override {
        return attempt == 3 ? std::optional<Key>(50) : std::nullopt;
    }
};

TEST(MergePolicy, DeletedColumnsAndDiscardedAttemptsAreDead) {
    SegmentBlock block = block_of(1, 512, 0, 2000);
    block.info.axis_bytes = 100;
    block.info.strips_bytes = 5000;
    const SegmentMeta half("s", Id128(), 7, SegmentFooter(), {block});
    EXPECT_EQ(measure_segment(half, SomeRows(), MergeLimits()).dead_bytes, 2500U);
    EXPECT_EQ(measure_segment(half, SomeRows(), MergeLimits(), 100).dead_bytes, 0U);
    block.info.attempt = 3;
    block.info.key_min = 51;
    block.info.key_max = 60;
    const SegmentMeta discarded("s", Id128(), 7, SegmentFooter(), {block});
    EXPECT_EQ(measure_segment(discarded, SomeRows(), MergeLimits()).dead_bytes, 5100U);
}

// What counts is in how many blocks a series is, not how many there are.
TEST(MergePolicy, BlocksThatShareOutTheColumnsAreOnePiece) {
    std::vector<SegmentBlock> blocks;
    for (uint32_t i = 0; i < 10; ++i) {
        blocks.push_back(block_of(1, 512, 0, 2000));
    }
    for (uint32_t i = 0; i < 10; ++i) {
        blocks.push_back(block_of(2, 5120, 200 * i, 200 * (i + 1)));
    }
    const SegmentMeta segment("s", Id128(), 7, SegmentFooter(), blocks);
    const SegmentStats stats = measure_segment(segment, EveryRow(), MergeLimits());
    EXPECT_EQ(stats.pieces, 11U);
    EXPECT_EQ(stats.pieces_least, 2U);
}

// A flush of a busy run leaves large blocks; nothing is gained by writing them again.
TEST(MergePolicy, LeavesLargeBlocksAlone) {
    const MergeLimits limits;
    std::vector<SegmentBlock> blocks = {block_of(1, limits.rows, 0, 10),
                                        block_of(1, limits.rows / 3, 0, 10)};
    blocks[0].info.strips_bytes = 50 * kMiB;
    blocks[1].info.strips_bytes = 20 * kMiB;
    SegmentStats whole =
        measure_segment(SegmentMeta("s", Id128(), 7, SegmentFooter(), blocks), EveryRow(), limits);
    EXPECT_EQ(whole.whole_bytes, 70 * kMiB);
    whole.bytes = 71 * kMiB;
    EXPECT_EQ(whole.pieces_most, 0U);
    // Of few rows, but so wide that each is a long way from the next.
    SegmentBlock wide = block_of(2, 800, 0, 100'000);
    wide.info.strips_bytes = 240 * kMiB;
    EXPECT_EQ(
        measure_segment(SegmentMeta("s", Id128(), 8, SegmentFooter(), {wide}), EveryRow(), limits)
            .whole_bytes,
        240 * kMiB);
    std::vector<SegmentStats> segments;
    for (uint64_t id = 1; id <= 20; ++id) {
        segments.push_back(whole);
        segments.back().file_id = id;
    }
    EXPECT_TRUE(choose_segments(segments, MergeUrgency::kBusy).empty());
    EXPECT_TRUE(choose_segments(segments, MergeUrgency::kSettled).empty());
    EXPECT_FALSE(choose_segments(segments, MergeUrgency::kFull).empty());
    for (SegmentStats& segment : segments) {
        segment.whole_bytes = 50 * kMiB;
    }
    EXPECT_FALSE(choose_segments(segments, MergeUrgency::kBusy).empty());
}

// Each of the runs a row now and then, beside one that makes the segments large.
TEST(MergePolicy, SegmentsOfSmallBlocksAreMergedAmongThemselves) {
    std::vector<SegmentStats> segments;
    for (uint64_t id = 1; id <= 3; ++id) {
        segments.push_back(stats(id, 3 * kMiB));
        segments.back().blocks = 10'000;
        segments.push_back(stats(10 + id, 3 * kMiB));
        segments.back().blocks = 4;
    }
    EXPECT_TRUE(choose_segments(segments, MergeUrgency::kBusy).empty());
    segments.push_back(stats(4, 3 * kMiB));
    segments.back().blocks = 10'000;
    EXPECT_EQ(choose_segments(segments, MergeUrgency::kBusy), (std::vector<uint64_t>{1, 2, 3, 4}));
}

// Tiers leave up to three of every size; a series may be in all of them.
TEST(MergePolicy, ASettledStoreHasFewSegments) {
    std::vector<SegmentStats> segments;
    for (uint64_t id = 1; id <= 9; ++id) {
        segments.push_back(stats(id, kMiB << (2 * (id % 4))));
    }
    EXPECT_TRUE(choose_segments(segments, MergeUrgency::kBusy).empty());
    EXPECT_EQ(choose_segments(segments, MergeUrgency::kSettled).size(), 9U);
    segments.resize(6);
    EXPECT_TRUE(choose_segments(segments, MergeUrgency::kSettled).empty());
}

TEST(MergePolicy, RowsThatEachHaveASchemaOfTheirOwnAreInPieces) {
    Catalog catalog;
    std::vector<SegmentBlock> blocks;
    for (uint64_t id = 1; id <= 200; ++id) {
        catalog.put_schema("p", id,
                           std::make_shared<const Schema>(*Schema::create(
                               Axis::kStepped, {"loss", fmt::format("layer/{}", id)})));
        blocks.push_back(block_of(id, 1, 0, 2));
    }
    const SegmentMeta segment("s", Id128(), 7, SegmentFooter(), blocks);
    EXPECT_EQ(pieces_by_schemas(segment, catalog), 200U);
    const SegmentMeta one("s", Id128(), 7, SegmentFooter(), {blocks[0]});
    EXPECT_EQ(pieces_by_schemas(one, catalog), 1U);
}

// Every row is written again at most once a tier, however long it goes on.
TEST(MergePolicy, WriteAmplificationIsLogarithmic) {
    std::vector<SegmentStats> segments;
    uint64_t written = 0;
    constexpr uint64_t kFlushes = 512;
    for (uint64_t id = 1; id <= kFlushes; ++id) {
        segments.push_back(stats(id, 2 * kMiB));
        while (true) {
            const auto chosen = choose_segments(segments, MergeUrgency::kBusy);
            if (chosen.empty()) {
                break;
            }
            uint64_t bytes = 0;
            std::erase_if(segments, [&](const SegmentStats& segment) {
                const bool goes =
                    std::find(chosen.begin(), chosen.end(), segment.file_id) != chosen.end();
                bytes += goes ? segment.bytes : 0;
                return goes;
            });
            written += bytes;
            segments.push_back(stats(1000 * id + segments.size(), bytes));
        }
    }
    EXPECT_LE(written, 6 * kFlushes * 2 * kMiB);
    EXPECT_LE(segments.size(), 16U);
}

TEST(MergePlan, MetricsOfOneSchemaStayAndThoseOfSeveralComeTogether) {
    Catalog catalog;
    const auto schema = [](std::vector<std::string> metrics) {
        return std::make_shared<const Schema>(*Schema::create(Axis::kStepped, std::move(metrics)));
    };
    catalog.put_schema("p", 1, schema({"loss", "epoch", "lr"}));
    catalog.put_schema("p", 2, schema({"epoch", "eval"}));
    const std::vector<uint64_t> both = {1, 2};
    const MergePlan without = plan_merge(catalog, both);
    ASSERT_EQ(without.wanted.size(), 1U);
    ASSERT_EQ(without.wanted[0].width(), 1U);
    EXPECT_EQ(without.wanted[0].metric(0), "epoch");
    ASSERT_EQ(without.groups.size(), 2U);
    EXPECT_EQ(without.groups[0].columns, (std::vector<uint32_t>{0, 1, 2}));
    EXPECT_EQ(without.groups[0].source_schemas, std::vector<uint64_t>{1});

    catalog.put_schema("p", 3, schema({"epoch"}));
    const MergePlan with = plan_merge(catalog, both);
    EXPECT_TRUE(with.wanted.empty());
    ASSERT_EQ(with.groups.size(), 3U);
    EXPECT_EQ(with.groups[0].columns, (std::vector<uint32_t>{0, 2}));
    EXPECT_EQ(with.groups[1].columns, std::vector<uint32_t>{1});
    EXPECT_EQ(with.groups[2].schema_id, 3U);
    EXPECT_EQ(with.groups[2].source_schemas, both);
}

TEST(MergePlan, ASchemaThatAnotherContainsTakesItsMetricsFromIt) {
    Catalog catalog;
    catalog.put_schema(
        "p", 1, std::make_shared<const Schema>(*Schema::create(Axis::kStepped, {"a", "b", "c"})));
    catalog.put_schema("p", 2,
                       std::make_shared<const Schema>(*Schema::create(Axis::kStepped, {"c", "a"})));
    const MergePlan plan = plan_merge(catalog, std::vector<uint64_t>{1, 2});
    EXPECT_TRUE(plan.wanted.empty());
    ASSERT_EQ(plan.groups.size(), 2U);
    EXPECT_EQ(plan.groups[0].columns, std::vector<uint32_t>{1});
    EXPECT_EQ(plan.groups[1].columns, (std::vector<uint32_t>{0, 1}));
    EXPECT_EQ(plan.groups[1].source_schemas, (std::vector<uint64_t>{1, 2}));
}

TEST(ColumnBatch, PointsAreSortedAndOfEqualKeysTheLastStays) {
    AxisColumns axis;
    axis.keys = {1, 1, 2, 3, 3, 3};
    axis.times = axis.keys;
    axis.sequences = {5, 9, 4, 6, 7, 8};
    ColumnPoints points;
    points.places = {3, 5, 0, 1, 2};
    points.values = {30, 50, 0, 10, 20};
    sort_points(points, 6);
    EXPECT_EQ(points.places, (std::vector<uint32_t>{0, 1, 2, 3, 5}));
    EXPECT_EQ(points.values, (std::vector<double>{0, 10, 20, 30, 50}));
    drop_replaced(points, axis, 4);
    EXPECT_EQ(points.places, (std::vector<uint32_t>{1, 5}));
    EXPECT_EQ(points.values, (std::vector<double>{10, 50}));
}

}  // namespace stepdb::compaction_parts_test
