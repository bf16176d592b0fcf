// The C++ library against the whole server in this process: what depends on the engine's word.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <thread>

#include "clients/cpp/writer.h"
#include "net/client.h"
#include "net/engine_query_service.h"
#include "net/server.h"
#include "tools/open_store.h"

namespace stepdb::cpp_writer_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ClientCpp : public ::testing::Test {
  protected:
    ClientCpp() {
        EngineOptions options;
        options.directory = directory_;
        store_ = OpenStore::open(std::move(options)).value();
        query_io_ = IoEnvironment::create().value();
        ServerOptions server;
        server.port = 0;
        server_ = Server::listen(std::move(server)).value();
        Loop& loop = store_->io().loop();
        queries_ = std::make_unique<EngineQueryService>(
            store_->engine(),
            QueryEnvironment(loop, query_io_->loop(), server_->executor(), query_io_->files(),
                             query_io_->clock()),
            QueryLimits());
        net_ = std::thread([&] { server_->run(store_->engine(), loop, *queries_); });
        options_.port = server_->port();
        options_.linger = std::chrono::hours(1);
    }
    ~ClientCpp() override {
        server_->stop();
        net_.join();
        queries_.reset();
        EXPECT_TRUE(store_->close().has_value());
        std::filesystem::remove_all(directory_);
    }
    ClientCpp(const ClientCpp&) = delete;
    ClientCpp& operator=(const ClientCpp&) = delete;

    std::unique_ptr<client::Writer> connect() { return client::Writer::connect(options_).value(); }

    // The last column of the answer.
    std::vector<double> ask(std::string_view query) {
        ClientOptions options;
        options.port = options_.port;
        const auto reader = Client::connect(options).value();
        std::vector<double> values;
        AnswerHandler handler;
        handler.on_block = [&](const ResultBlock& block) {
            const auto cells = block.column(block.width() - 1).doubles();
            values.insert(values.end(), cells.begin(), cells.end());
            return true;
        };
        const auto end = reader->query(query, handler);
        EXPECT_TRUE(end.has_value()) << end.error().to_string();
        return values;
    }

    const std::string directory_ =
        testing::TempDir() + "stepdb-client-cpp-" + std::to_string(getpid());
    std::unique_ptr<OpenStore> store_;
    std::unique_ptr<IoEnvironment> query_io_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<EngineQueryService> queries_;
    std::thread net_;
    client::Options options_;
};

