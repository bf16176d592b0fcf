// The engine against a plain map, over random sequences of everything that can happen to a store:
// rows of several writers and schemas (late, replaced, absent, sent again), restarts, forks,
// attributes, discards, deletes, retention, flush, reopen on other processors, crash. Changes that
// the rules refuse are among them, and are refused.
#include <gtest/gtest.h>

#include <array>

#include "engine/processor.h"
#include "tests/support/sim_store.h"
#include "tests/support/workload.h"

namespace stepdb::model_test {

constexpr uint64_t kSequences = 5000;  // 20,000 by tests/model/run_long
constexpr int64_t kRetentionUs = int64_t{3600} * 1'000'000;
constexpr uint64_t kShards = 10;  // tests that ctest runs side by side

class Sequence {
  public:
    explicit Sequence(uint64_t seed)
        : random_(seed), workload_(random_, 2), store_(disk_, seed ^ 0x5EED), machine_(seed) {
        for (uint64_t i = 0; i < 1 + random_.below(3); ++i) {
            writers_.push_back(std::make_unique<TestWriter>(
                sha256_128(as_bytes(fmt::format("writer {} of {}", i, seed)))));
        }
    }

    void run() {
        ASSERT_TRUE(open());
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
        ASSERT_TRUE(open());
        check("after closing");
    }

  private:
    // Each time on another machine: what one processor has written, others read and go on with.
    Status open() {
        constexpr std::array kLevels = {"portable", "avx2", "avx512"};
        if (!limit_processor(kLevels[machine_++ % kLevels.size()])) {
            TRY(limit_processor("portable"));
        }
        return store_.open();
    }

    void connect() {
        for (auto& writer : writers_) {
            writer->connect(store_);
        }
    }

    void step() {
        switch (random_.below(26)) {
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
            case 5:
            case 6:
            case 7:
            case 8:
            case 9:
                change_life();
                break;
            case 10:
                settle();
                ASSERT_TRUE(store_.flush());
                ASSERT_TRUE(store_.compact());
                check("after compaction");
                break;
            case 11:
                compact_meanwhile();
                break;
            default:
                send();
        }
        for (uint64_t turns = random_.below(20); turns > 0; --turns) {
            store_.executor().run_one();
        }
    }

    // Frames and flushes go on while segments are merged, and a snapshot keeps what it has.
    void compact_meanwhile() {
        settle();
        std::vector<uint64_t> ids;
        for (const auto& run : store_.engine().catalog()->runs()) {
            ids.push_back(run->id);
        }
        const ReferenceModel before = model_;
        const std::shared_ptr<const Snapshot> snapshot = store_.engine().snapshot(ids);
        bool ended = false;
        start(store_.engine().compact(), [&](const Status& status) {
            EXPECT_TRUE(status) << status.error().to_string();
            ended = true;
        });
        for (int i = 0; i < 3; ++i) {
            send();
            if (random_.coin()) {
                ASSERT_TRUE(store_.flush());
            }
        }
        settle();
        ASSERT_TRUE(ended);
        const Result<ReferenceModel::Contents> kept = store_.contents(snapshot);
        ASSERT_TRUE(kept.has_value()) << kept.error().to_string();
        ASSERT_EQ(describe_difference(before.contents(), *kept), "") << "a snapshot";
    }

    TestWriter& any_writer() { return *writers_[random_.below(writers_.size())]; }

    std::string any_run() {
        const std::vector<std::string> runs = model_.runs();
        return runs.empty() ? "" : runs[random_.below(runs.size())];
    }

    // A rows frame; to the newest attempt mostly, to older ones now and then.
    void send() {
        ModelChange change = workload_.next();
        if (random_.below(3) == 0 && !model_.runs().empty()) {
            change.run = any_run();  // forks are not among the workload's own
        }
        model_.create(change.run);
        const ModelFacts facts = model_.facts().at(change.run);
        change.attempt = facts.attempts[random_.below(facts.attempts.size())];
        if (random_.coin()) {
            change.attempt = facts.attempts.back();
        }
        bool taken = true;
        if (random_.below(20) == 0) {
            taken = facts.discarded.empty();
            change.attempt = taken ? change.attempt : facts.discarded.front();
        } else if (random_.below(30) == 0) {
            taken = false;
            change.attempt = facts.attempts.back() + 1;
        }
        any_writer().send(change, random_.below(4) == 0, random_.below(4) == 0);
        if (taken) {
            model_.apply(change);
        } else {
            ++refused_;
        }
    }

