// The engine against a plain map, over random sequences of everything that can happen to a store:
// rows of several writers and schemas (late, replaced, absent, sent again), flush, reopen, crash.
#include <gtest/gtest.h>

#include "tests/support/sim_store.h"
#include "tests/support/workload.h"

namespace stepdb {
namespace {

constexpr uint64_t kSequences = 5000;
constexpr uint64_t kShards = 10;  // tests that ctest runs side by side

class Sequence {
  public:
    explicit Sequence(uint64_t seed)
        : random_(seed), workload_(random_, 2), store_(disk_, seed ^ 0x5EED) {
        for (uint64_t i = 0; i < 1 + random_.below(3); ++i) {
            writers_.push_back(std::make_unique<TestWriter>(
                sha256_128(as_bytes(fmt::format("writer {} of {}", i, seed)))));
        }
    }

    void run() {
        ASSERT_TRUE(store_.open());
        connect();
        const uint64_t steps = 5 + random_.below(30);
        for (uint64_t i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) {
            step();
        }
        settle();
        check("at the end");
        for (auto& writer : writers_) {
            writer->disconnect();
        }
        ASSERT_TRUE(store_.close());
        ASSERT_TRUE(store_.open());
        check("after closing");
    }

  private:
    void connect() {
        for (auto& writer : writers_) {
            writer->connect(store_);
        }
    }

    void step() {
        switch (random_.below(16)) {
            case 0:
                settle();
                ASSERT_TRUE(store_.flush());
                break;
            case 1:
                settle();
                check("in between");
                break;
            case 2:
                reconnect_one();
                break;
            case 3:
                reopen();
                break;
            case 4:
                crash();
                break;
            default:
                send();
        }
    }

    void send() {
        const ModelChange change = workload_.next();
        TestWriter& writer = *writers_[random_.below(writers_.size())];
        writer.send(change, random_.below(4) == 0, random_.below(4) == 0);
        model_.apply(change);
        for (uint64_t turns = random_.below(20); turns > 0; --turns) {
            store_.executor().run_one();
        }
    }

    // Everything sent becomes acknowledged.
    void settle() {
        store_.run();
        for (auto& writer : writers_) {
            ASSERT_EQ(writer->acknowledged(), writer->sent())
                << (writer->refusals().empty()
                        ? std::string("nothing refused")
                        : writer->refusals().back().second.error.to_string());
        }
    }

    // A lost connection: what was not acknowledged comes again.
    void reconnect_one() {
        TestWriter& writer = *writers_[random_.below(writers_.size())];
        writer.disconnect();
        writer.connect(store_);
    }

    void reopen() {
        settle();
        for (auto& writer : writers_) {
            writer->disconnect();
        }
        ASSERT_TRUE(store_.close());
        ASSERT_TRUE(store_.open());
        connect();
    }

    // Changes in flight of several writers would come again in another order than they went, and
    // the later write wins: so all but the acknowledged are settled first. The crash test has the
    // rest.
    void crash() {
        settle();
        for (auto& writer : writers_) {
            writer->disconnect();
        }
        store_.crash(random_.coin() ? CrashKind::kPowerCut : CrashKind::kProcessKill);
        const Status opened = store_.open();
        ASSERT_TRUE(opened) << opened.error().to_string();
        check("after a crash");
        connect();
    }

    void check(std::string_view when) {
        ASSERT_EQ(store_.verify(), "") << when;
        const Result<ReferenceModel::Contents> got = store_.contents();
        ASSERT_TRUE(got.has_value()) << when << ": " << got.error().to_string();
        ASSERT_EQ(describe_difference(model_.contents(), *got), "") << when;
    }

    SimDisk disk_;
    SimRandom random_;
    Workload workload_;
    SimStore store_;
    std::vector<std::unique_ptr<TestWriter>> writers_;
    ReferenceModel model_;
};

class EngineAgainstModel : public ::testing::TestWithParam<uint64_t> {};

TEST_P(EngineAgainstModel, AgreesAfterEverySequence) {
    const uint64_t seed = test_seed(1);
    for (uint64_t i = GetParam(); i < scaled(kSequences); i += kShards) {
        SCOPED_TRACE(fmt::format("sequence {} of seed {}", i, seed));
        Sequence(seed * 1'000'000 + i).run();
        if (HasFatalFailure()) {
            return;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shards, EngineAgainstModel, ::testing::Range(uint64_t{0}, kShards));

}  // namespace
}  // namespace stepdb
