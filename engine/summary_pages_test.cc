#include "engine/summary_pages.h"

#include <fmt/format.h>

#include "engine/pieces.h"
#include "engine/snapshot.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/workload.h"

namespace stepdb::summary_pages_test {

Summary summary_of(uint64_t count) {
    Summary summary;
    summary.count = count;
    return summary;
}

TEST(SummaryPage, TheFirstSummaryOfABlockStays) {
    const SummaryPage page(3);
    EXPECT_EQ(page.find(1), nullptr);
    page.put(1, summary_of(5));
    page.put(1, summary_of(6));
    page.put(2, summary_of(7));
    EXPECT_EQ(page.find(0), nullptr);
    ASSERT_NE(page.find(1), nullptr);
    EXPECT_EQ(page.find(1)->count, 5U);
    EXPECT_EQ(page.find(2)->count, 7U);
}

class SummaryPagesTest : public EngineTest {
  protected:
    SummaryPagesTest() : EngineTest(SimStore::small_options()) {}

    std::shared_ptr<const Schema> schema_ = stepped({"loss", "lr"});
};

// More blocks in a segment than those that have pages of their own: runs share pages, and each is
// told its own.
TEST_F(SummaryPagesTest, ShortRunsOfASegmentAreToldApart) {
    constexpr int kRuns = 400;
    for (int run = 0; run < kRuns; ++run) {
        const double value = run * 0.5;
        send(one_row(fmt::format("p/r{}", run), schema_, 1, {value, -value}));
    }
    store_.run();
    ASSERT_TRUE(store_.flush());
    ASSERT_TRUE(store_.compact());
    store_.run();
    std::vector<uint64_t> ids;
    for (const auto& run : store_.engine().catalog()->runs()) {
        ids.push_back(run->id);
    }
    const auto snapshot = store_.engine().snapshot(ids);
    const GroupPieces& group = snapshot->pieces().find(ids.front())->groups.front();
    ASSERT_GE(group.segment_blocks.front().segment->blocks().size(), 256U) << "no pages are shared";
    const auto cache = std::make_shared<BlockCache>(4U << 20U);
    for (const bool is_kept : {false, true}) {
        SnapshotReader reader(store_.files(), snapshot, nullptr, cache);
        for (const auto& run : snapshot->runs()) {
            const double value = std::stod(run->name.substr(1)) * 0.5;
            const RunView view(*run, 0);
            for (const double sign : {1.0, -1.0}) {
                const std::string metric = sign > 0 ? "loss" : "lr";
                const std::optional<SeriesSummary> kept = reader.kept_summary(view, metric);
                ASSERT_EQ(kept.has_value(), is_kept) << run->path();
                const Result<Summary> summary =
                    run_task(store_.executor(), reader.summarize(view, metric, KeyRange()));
                ASSERT_TRUE(summary) << summary.error().to_string();
                EXPECT_EQ(summary->last.value, sign * value) << run->path();
                EXPECT_EQ(kept ? kept->summary.last.value : sign * value, sign * value);
            }
        }
    }
}

}  // namespace stepdb::summary_pages_test