    void change_life() {
        const std::string run = any_run();
        if (run.empty()) {
            return;
        }
        switch (random_.below(10)) {
            case 0:
            case 1:
                return restart(run);
            case 2:
                return fork(run);
            case 3:
                return set_attributes(run);
            case 4:
                return finish(run);
            case 5:
                return discard(run);
            case 6:
                return delete_metrics(run);
            case 7:
                return delete_run(run);
            case 8:
                any_writer().send_life(run, encode_heartbeat_frame);
                return;
            default:
                if (random_.below(4) == 0) {
                    retain(run);
                }
        }
    }

    std::optional<double> any_step() {
        if (random_.below(8) == 0) {
            return std::nullopt;
        }
        return static_cast<double>(random_.below(60)) - 1;
    }

    void restart(const std::string& run) {
        RestartRunFrame restart;
        restart.attempt = model_.newest(run) + 1 + static_cast<uint32_t>(random_.below(2));
        restart.step = any_step();
        const auto encode = [&restart](uint32_t handle, uint64_t number) {
            restart.handle = handle;
            return encode_restart_run_frame(restart, number);
        };
        model_.restart(run, restart.attempt, restart.step);
        any_writer().send_life(run, encode);
        // Every rank says the same; one of them says something else.
        for (uint64_t ranks = random_.below(3); ranks > 0; --ranks) {
            any_writer().send_life(run, encode);
        }
        if (random_.below(4) == 0) {
            restart.step = restart.step.value_or(0) + 1;
            any_writer().send_life(run, encode);
            ++refused_;
        }
    }

    void fork(const std::string& parent) {
        const std::string project = parent.substr(0, parent.find('/'));
        const std::string run = fmt::format("{}/fork-{}", project, ++forks_);
        const double step = static_cast<double>(random_.below(60));
        model_.fork(run, parent, step);
        any_writer().fork_run(run, parent, step);
    }

    void set_attributes(const std::string& run) {
        using Kind = AttributeChange::Kind;
        SetAttributesFrame set;
        const AttributeValue values[] = {std::monostate(),    random_.coin(), int64_t{7}, 0.5,
                                         std::string("adam"), Datetime(12)};
        set.changes.emplace_back(Kind::kSet, fmt::format("config/{}", random_.below(3)),
                                 values[random_.below(std::size(values))]);
        set.changes.emplace_back(
            random_.below(3) == 0 ? Kind::kRemoveFromSet : Kind::kAddToSet,
            std::string(kTagsAttribute),
            StringSet{fmt::format("t{}", random_.below(3)), random_.below(4) == 0 ? "keep" : "t9"});
        if (random_.below(4) == 0) {
            set.changes.emplace_back(Kind::kRemove, fmt::format("config/{}", random_.below(3)));
        }
        const bool taken = random_.below(8) != 0;
        if (!taken) {
            set.changes.emplace_back(Kind::kSet, "config/x", std::string("x"));
            set.changes.emplace_back(Kind::kAddToSet, "config/x", StringSet{"y"});
        }
        any_writer().send_life(run, [&set](uint32_t handle, uint64_t number) {
            set.handle = handle;
            return encode_set_attributes_frame(set, number);
        });
        if (taken) {
            model_.set_attributes(run, set.changes);
        } else {
            ++refused_;
        }
    }

    void finish(const std::string& run) {
        const ModelFacts facts = model_.facts().at(run);
        FinishRunFrame finish;
        finish.attempt = facts.attempts[random_.below(facts.attempts.size())];
        finish.state = random_.coin() ? RunState::kFinished : RunState::kFailed;
        any_writer().send_life(run, [&finish](uint32_t handle, uint64_t number) {
            finish.handle = handle;
            return encode_finish_run_frame(finish, number);
        });
        model_.finish(run, finish.attempt, finish.state);
    }

    void discard(const std::string& run) {
        const ModelFacts facts = model_.facts().at(run);
        DiscardAttemptFrame discard;
        discard.attempt = facts.attempts[random_.below(facts.attempts.size())];
        any_writer().send_life(run, [&discard](uint32_t handle, uint64_t number) {
            discard.handle = handle;
            return encode_discard_attempt_frame(discard, number);
        });
        if (discard.attempt == model_.newest(run)) {
            ++refused_;
        } else {
            model_.discard(run, discard.attempt);
        }
    }

