#include "tests/simulation/sim_network.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

namespace stepdb {

namespace {

// Small, so that they fill up.
constexpr size_t kServerBytesMax = 256U << 10U;
constexpr size_t kPieceBytesMax = 6000;

QueryEnvironment environment_of(SimStore& store) {
    SimExecutor& executor = store.executor();
    QueryEnvironment environment(executor, executor, executor, store.files(), store.clock());
    // Turns end by what has been done, and never by the time that this machine takes for it.
    environment.steady_now = [] { return std::chrono::steady_clock::time_point(); };
    return environment;
}

}  // namespace

// Both ends and the bytes between them. The client's end is its Link, if it still has one.
class SimNetwork::Connection : public std::enable_shared_from_this<SimNetwork::Connection> {
  public:
    // The client writes and has a sink, or asks and has an answer.
    Connection(SimNetwork& network, OutcomeSink* sink, std::shared_ptr<SimAnswer> answer)
        : network_(network),
          sink_(sink),
          answer_(std::move(answer)),
          session_(network.services_, [this] { wake(); }) {}

    void send_to_server(const std::vector<std::byte>& frame) {
        if (!is_cut_) {
            to_server_.insert(to_server_.end(), frame.begin(), frame.end());
            wake();
        }
    }

    // The client's end goes; what it has sent still comes.
    void close_by_client() {
        sink_ = nullptr;
        answer_ = nullptr;
        is_ended_ = true;
        if (!is_cut_) {
            wake();
        }
    }

    void cut() {
        is_cut_ = true;
        sink_ = nullptr;
        if (answer_ != nullptr) {
            answer_->is_lost = true;
            answer_ = nullptr;
        }
        to_server_.clear();
        to_client_.clear();
    }

    // The server sees that the client is gone.
    void end() {
        cut();
        session_.abandon();
    }

    bool is_done() const { return is_cut_ || (session_.finished() && !has_client()); }

    // Something may happen; later, and not more often than once at a time.
    void wake() {
        if (is_awake_) {
            return;
        }
        is_awake_ = true;
        network_.store_.executor().post_completion([self = shared_from_this()] {
            self->is_awake_ = false;
            self->happen();
        });
    }

  private:
    bool has_client() const { return sink_ != nullptr || answer_ != nullptr; }

    void happen() {
        if (is_cut_) {
            return;
        }
        session_.resume();
        bool goes_on = network_.random_.coin() ? carry_to_server() : carry_from_server();
        goes_on = goes_on || can_go_on();
        if (goes_on) {
            wake();
        }
    }

    bool can_go_on() {
        return (!to_server_.empty() && session_.wants_input()) || session_.has_output() ||
               !to_client_.empty() || (is_ended_ && to_server_.empty() && !has_ended_);
    }

    size_t piece(size_t bytes) const {
        return std::min<size_t>(bytes, 1 + network_.random_.below(kPieceBytesMax));
    }

    bool carry_to_server() {
        if (to_server_.empty()) {
            if (is_ended_ && !std::exchange(has_ended_, true)) {
                session_.end_input();
                return true;
            }
            return false;
        }
        if (!session_.wants_input()) {
            return false;
        }
        const MutableBytes space = session_.prepare();
        const size_t count = std::min(space.size(), piece(to_server_.size()));
        std::copy_n(to_server_.begin(), count, space.begin());
        to_server_.erase(to_server_.begin(), to_server_.begin() + static_cast<ptrdiff_t>(count));
        network_.bytes_carried_ += count;
        session_.commit(count);
        return true;
    }

    bool carry_from_server() {
        if (session_.has_output() && network_.random_.coin()) {
            const std::vector<std::byte> output = session_.take_output();
            to_client_.insert(to_client_.end(), output.begin(), output.end());
            session_.output_sent();
            return true;
        }
        if (to_client_.empty()) {
            return false;
        }
        const MutableBytes space = received_.prepare();
        const size_t count = std::min(space.size(), piece(to_client_.size()));
        std::copy_n(to_client_.begin(), count, space.begin());
        to_client_.erase(to_client_.begin(), to_client_.begin() + static_cast<ptrdiff_t>(count));
        received_.commit(count);
        network_.bytes_carried_ += count;
        read_frames();
        return true;
    }

    void read_frames() {
        while (has_client()) {
            const Result<std::optional<ReceivedFrame>> frame = received_.next();
            CHECK(frame, "what the server sends is no frame: {}", frame.error().to_string());
            if (!*frame) {
                return;
            }
            read(**frame);
        }
    }

