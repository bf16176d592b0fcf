// What a HostFile makes of results that a healthy disk seldom gives: a loop that answers from a
// script.
#include "engine/io/host_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/io/host_error.h"
#include "engine/io/host_file_system.h"

namespace stepdb::host_file_test {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kDescriptor = 1'000'000;  // never open; the scripted loop does not use it

struct Answer {
    int64_t result = 0;
    int64_t sync_result = 0;
};

class ScriptedLoop final : public Loop {
  public:
    explicit ScriptedLoop(std::deque<Answer> script) : script_(std::move(script)) {}

    void submit(IoRequest& request) override {
        const char* kind = "?";
        switch (request.kind) {
            case IoRequest::Kind::kRead:
                kind = "read";
                break;
            case IoRequest::Kind::kWrite:
                kind = request.then_sync ? "write+sync" : "write";
                break;
            case IoRequest::Kind::kDataSync:
                kind = "sync";
                break;
            case IoRequest::Kind::kSync:
                kind = "full sync";
                break;
            case IoRequest::Kind::kAllocate:
                kind = "allocate";
                break;
        }
        const size_t bytes = request.into.size() + request.from.size();
        calls_.push_back(fmt::format("{} {} {}", kind, request.offset, bytes));
        waiting_.push_back(&request);
    }

    Status run(Task<Status> task) {
        std::optional<Status> status;
        start(std::move(task), [&status](Status ended) { status.emplace(std::move(ended)); });
        while (!waiting_.empty()) {
            IoRequest* request = waiting_.front();
            waiting_.pop_front();
            CHECK(!script_.empty(), "the script ends before {}", calls_.back());
            request->result = script_.front().result;
            request->sync_result = script_.front().sync_result;
            script_.pop_front();
            request->waiter.resume();
        }
        return std::move(status).value();
    }

    const std::vector<std::string>& calls() const { return calls_; }

  private:
    void poll(bool /*block*/) override {}
    void wake() override {}
    bool has_requests() const override { return !waiting_.empty(); }

    std::deque<Answer> script_;
    std::deque<IoRequest*> waiting_;
    std::vector<std::string> calls_;
};

class HostFileTest : public testing::Test {
  protected:
    void script(std::deque<Answer> answers) {
        loop_ = std::make_unique<ScriptedLoop>(std::move(answers));
        file_ = std::make_unique<HostFile>(*loop_, "d/f", OpenMode::kReadWrite,
                                           Descriptor(kDescriptor), 0);
    }

    Status read() { return loop_->run(file_->read(7, bytes_)); }
    Status write() { return loop_->run(file_->write(7, bytes_)); }
    Status write_synced() {
        return loop_->run(file_->write_synced(7, bytes_, SyncSite::kLogGroup));
    }

    std::vector<std::byte> bytes_ = std::vector<std::byte>(100);
    std::unique_ptr<ScriptedLoop> loop_;
    std::unique_ptr<HostFile> file_;
};

TEST_F(HostFileTest, ShortReadsGoOnWhereTheyStopped) {
    script({{40}, {60}});
    EXPECT_TRUE(read().has_value());
    EXPECT_THAT(loop_->calls(), ElementsAre("read 7 100", "read 47 60"));
}

TEST_F(HostFileTest, InterruptedCallsAreMadeAgain) {
    script({{-EINTR}, {-EAGAIN}, {100}});
    EXPECT_TRUE(read().has_value());
    EXPECT_EQ(loop_->calls().size(), 3U);
}

TEST_F(HostFileTest, EndOfFileInsideAReadIsAnError) {
    script({{40}, {0}});
    const Status status = read();
    ASSERT_FALSE(status.has_value());
    EXPECT_THAT(status.error().message(), HasSubstr("short read, 60 bytes are missing at 47"));
}

TEST_F(HostFileTest, ShortWritesGoOnWhereTheyStopped) {
    script({{99}, {1}});
    EXPECT_TRUE(write().has_value());
    EXPECT_THAT(loop_->calls(), ElementsAre("write 7 100", "write 106 1"));
    EXPECT_EQ(file_->size(), 107U);
}

TEST_F(HostFileTest, AWriteThatWritesNothingIsAnError) {
    script({{0}});
    EXPECT_FALSE(write().has_value());
}

TEST_F(HostFileTest, SyncedWriteIsOneLinkedRequest) {
    script({{100, 0}});
    EXPECT_TRUE(write_synced().has_value());
    EXPECT_THAT(loop_->calls(), ElementsAre("write+sync 7 100"));
}

TEST_F(HostFileTest, ShortSyncedWriteWritesTheRestWithASyncOfItsOwn) {
    script({{40, -ECANCELED}, {60, 0}});
    EXPECT_TRUE(write_synced().has_value());
    EXPECT_THAT(loop_->calls(), ElementsAre("write+sync 7 100", "write+sync 47 60"));
}

TEST_F(HostFileTest, SyncThatWasNotMadeIsMadeAlone) {
    script({{100, -ECANCELED}, {-EINTR}, {0}});
    EXPECT_TRUE(write_synced().has_value());
    EXPECT_THAT(loop_->calls(), ElementsAre("write+sync 7 100", "sync 0 0", "sync 0 0"));
}

TEST_F(HostFileTest, FailedSyncIsAnErrorAndNeverTriedAgain) {
    script({{100, -EIO}});
    const Status status = write_synced();
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code(), ErrorCode::kIoError);
    EXPECT_THAT(status.error().message(), HasSubstr("sync d/f: Input/output error"));
    EXPECT_EQ(loop_->calls().size(), 1U);
}

TEST_F(HostFileTest, FullDiskIsResourceExhausted) {
    script({{40, -ECANCELED}, {-ENOSPC, -ECANCELED}});
    const Status status = write_synced();
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code(), ErrorCode::kResourceExhausted);
    EXPECT_THAT(status.error().message(), HasSubstr("write d/f: No space left on device"));
}

TEST(HostDirectory, FailedSyncFailsFromThenOn) {
    ScriptedLoop loop({{0}, {-EIO}, {0}, {0}});
    HostFileSystem files(loop, "scripted");
    const std::string directory = testing::TempDir();
    EXPECT_TRUE(loop.run(files.sync_directory(directory, SyncSite::kLogDirectory)).has_value());
    for (int again = 0; again < 2; ++again) {
        const Status failed = loop.run(files.sync_directory(directory, SyncSite::kLogDirectory));
        ASSERT_FALSE(failed.has_value());
        EXPECT_EQ(failed.error().code(), ErrorCode::kIoError);
        EXPECT_THAT(failed.error().message(), HasSubstr("sync directory " + directory));
    }
    EXPECT_TRUE(loop.run(files.sync_directory("/", SyncSite::kLogDirectory)).has_value());
}

TEST(HostError, MapsNumbersToCodes) {
    EXPECT_EQ(host_error("x", ENOENT).code(), ErrorCode::kNotFound);
    EXPECT_EQ(host_error("x", EEXIST).code(), ErrorCode::kAlreadyExists);
    EXPECT_EQ(host_error("x", EDQUOT).code(), ErrorCode::kResourceExhausted);
    EXPECT_EQ(host_error("x", EACCES).code(), ErrorCode::kIoError);
    EXPECT_EQ(host_error("x", 99'999).message(), "x: error 99999");
}

}  // namespace stepdb::host_file_test
