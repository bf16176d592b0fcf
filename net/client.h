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
#include "net/frame_stream.h"
#include "net/message.h"

namespace stepdb {

struct ClientOptions {
    ClientOptions() = default;

    std::string host = "127.0.0.1";
    uint16_t port = 7420;
    Id128 writer;  // zero: reads only
    std::string name = "stepdb client";
    std::string token;
    // Sent and not yet answered; a send above it waits.
    size_t unanswered_bytes_max = 32U << 20U;
    // Without a byte from the server for so long while waiting for one, the connection is given up.
    std::chrono::milliseconds silence_time_max = std::chrono::minutes(5);
};

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

class Client {
  public:
    // Connects and says hello. kUnavailable naming host and port, or the server's refusal.
    static Result<std::unique_ptr<Client>> connect(ClientOptions options);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    const HelloOkMessage& server() const { return server_; }

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

  private:
    struct OpenQuery {
        OpenQuery() {}  // provided: clang 14 cannot use a default one in optional here

        uint64_t request = 0;
        std::vector<ResultColumn> columns;
        const AnswerHandler* handler = nullptr;
        bool is_cancelled = false;
        std::optional<Result<QueryEnd>> outcome;
    };

    explicit Client(ClientOptions options) : options_(std::move(options)) {}

    Result<ClientRun> open(OpenRunFrame open);
    Status open_socket();
    Status say_hello();
    // Closes the connection and remembers why.
    Error fail(Error error);
    Status queue(Bytes bytes);
    // Bytes the socket took.
    Result<size_t> send_some(Bytes bytes);
    Status write_some();
    Status read_some(bool& got_bytes);
    // Waits until bytes came, or can be sent if some are to be sent; takes in what came.
    Status wait();
    // False if neither happened within `time_max`.
    Result<bool> wait_until_ready(std::chrono::microseconds time_max);
    Status handle(const ReceivedFrame& frame);
    Status handle_error(const ReceivedFrame& frame);
    Status handle_ack(const ReceivedFrame& frame);
    Status handle_answer(const ReceivedFrame& frame);
    void settle(uint64_t ordinal);

    ClientOptions options_;
    int socket_ = -1;
    std::optional<Error> failed_;
    HelloOkMessage server_;
    bool has_heard_ = false;  // a whole frame came
    bool said_hello_ = false;
    FrameStream stream_;
    std::vector<std::byte> unsent_;
    size_t unsent_from_ = 0;

    uint64_t sent_ = 0;  // changing frames: their ordinals
    std::deque<size_t> unanswered_;
    size_t unanswered_bytes_ = 0;
    FlushReport report_;
    std::map<uint64_t, Result<RunOpened>> opened_;  // of open_run frames being waited for
    std::optional<uint64_t> opening_;
    uint32_t next_handle_ = 1;
    uint64_t next_request_ = 1;
    std::optional<OpenQuery> query_;
};

}  // namespace stepdb
