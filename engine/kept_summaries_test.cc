// Kept summaries of many runs at a time against those read one by one, while rows come, are
// flushed, merged and deleted.
#include "engine/kept_summaries.h"

#include <bit>
#include <cstdio>

#include "tests/support/engine_fixture.h"
#include "tests/support/workload.h"

namespace stepdb::kept_summaries_test {

bool is_same_point(const SummaryPoint& a, const SummaryPoint& b) {
    return a.key == b.key && a.time == b.time &&
           std::bit_cast<uint64_t>(a.value) == std::bit_cast<uint64_t>(b.value);
}

void expect_same(const Summary& a, const Summary& b) {
    EXPECT_EQ(a.count, b.count);
    EXPECT_EQ(a.nan, b.nan);
    EXPECT_TRUE(is_same_point(a.first, b.first));
    EXPECT_TRUE(is_same_point(a.last, b.last));
    EXPECT_TRUE(is_same_point(a.min, b.min));
    EXPECT_TRUE(is_same_point(a.max, b.max));
}

class KeptSummariesTest : public EngineTest {
  protected:
    static constexpr uint32_t kRuns = 40;

    KeptSummariesTest() : EngineTest(SimStore::small_options()) {}

    std::shared_ptr<const Snapshot> snapshot() {
        std::vector<uint64_t> ids;
        for (const auto& run : store_.engine().catalog()->runs()) {
            ids.push_back(run->id);
        }
        return store_.engine().snapshot(ids);
    }
    // As a list of runs has them: of one catalog.
    void go_to(const std::shared_ptr<const Catalog>& catalog) {
        if (catalog == catalog_) {
            return;
        }
        catalog_ = catalog;
        places_.clear();
        views_.clear();
        runs_ = {};
        for (const auto& run : catalog->runs()) {
            runs_.push_back(run);
            views_.emplace_back(*run, run->newest_attempt().number);
        }
    }
    void expect_right(const std::string& metric);

    uint64_t found_ = 0;
    uint64_t kept_places_ = 0;
    const std::shared_ptr<BlockCache> cache_ = std::make_shared<BlockCache>(4U << 20U);
    std::shared_ptr<const Catalog> catalog_;
    std::vector<std::shared_ptr<const stepdb::Run>> runs_;
    std::vector<RunView> views_;
    std::map<std::string, std::shared_ptr<const SummaryPlaces>> places_;  // by metric
};

void KeptSummariesTest::expect_right(const std::string& metric) {
    go_to(store_.engine().catalog());
    const auto taken = snapshot();
    SnapshotReader reader(store_.files(), taken, nullptr, cache_);
    reader.take_views_of(*catalog_);
    auto& places = places_[metric];
    std::unique_ptr<KeptSummaries> kept =
        places == nullptr ? nullptr : reader.kept_summaries(places);
    kept_places_ += kept == nullptr ? 0U : 1U;
    if (kept == nullptr) {
        places = reader.find_summary_places(views_, metric);
        ASSERT_NE(places, nullptr);
        kept = reader.kept_summaries(places);
    }
    ASSERT_NE(kept, nullptr);
    for (size_t at = 0; at < views_.size(); ++at) {
        const std::optional<SeriesSummary> found = kept->find(at, runs_[at]);
        const std::optional<SeriesSummary> alone = reader.kept_summary(views_[at], metric);
        EXPECT_EQ(found.has_value(), alone.has_value()) << runs_[at]->path();
        const Result<Summary> read =
            run_task(store_.executor(), reader.summarize(views_[at], metric, KeyRange()));
        ASSERT_TRUE(read) << read.error().to_string();
        if (found) {
            ++found_;
            EXPECT_EQ(found->axis, alone->axis);
            expect_same(found->summary, *read);
        }
    }
}

TEST_F(KeptSummariesTest, AreThoseReadOneByOne) {
    const uint64_t seed = test_seed(1);
    std::printf("STEPDB_SEED=%llu\n", static_cast<unsigned long long>(seed));
    SimRandom random(seed);
    Workload workload(random, kRuns);
    for (int round = 0; round < 300; ++round) {
        for (uint64_t changes = random.below(8); changes > 0; --changes) {
            send(workload.next());
        }
        store_.run();
        if (random.below(4) == 0) {
            ASSERT_TRUE(store_.flush());
        }
        if (random.below(8) == 0) {
            ASSERT_TRUE(store_.compact());
        }
        store_.run();
        const std::string metric = fmt::format(
            "{}", random.below(4) == 0 ? "gpu/0" : fmt::format("layers/{}", random.below(3)));
        expect_right(metric);
        expect_right(metric);
        ASSERT_FALSE(HasFailure()) << "round " << round << ", seed " << seed;
    }
    EXPECT_GT(found_, 1000U);
    EXPECT_GT(kept_places_, 300U);
}

}  // namespace stepdb::kept_summaries_test
