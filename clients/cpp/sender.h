// The thread that owns a writer's connection: takes frames from the queue, sends them, hears what
// became of them, and after a lost connection sends again what has no outcome, in order, under the
// same numbers, so that the server takes each once.
//
// What a frame needs is announced before the first that needs it on a connection: its run (opened
// anew to resume, from the number of that frame on) and its schema.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "clients/cpp/run_state.h"
#include "clients/cpp/send_queue.h"
#include "net/client_connection.h"

namespace stepdb::client {

class Sender final : private ClientEvents {
  public:
    // `queue` outlives it.
    explicit Sender(SendQueue& queue);
    // The queue must have been told to stop, if it runs.
    ~Sender();
    Sender(const Sender&) = delete;
    Sender& operator=(const Sender&) = delete;

    // Connects, on the caller's thread, then sends on one of its own until the queue says stop.
    Status start();
    void join();

  private:
    // Waits for an outcome on this connection.
    struct InFlight {
        enum class Kind : uint8_t { kFrame, kSchema, kRun };

        Kind kind = Kind::kFrame;
        QueuedFrame* frame = nullptr;   // of kFrame
        std::shared_ptr<RunState> run;  // of kRun
        RowLane* lane = nullptr;        // of kSchema
        std::string project;            // of kSchema
        std::optional<ErrorMessage> refusal;
    };

    void run();
    Status connect();
    Result<std::string> token() const;
    void connect_again(SteadyTime now);
    void disconnect(const Error& why);
    void step(SteadyTime now);
    void wait_without_connection(SteadyTime now);
    void seal_due(SteadyTime now);
    bool is_busy() const;
    std::chrono::microseconds time_to_wait(SteadyTime now) const;
    void check_silence(SteadyTime now);
    void give_up_if_late(SteadyTime now);

    // Sends what there is, as far as the connection should hold it.
    Status send_frames();
    Status send_frame(QueuedFrame& frame);
    Status announce(QueuedFrame& frame);
    Status send_change(std::vector<std::byte> frame, InFlight in_flight);
    Status send_open_run(QueuedFrame& frame, bool resume);

    void on_ack(uint64_t ordinal, uint64_t late_rows) override;
    void on_refused(uint64_t ordinal, ErrorMessage error) override;
    void on_opened(uint64_t ordinal, const RunOpened& opened) override;
    void on_request_failed(uint64_t request, const Error& error) override;
    Status on_answer(const ReceivedFrame& frame) override;

    InFlight* find(uint64_t ordinal);
    void take_outcome(InFlight& of);
    void take_frame_outcome(QueuedFrame& frame, std::optional<ErrorMessage> refusal);
    void take_open_outcome(QueuedFrame& frame, const ErrorMessage& refusal);
    void finish(QueuedFrame& frame, std::optional<Error> refusal);
    // The store takes frames again: what it refused as unavailable before is refused for good.
    void refuse_kept();
    void settle_done();

    SendQueue& queue_;
    const Options& options_;
    const Result<std::string> usual_token_;  // where the options name none
    std::thread thread_;
    std::unique_ptr<ClientConnection> connection_;
    uint64_t connections_ = 0;  // made; the number of the current one

    std::deque<std::unique_ptr<QueuedFrame>> frames_;  // without outcome, in order
    size_t next_ = 0;  // of them, the first not sent on this connection
    size_t in_flight_bytes_ = 0;
    std::deque<InFlight> in_flight_;
    uint64_t first_in_flight_ = 1;                          // its ordinal
    std::set<std::pair<std::string, SchemaHash>> schemas_;  // announced on this connection
    std::map<QueuedFrame*, RunOpened> opened_;
    size_t kept_ = 0;
    uint64_t late_rows_ = 0;
    std::vector<std::byte> scratch_;

    std::optional<Error> kept_why_;
    std::optional<Error> broken_;  // the connection is to be given up
    std::optional<Error> last_error_;
    SteadyTime retry_at_;
    std::chrono::milliseconds retry_delay_;
    SteadyTime waiting_since_;  // for any outcome
    uint64_t heard_bytes_ = 0;
    SteadyTime heard_at_;
    std::minstd_rand random_;
};

}  // namespace stepdb::client
