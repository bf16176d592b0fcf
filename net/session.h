// The protocol of one connection as a state machine: bytes in, bytes out, no sockets, no threads,
// no clock. Everything is called on one thread. docs/protocol.md is the specification.
//
// Input: fill prepare(), commit(); read only while wants_input(), which is false while the engine
// or the peer is behind, so that the socket pushes back. Output: take_output() while has_output().
// finished() says that everything was answered and the connection is to be closed.
//
// Order: outcomes of changing frames come in the order of the frames. A fatal error is sent after
// the outcomes of all frames before it. Answers of queries interleave with everything.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/model/limits.h"
#include "net/access.h"
#include "net/flow_budget.h"
#include "net/frame_stream.h"
#include "net/lean_queue.h"
#include "net/message.h"
#include "net/query_service.h"
#include "net/write_channel.h"

namespace stepdb {

// Unsent answers of a connection stop its input here (a peer that sends but never reads).
inline constexpr size_t kControlBytesUnsentMax = 1U << 20U;
// Changing frames of a connection without outcome: bounds what their errors can take.
inline constexpr size_t kConnectionFramesInFlightMax = 1U << 16U;
// What the server holds for a frame on its way beside its bytes: the entries of the queues it is
// in.
inline constexpr size_t kFrameOverheadBytes = 512;
// What a compressed frame unpacks to and is then refused for counts against its connection, at this
// many bytes a second, unless it is at most so many times its size: a bomb costs its sender a
// pause.
inline constexpr double kWastedBytesPerSecond = 4U << 20U;
inline constexpr size_t kUnpackedFreely = 16;
// Room kept for a result block before it is there.
inline constexpr size_t kBlockReserveBytes = 1U << 20U;
// Result blocks of a connection asked for and not yet sent, and of one query among them.
inline constexpr uint32_t kConnectionBlocksUnsentMax = 16;
inline constexpr uint32_t kQueryBlocksUnsentMax = 2;

struct SessionLimits {
    SessionLimits() = default;
    size_t receive_bytes_max = kConnectionReceiveBytesMax;
    size_t frames_in_flight_max = kConnectionFramesInFlightMax;
    size_t queries_max = kQueriesPerConnectionMax;
};

// What sessions count together.
struct SessionCounts {
    SessionCounts() = default;

    uint64_t frames = 0;  // received, of all kinds
    uint64_t acks = 0;    // sent
    uint64_t received_bytes = 0;
    uint64_t sent_bytes = 0;
    uint64_t hellos_refused = 0;   // for want of a good token
    uint64_t queries_limited = 0;  // refused because of the rate of their token
};

// What sessions share. All of it outlives them.
struct SessionServices {
    SessionServices(WriteChannels& its_channels, QueryService& its_queries, FlowBudget& its_receive,
                    FlowBudget& its_send)
        : channels(its_channels), queries(its_queries), receive(its_receive), send(its_send) {}

    WriteChannels& channels;
    QueryService& queries;
    FlowBudget& receive;       // frames without outcome, and begun ones
    FlowBudget& send;          // answers not yet sent
    Access* access = nullptr;  // null: everybody may do everything
    Id128 store;
    std::string server_name = "stepdb";
    SessionLimits limits;
    // The time that passes, for rates of tokens; tests have their own.
    std::function<RateLimit::Time()> steady_now = &std::chrono::steady_clock::now;
    std::shared_ptr<SessionCounts> counts = std::make_shared<SessionCounts>();
};

class Session : private OutcomeSink {
  public:
    // `wake` is called when output or room for input has appeared by itself; it may be called often
    // and must not call back.
    Session(const SessionServices& services, std::function<void()> wake);
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    MutableBytes prepare() { return stream_.prepare(); }
    void commit(size_t bytes);
    // The peer will send nothing more: what is in flight is answered, then the session is finished.
    void end_input();
    // Likewise from our side: everything in flight is answered, then `reason` is sent.
    void shut_down(Error reason);
    // To be called now and then: ends the connection of a token that is not good any more. What was
    // received of changes is still answered, queries are not.
    void check_access();
    // To be called now and then: finds out whether a peer that will send nothing more has gone
    // altogether while its queries are computed. That shows only when something is sent to it, so
    // it gets an ack that it has already.
    void probe_peer();
    // Gives everything up at once, such as when the socket has failed.
    void abandon();