    void delete_metrics(const std::string& run) {
        DeleteMetricsFrame deleted;
        for (uint64_t i = 0; i < 9; ++i) {
            if (random_.below(4) == 0) {
                deleted.metrics.push_back(fmt::format("layers/{}", i));
            }
        }
        if (deleted.metrics.empty()) {
            deleted.metrics.emplace_back("gpu/0");
        }
        any_writer().send_life(run, [&deleted](uint32_t handle, uint64_t number) {
            deleted.handle = handle;
            return encode_delete_metrics_frame(deleted, number);
        });
        if (model_.forks_of(run).empty()) {
            model_.delete_metrics(run, deleted.metrics);
        } else {
            ++refused_;
        }
    }

    void delete_run(const std::string& run) {
        any_writer().send_life(run, encode_delete_run_frame);
        if (!model_.forks_of(run).empty()) {
            ++refused_;
            return;
        }
        settle();
        forget(run);
    }

    void forget(const std::string& run) {
        model_.delete_run(run);
        for (auto& writer : writers_) {
            writer->forget_run(run);
        }
    }

    // The project's runs outlive its retention, but for those tagged keep and what these read.
    void retain(const std::string& run) {
        settle();
        SetRetentionFrame set;
        const std::string project = run.substr(0, run.find('/'));
        set.project = project;
        set.age_us = kRetentionUs;
        any_writer().submit(encode_set_retention_frame(set));
        store_.run();
        store_.clock().advance(kRetentionUs + 1);
        // One of them is written to and stays.
        any_writer().send_life(run, encode_heartbeat_frame);  // no write
        store_.run();
        store_.engine().tick();
        store_.run();
        set.age_us = 0;
        any_writer().submit(encode_set_retention_frame(set));
        store_.run();
        std::set<std::string> kept;
        const std::map<std::string, ModelFacts> facts = model_.facts();
        for (const auto& [name, of] : facts) {
            if (tags_of(of.attributes).contains(kKeepTag)) {
                for (std::string at = name; !at.empty(); at = facts.at(at).parent) {
                    kept.insert(at);
                }
            }
        }
        for (const auto& [name, of] : facts) {
            if (name.starts_with(project + "/") && !kept.contains(name)) {
                forget(name);
            }
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
        uint64_t refused = 0;
        std::string last;
        for (auto& writer : writers_) {
            refused += writer->refusals().size();
            for (const auto& [ordinal, refusal] : writer->refusals()) {
                last += "\n" + refusal.error.to_string();
            }
        }
        ASSERT_EQ(refused, refused_) << last;
    }

    // A lost connection: what was not acknowledged comes again.
    void reconnect_one() {
        TestWriter& writer = any_writer();
        writer.disconnect();
        writer.connect(store_);
    }

    void reopen() {
        settle();
        for (auto& writer : writers_) {
            writer->disconnect();
        }
        ASSERT_TRUE(store_.close());
        ASSERT_TRUE(open());
        connect();
    }

    // Changes in flight of several writers would come again in another order than they went,
    // and the later write wins: so all but the acknowledged are settled first. The crash test
    // has the rest.
    void crash() {
        settle();
        for (auto& writer : writers_) {
            writer->disconnect();
        }
        store_.crash(random_.coin() ? CrashKind::kPowerCut : CrashKind::kProcessKill);
        const Status opened = open();
        ASSERT_TRUE(opened) << opened.error().to_string();
        check("after a crash");
        connect();
    }

    void check(std::string_view when) {
        ASSERT_EQ(store_.verify(), "") << when;
        const Result<ReferenceModel::Contents> got = store_.contents();
        ASSERT_TRUE(got.has_value()) << when << ": " << got.error().to_string();
        ASSERT_EQ(describe_difference(model_.contents(), *got), "") << when;
        ASSERT_EQ(describe_difference(model_.facts(), store_.facts()), "") << when;
    }

    SimDisk disk_;
    SimRandom random_;
    Workload workload_;
    SimStore store_;
    uint64_t machine_;
    std::vector<std::unique_ptr<TestWriter>> writers_;
    ReferenceModel model_;
    uint64_t refused_ = 0;
    uint64_t forks_ = 0;
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

}  // namespace stepdb::model_test
