// A client for tools and tests: a blocking interface over one connection. Frames are pipelined: a
// send returns when the frame is in the send buffer, outcomes are taken in while sending and by
// flush(). Memory is bounded: when too much is unanswered, a send waits for outcomes.
//
// Not thread-safe. After an error of the connection every call returns that error.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/rows.h"
#include "net/client_connection.h"
#include "net/message.h"

namespace stepdb {

// An open run. The client numbers the frames.
struct ClientRun {
    ClientRun() = default;
    uint32_t handle = 0;
    uint32_t attempt = 0;
    uint64_t run = 0;
    uint64_t next_number = 1;
    bool created = false;
};

struct RefusedFrame {
    RefusedFrame(uint64_t its_ordinal, ErrorMessage its_error)
        : ordinal(its_ordinal), error(std::move(its_error)) {}
    uint64_t ordinal;
    ErrorMessage error;
};

// What became of the frames since the last flush.
struct FlushReport {
    FlushReport() = default;
    uint64_t late_rows = 0;
    uint64_t refused_frames = 0;
    std::vector<RefusedFrame> refused;  // the first kRefusedKept of them
    static constexpr size_t kRefusedKept = 1000;
};

// Takes an answer. on_block returns false to cancel the rest.
struct AnswerHandler {
    AnswerHandler() = default;
    std::function<void(const std::vector<ResultColumn>&)> on_columns;
    std::function<bool(const ResultBlock&)> on_block;
    // Asked whenever something came and when a signal interrupted the waiting; true cancels too.
    std::function<bool()> should_stop;
};

// Takes the updates of a watched query.
struct UpdateHandler {
    UpdateHandler() = default;
    // A whole update: its blocks, with these columns, which are update_columns() of the answer's
    // (query/answer_difference.h). An error ends the watch, and is what it ends with.
    std::function<Status(const std::vector<ResultColumn>& columns,
                         const std::vector<ResultBlock>& blocks, const ResultUpdate& update)>
        on_update;
    // As of AnswerHandler; besides it is asked now and then while nothing comes.
    std::function<bool()> should_stop;
};

class Client final : private ClientEvents {
  public:
    // Connects and says hello. kUnavailable naming host and port, or the server's refusal.
    static Result<std::unique_ptr<Client>> connect(ClientOptions options);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    const HelloOkMessage& server() const { return connection_->server(); }

    Status define_schema(std::string_view project, const Schema& schema);

    // Opens or creates (`mode`: bits of OpenRunFrame) and waits for the answer. Goes on after the
    // last number the server knows from this writer.
    Result<ClientRun> open_run(std::string_view project, std::string_view run, uint8_t mode,
                               uint64_t first_number = 1);

    // Opens a run as a fork of `parent` at `fork_step`, creating it if it is missing.
    Result<ClientRun> fork_run(std::string_view project, std::string_view run,
                               std::string_view parent, double fork_step);

    // Sends what the builder holds and empties it. Returns the frame's ordinal.
    Result<uint64_t> send_rows(ClientRun& run, RowsBuilder& rows, bool compress = false);
    Result<uint64_t> finish_run(ClientRun& run, RunState state);

    // Sends a whole frame that changes the store, made elsewhere.
    Result<uint64_t> send_change(Bytes frame);
    // Sends any bytes, for tests of bad ones.
    Status send_bytes(Bytes bytes);

    // Pushes out what waits in the send buffer and takes in what has come, without waiting.
    Status poll();
    // Only pushes out, as far as the socket takes it.
    Status push();
    // What it does not take yet.
    size_t unsent_bytes() const { return connection_->unsent_bytes(); }
    // The socket, for who waits for several connections at once; -1 after an error.
    int descriptor() const { return connection_->descriptor(); }
    // The same, but waits for something to come, at most `time_max`.
    Status wait_for(std::chrono::microseconds time_max);
    // Changing frames sent that have no outcome yet.
    size_t unanswered_frames() const { return unanswered_.size(); }
    // Waits until every frame sent has its outcome. An error here is one of the connection; refused
    // frames are in the report.
    Result<FlushReport> flush();

    // Runs one query to its end. The query's own error, or the connection's.
    Result<QueryEnd> query(std::string_view text, const AnswerHandler& handler,
                           const QueryParameters& parameters = QueryParameters());

    // Watches a query until the handler stops it, which is success, or an error: the query's, the
    // handler's or the connection's. kUnavailable if the server cannot watch.
    Status watch(std::string_view text, const UpdateHandler& handler,
                 const QueryParameters& parameters = QueryParameters());

    // Has the server make `directory`, of its machine, a backup of its store; blocks tell how it
    // comes on (net/backup_request.h). kUnavailable if the server cannot.
    Result<QueryEnd> backup(std::string_view directory, const AnswerHandler& handler);

  private:
    struct OpenQuery {
        OpenQuery() {}  // provided: clang 14 cannot use a default one in optional here

        uint64_t request = 0;
        std::vector<ResultColumn> columns;
        const AnswerHandler* handler = nullptr;
        const UpdateHandler* updates = nullptr;  // of a watch
        std::vector<ResultBlock> blocks;         // of its next update
        Status update_taken;
        bool is_cancelled = false;
        std::optional<Result<QueryEnd>> outcome;
    };

    explicit Client(ClientOptions options) : options_(std::move(options)) {}

    Result<ClientRun> open(OpenRunFrame open);
    // A request from its frame, which is made for its number, to its end.
    Result<QueryEnd> ask(const std::function<std::vector<std::byte>(uint64_t request)>& encode,
                         const AnswerHandler& handler);
    Status take_update(Bytes body);
    Status cancel();
    // Waits until bytes came, or can be sent if some are to be sent; takes in what came.
    Status wait();
    void settle(uint64_t ordinal);

    void on_ack(uint64_t ordinal, uint64_t late_rows) override;
    void on_refused(uint64_t ordinal, ErrorMessage error) override;
    void on_opened(uint64_t ordinal, const RunOpened& opened) override;
    void on_request_failed(uint64_t request, const Error& error) override;
    Status on_answer(const ReceivedFrame& frame) override;

    ClientOptions options_;
    std::unique_ptr<ClientConnection> connection_;
    std::deque<size_t> unanswered_;  // bytes of changing frames
    size_t unanswered_bytes_ = 0;
    FlushReport report_;
    std::map<uint64_t, Result<RunOpened>> opened_;  // of open_run frames being waited for
    std::optional<uint64_t> opening_;
    uint32_t next_handle_ = 1;
    uint64_t next_request_ = 1;
    std::optional<OpenQuery> query_;
};

}  // namespace stepdb
