// A server on a free port of the loopback, with fakes behind it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "net/client.h"
#include "net/server.h"
#include "net/testing/executors.h"
#include "net/testing/fake_engine.h"
#include "net/testing/fake_query_service.h"

namespace stepdb {

inline ServerOptions test_options() {
    ServerOptions options;
    options.port = 0;
    options.name = "stepdb test";
    return options;
}

// A server on a free port with a fake engine on a thread of its own.
class RunningServer {
  public:
    explicit RunningServer(ServerOptions options = test_options())
        : server_(Server::listen(std::move(options)).value()),
          queries_(server_->executor()),
          engine_(engine_side_),
          thread_([this] { server_->run(engine_, engine_side_, queries_); }) {}
    ~RunningServer() { stop(); }
    RunningServer(const RunningServer&) = delete;
    RunningServer& operator=(const RunningServer&) = delete;

    void stop() {
        server_->stop();
        join();
    }
    void join() {
        if (thread_.joinable()) {
            thread_.join();
        }
    }

    Server& server() { return *server_; }
    ThreadExecutor& engine_side() { return engine_side_; }
    FakeEngine& engine() { return engine_; }
    FakeQueryService& queries() { return queries_; }

    uint64_t rows() {
        uint64_t rows = 0;
        engine_side_.run([&] { rows = engine_.rows(); });
        return rows;
    }

    std::unique_ptr<Client> connect(uint8_t writer = 1) {
        ClientOptions options;
        options.port = server_->port();
        options.writer.bytes[0] = std::byte{writer};
        auto client = Client::connect(options);
        EXPECT_TRUE(client.has_value()) << client.error().to_string();
        return std::move(client).value();
    }

  private:
    std::unique_ptr<Server> server_;
    FakeQueryService queries_;
    FakeEngine engine_;
    ThreadExecutor engine_side_;  // goes first, and runs what was posted before it does
    std::thread thread_;
};

}  // namespace stepdb