    void read(const ReceivedFrame& frame) {
        const Bytes body = frame_body(frame.bytes);
        const uint64_t number = frame.header.number;
        if (answer_ != nullptr) {
            return read_answer(frame.header.type, body);
        }
        switch (frame.header.type) {
            case FrameType::kHelloOk:
                return;
            case FrameType::kAck:
                // One may come again, to find out whether the client is there.
                if (number > acknowledged_) {
                    acknowledged_ = number;
                    sink_->on_durable(number, AckMessage::decode(body).value().late_rows);
                }
                return;
            case FrameType::kRunOpened:
                sink_->on_opened(number, decode_run_opened(body).value());
                return;
            case FrameType::kError: {
                const ErrorMessage error = ErrorMessage::decode(body).value();
                CHECK(error.scope == ErrorScope::kChange, "{}", error.message);
                sink_->on_refused(number, Refusal(error.to_error(), error.position));
                return;
            }
            default:
                CHECK(false, "a frame of type {}", static_cast<int>(frame.header.type));
        }
    }

    void read_answer(FrameType type, Bytes body) {
        SimAnswer& answer = *answer_;
        switch (type) {
            case FrameType::kHelloOk:
                return;
            case FrameType::kResultColumns:
                answer.columns = decode_result_columns(body).value();
                return;
            case FrameType::kResultBlock:
                answer.blocks.push_back(decode_result_block(body, answer.columns).value());
                return;
            case FrameType::kError:
                answer.error = ErrorMessage::decode(body).value().to_error();
                break;
            default:
                CHECK(type == FrameType::kResultEnd, "a frame of type {}", static_cast<int>(type));
        }
        answer.has_ended = true;
        close_by_client();
    }

    SimNetwork& network_;
    OutcomeSink* sink_;
    std::shared_ptr<SimAnswer> answer_;
    Session session_;
    std::deque<std::byte> to_server_;
    std::deque<std::byte> to_client_;
    FrameStream received_;
    uint64_t acknowledged_ = 0;
    bool is_awake_ = false;
    bool is_ended_ = false;   // the client sends nothing more
    bool has_ended_ = false;  // and the server knows
    bool is_cut_ = false;
};

class SimNetwork::Link final : public WriteSession {
  public:
    explicit Link(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
    ~Link() override { connection_->close_by_client(); }
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    uint64_t submit(Bytes frame) override {
        connection_->send_to_server({frame.begin(), frame.end()});
        return ++ordinal_;
    }

  private:
    std::shared_ptr<Connection> connection_;
    uint64_t ordinal_ = 0;
};

SimNetwork::SimNetwork(SimStore& store, SimRandom& random)
    : store_(store),
      random_(random),
      queries_(store.engine(), environment_of(store)),
      bridge_(store.engine(), store.executor(), store.executor()),
      receive_(kServerBytesMax, [this] { wake_all(); }),
      send_(kServerBytesMax, [this] { wake_all(); }),
      services_(bridge_, queries_, receive_, send_) {
    services_.store = store.engine().store_id();
}

SimNetwork::~SimNetwork() {
    for (auto* list : {&connections_, &half_open_}) {
        for (const auto& connection : *list) {
            connection->end();
        }
    }
    // Nothing of theirs is posted any more, and the frames that the engine holds are free.
    store_.executor().run_until_idle();
    for (const auto* list : {&connections_, &half_open_}) {
        for (const auto& connection : *list) {
            CHECK(connection.use_count() == 1, "a client still has its end of a connection");
        }
    }
}

void SimNetwork::wake_all() {
    for (const auto& connection : connections_) {
        connection->wake();
    }
}

std::unique_ptr<WriteSession> SimNetwork::connect(const Id128& writer, OutcomeSink& sink) {
    return std::make_unique<Link>(add_connection(&sink, nullptr, writer));
}

std::shared_ptr<const SimAnswer> SimNetwork::ask(const std::string& text) {
    auto answer = std::make_shared<SimAnswer>();
    add_connection(nullptr, answer, sha256_128(as_bytes("asker")))
        ->send_to_server(encode_query(text, 1));
    return answer;
}

std::shared_ptr<SimNetwork::Connection> SimNetwork::add_connection(
    OutcomeSink* sink, std::shared_ptr<SimAnswer> answer, const Id128& client) {
    // Their end gives back what they held of the server's bytes, which wakes those that are left.
    const auto done = std::stable_partition(connections_.begin(), connections_.end(),
                                            [](const auto& each) { return !each->is_done(); });
    const std::vector<std::shared_ptr<Connection>> ended(
        std::make_move_iterator(done), std::make_move_iterator(connections_.end()));
    connections_.erase(done, connections_.end());
    auto connection = std::make_shared<Connection>(*this, sink, std::move(answer));
    connections_.push_back(connection);
    ++connections_made_;
    HelloMessage hello;
    hello.writer = client;
    hello.client = "simulation";
    connection->send_to_server(encode_hello(hello));
    return connection;
}

void SimNetwork::cut(bool is_half_open) {
    for (const auto& connection : connections_) {
        if (is_half_open) {
            connection->cut();
            half_open_.push_back(connection);
        } else {
            connection->end();
        }
    }
    connections_.clear();
}

void SimNetwork::forget_half_open() {
    for (const auto& connection : std::exchange(half_open_, {})) {
        connection->end();
    }
}

}  // namespace stepdb
