// One connection that sends several questions at once, as a page of charts does, and waits until
// the last is answered.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "net/client_connection.h"

namespace stepdb {

// Takes what comes, with the number of the question that it answers. Answers come in any order, the
// blocks of each in theirs.
struct PageHandler {
    PageHandler() = default;

    std::function<void(size_t, const std::vector<ResultColumn>&)> on_columns;
    std::function<void(size_t, const ResultBlock&)> on_block;
};

// Not thread-safe.
class PageAsker final : private ClientEvents {
  public:
    static Result<std::unique_ptr<PageAsker>> connect(const ClientOptions& options);

    // How long it took from the sending of the first text until the last block of the last answer
    // had been read, decoded and taken. The first error of a question, or the connection's.
    Result<std::chrono::nanoseconds> ask(std::span<const std::string> texts,
                                         const PageHandler& handler);

  private:
    explicit PageAsker(const ClientOptions& options) : options_(options) {}

    void on_ack(uint64_t /*ordinal*/, uint64_t /*late_rows*/) override {}
    void on_refused(uint64_t /*ordinal*/, ErrorMessage /*error*/) override {}
    void on_opened(uint64_t /*ordinal*/, const RunOpened& /*opened*/) override {}
    void on_request_failed(uint64_t request, const Error& error) override;
    Status on_answer(const ReceivedFrame& frame) override;

    ClientOptions options_;
    std::unique_ptr<ClientConnection> connection_;
    uint64_t next_request_ = 1;
    // Of the page that is asked for.
    uint64_t first_request_ = 1;
    std::vector<std::vector<ResultColumn>> columns_;
    const PageHandler* handler_ = nullptr;
    size_t unanswered_ = 0;
    std::optional<Error> failed_;
};

}  // namespace stepdb