    // False while the engine, the budget or the peer's reading is behind. May reserve room for a
    // frame that has begun.
    bool wants_input();
    // How long the rate of its token, or what it has wasted, keeps it from that; it is to be asked
    // again then.
    std::chrono::microseconds rate_wait() const;
    bool has_output() const { return control_bytes_ != 0 || ack_.has_value() || !results_.empty(); }
    // The next bytes to send; never empty if has_output(). They count as held until output_sent().
    std::vector<std::byte> take_output();
    void output_sent();
    // There may be room again in the shared budgets.
    void resume() { grant_blocks(); }
    bool finished() const;

    // For deadlines.
    bool said_hello() const { return state_ != State::kAwaitingHello; }
    bool is_within_frame() const { return stream_.partial_bytes() != 0; }
    uint64_t frames_read() const { return frames_read_; }

  private:
    enum class State : uint8_t {
        kAwaitingHello,
        kOpen,
        kClosing,  // no more input; finished when all is answered
    };
    class Reply;  // one query's sink
    struct PendingAck {
        uint64_t ordinal = 0;
        uint64_t late_rows = 0;
    };
    struct Unpacking {
        uint64_t ordinal = 0;
        size_t bytes = 0;
    };
    struct ResultFrame {
        std::vector<std::byte> bytes;
        uint64_t request = 0;  // of a block
        uint64_t serial = 0;   // of the query, because request ids may come again; 0: no block
    };

    void on_durable(uint64_t ordinal, uint64_t late_rows) override;
    void on_refused(uint64_t ordinal, Refusal refusal) override;
    void on_opened(uint64_t ordinal, RunOpened opened) override;

    void read_frames();
    void handle(ReceivedFrame frame);
    void handle_hello(const ReceivedFrame& frame);
    void handle_change(ReceivedFrame frame);
    // Of a query, a watch or a backup.
    void handle_request(const ReceivedFrame& frame);
    Status start_request(const ReceivedFrame& frame);
    Status admit(const HelloMessage& hello);
    void note_unpacking(const ReceivedFrame& frame);
    void charge_rows(const ReceivedFrame& frame);
    Status check_query_rate(const ReceivedFrame& frame);
    void list_wanting(uint64_t request);
    void cancel_those(bool (Reply::*is_one)() const, const Error& error);
    void refuse(ErrorScope scope, uint64_t number, const Error& error);
    void fail(Error error);

    void settle(uint64_t ordinal);
    void put_ack();
    void put_control(std::vector<std::byte> frame);
    void put_result(ResultFrame frame);
    void end_query(uint64_t request, std::vector<std::byte> last_frame);
    void cancel_query(uint64_t request, const Error& error);
    void grant_blocks();
    void take_back_blocks(uint32_t blocks);
    void charge_send(size_t bytes);
    void release_send(size_t bytes);
    void finish_if_idle();

    const SessionServices& services_;
    const uint64_t connection_;
    std::function<void()> wake_;
    State state_ = State::kAwaitingHello;
    bool has_input_ended_ = false;
    FrameStream stream_;
    uint64_t frames_read_ = 0;
    Id128 writer_;
    Admission admission_;
    std::unique_ptr<WriteChannel> channel_;  // made by the first changing frame

    // Changing frames without outcome: bytes by ordinal, the oldest first.
    LeanQueue<uint32_t> in_flight_;
    LeanQueue<Unpacking> unpacking_;  // of these, what may turn out to be wasted
    mutable RateLimit wasted_{kWastedBytesPerSecond};
    uint64_t submitted_ = 0;
    size_t receive_bytes_ = 0;  // charged for them
    bool receive_full_ = false;
    size_t reserved_ = 0;       // for the begun frame
    size_t send_bytes_ = 0;     // charged for answers, those being sent among them
    size_t sending_bytes_ = 0;  // of what take_output() gave

    std::map<uint64_t, std::unique_ptr<Reply>> queries_;
    std::vector<std::unique_ptr<Reply>> ended_;  // freed outside their own calls
    LeanQueue<uint64_t> wanting_;                // queries that could take another block
    uint32_t blocks_unsent_ = 0;                 // wanted and not yet sent
    uint64_t queries_started_ = 0;

    std::optional<Error> last_words_;  // sent when everything else is answered
    std::vector<std::vector<std::byte>> control_;
    size_t control_bytes_ = 0;
    std::optional<PendingAck> ack_;  // after everything in control_
    LeanQueue<ResultFrame> results_;
};

}  // namespace stepdb