TEST_F(ClientCpp, RestartsAreAttempts) {
    const auto writer = connect();
    auto run = writer->open_run("p", "a").value();
    EXPECT_TRUE(run.created());
    const auto log = run.row_log({"loss"}).value();
    for (int step = 0; step < 4; ++step) {
        ASSERT_TRUE(log.log(step, static_cast<float>(step)).has_value());
    }
    ASSERT_TRUE(run.restart(1).has_value());
    EXPECT_EQ(run.attempt(), 1U);
    ASSERT_TRUE(log.log(2, 20.0F).has_value());
    ASSERT_TRUE(writer->flush()->all_stored());
    EXPECT_THAT(ask("loss @ p/a"), ElementsAre(0, 1, 20));
    EXPECT_THAT(ask("loss @ p/a#0"), ElementsAre(0, 1, 2, 3));

    // Another rank joins; one that says something else is refused and stays where it is.
    const auto other = connect();
    auto joined = other->open_run("p", "a").value();
    EXPECT_FALSE(joined.created());
    EXPECT_TRUE(joined.restart(1, 1).has_value());
    EXPECT_EQ(joined.restart(0, 1).error().code(), ErrorCode::kFailedPrecondition);
    EXPECT_EQ(joined.attempt(), 1U);

    // What belongs to the older attempt goes there.
    run.set_attempt(0);
    ASSERT_TRUE(log.log(4, 4.0F).has_value());
    run.set_attempt(1);
    ASSERT_TRUE(log.log(3, 30.0F).has_value());
    ASSERT_TRUE(run.finish().has_value());
    EXPECT_THAT(ask("loss @ p/a"), ElementsAre(0, 1, 20, 30));
    EXPECT_THAT(ask("loss @ p/a#0"), ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(ClientCpp, ForksReadTheirParent) {
    const auto writer = connect();
    auto parent = writer->open_run("p", "a").value();
    const auto log = parent.row_log({"loss"}).value();
    for (int step = 0; step < 4; ++step) {
        ASSERT_TRUE(log.log(step, static_cast<float>(step)).has_value());
    }
    ASSERT_TRUE(writer->flush().has_value());
    auto fork = writer->fork_run("p", "b", "a", 1).value();
    ASSERT_TRUE(fork.row_log({"loss"})->log(2, 20.0F).has_value());
    ASSERT_TRUE(writer->flush()->all_stored());
    EXPECT_THAT(ask("loss @ p/b"), ElementsAre(0, 1, 20));
    EXPECT_EQ(writer->fork_run("p", "b", "a", 2).error().code(), ErrorCode::kAlreadyExists);
    EXPECT_EQ(writer->fork_run("p", "c", "none", 2).error().code(), ErrorCode::kNotFound);
}

TEST_F(ClientCpp, RefusalsOfTheEngineAreReported) {
    const auto writer = connect();
    auto run = writer->open_run("p", "a").value();
    const auto stepped = run.row_log({"loss"}).value();
    const auto timed = run.row_log({"loss"}, Axis::kTimed).value();
    ASSERT_TRUE(stepped.log(0, 1.0F).has_value());
    ASSERT_TRUE(writer->flush().has_value());
    ASSERT_TRUE(timed.log_timed(2.0F).has_value());
    ASSERT_TRUE(stepped.log(1, 3.0F).has_value());
    const client::Report report = writer->flush().value();
    EXPECT_EQ(report.rows, 1U);
    ASSERT_EQ(report.refused.size(), 1U);
    EXPECT_EQ(report.refused[0].error.code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(ask("loss @ p/a"), ElementsAre(1, 3));

    EXPECT_EQ(run.set("sys/created", int64_t{1}).error().code(), ErrorCode::kInvalidArgument);
    ASSERT_TRUE(run.set("config/lr", 0.5).has_value());
    ASSERT_TRUE(run.add_tags({"keep"}).has_value());
    ASSERT_TRUE(run.heartbeat().has_value());
    EXPECT_TRUE(writer->flush()->all_stored());
    EXPECT_EQ(writer->open_run("p", "a", client::OpenMode::kMustCreate).error().code(),
              ErrorCode::kAlreadyExists);
    EXPECT_EQ(writer->open_run("p", "b", client::OpenMode::kMustExist).error().code(),
              ErrorCode::kNotFound);
    EXPECT_FALSE(writer->open_run("p", "not/one").has_value());
}

TEST_F(ClientCpp, TheNextProcessOfAWriterGoesOnAndFencesTheLast) {
    auto first = connect();
    const auto log = first->open_run("p", "a")->row_log({"loss"}).value();
    ASSERT_TRUE(log.log(0, 0.0F).has_value());
    ASSERT_TRUE(first->flush().has_value());

    options_.writer = first->id();
    const auto second = connect();
    auto resumed = second->open_run("p", "a", client::OpenMode::kResume).value();
    ASSERT_TRUE(resumed.row_log({"loss"})->log(1, 1.0F).has_value());
    ASSERT_TRUE(second->flush()->all_stored());

    ASSERT_TRUE(log.log(2, 2.0F).has_value());
    const client::Report report = first->flush().value();
    ASSERT_EQ(report.refused.size(), 1U);
    EXPECT_THAT(report.refused[0].error.message(), HasSubstr("is fenced"));
    EXPECT_THAT(log.log(3, 3.0F).error().message(), HasSubstr("is fenced"));
    EXPECT_THAT(ask("loss @ p/a"), ElementsAre(0, 1));

    options_.writer = sha256_128(as_bytes("a writer that nobody knows"));
    EXPECT_EQ(connect()->open_run("p", "a", client::OpenMode::kResume).error().code(),
              ErrorCode::kFailedPrecondition);
}

}  // namespace stepdb::cpp_writer_test
