#include "net/engine_bridge.h"

#include <iterator>
#include <mutex>
#include <optional>
#include <variant>
#include <vector>

#include "net/lean_queue.h"

namespace stepdb {

namespace {

struct Durable {
    uint64_t ordinal = 0;
    uint64_t late_rows = 0;
};
struct Refused {
    Refused(uint64_t its_ordinal, Refusal its_refusal)
        : ordinal(its_ordinal), refusal(std::move(its_refusal)) {}
    uint64_t ordinal;
    Refusal refusal;
};
struct Opened {
    uint64_t ordinal = 0;
    RunOpened opened;
};
using Outcome = std::variant<Durable, Refused, Opened>;

}  // namespace

// What both threads share of one channel. Each posted call holds it, so neither side waits for the
// other when the connection goes.
class EngineBridge::Crossing : public OutcomeSink,
                               public std::enable_shared_from_this<EngineBridge::Crossing> {
  public:
    Crossing(const EngineBridge& bridge, const Id128& writer, OutcomeSink& sink,
             uint64_t connection, std::shared_ptr<const Rights> rights)
        : bridge_(bridge),
          writer_(writer),
          connection_(connection),
          rights_(std::move(rights)),
          sink_(&sink) {}

    // --- Net thread ---

    void send(std::vector<ReceivedFrame>& frames) {
        const std::lock_guard lock(mutex_);
        if (inbox_.empty()) {
            inbox_.swap(frames);
        } else {
            std::move(frames.begin(), frames.end(), std::back_inserter(inbox_));
        }
        frames.clear();
        if (!inbox_posted_) {
            inbox_posted_ = true;
            bridge_.engine_side_.post([self = shared_from_this()] { self->run_inbox(); });
        }
    }

    void give_up(std::function<void()> done) {
        sink_ = nullptr;
        done_ = std::move(done);
        bridge_.engine_side_.post([self = shared_from_this()] {
            self->is_given_up_ = true;
            self->end_if_idle();
        });
    }

    // --- Engine thread ---

    void on_durable(uint64_t ordinal, uint64_t late_rows) override {
        note_told(ordinal);
        const std::lock_guard lock(mutex_);
        if (auto* last = outbox_.empty() ? nullptr : std::get_if<Durable>(&outbox_.back())) {
            last->ordinal = ordinal;
            last->late_rows += late_rows;
            return;
        }
        Durable durable;
        durable.ordinal = ordinal;
        durable.late_rows = late_rows;
        put(durable);
    }
    void on_refused(uint64_t ordinal, Refusal refusal) override {
        note_told(ordinal);
        const std::lock_guard lock(mutex_);
        put(Refused(ordinal, std::move(refusal)));
    }
    void on_opened(uint64_t ordinal, RunOpened opened) override {
        const std::lock_guard lock(mutex_);
        Opened outcome;
        outcome.ordinal = ordinal;
        outcome.opened = opened;
        put(outcome);
    }

  private:
    void run_inbox() {
        std::vector<ReceivedFrame> inbox;  // a waiting connection keeps none
        {
            const std::lock_guard lock(mutex_);
            inbox.swap(inbox_);
            inbox_posted_ = false;
        }
        for (ReceivedFrame& frame : inbox) {
            taken_.push_back(std::move(frame));
        }
        submit_taken();
    }

    // As many as the engine has room for. Each frame's buffer goes as soon as the engine has copied
    // it, so that no frame is held twice for long.
    void submit_taken() {
        if (!session_) {
            session_ = bridge_.engine_.open_session(writer_, *this, connection_, rights_);
            self_ = shared_from_this();
        }
        while (!taken_.empty()) {
            if (!bridge_.engine_.has_room()) {
                if (!is_waiting_for_room_) {
                    is_waiting_for_room_ = true;
                    bridge_.engine_.when_room([self = shared_from_this()] {
                        self->is_waiting_for_room_ = false;
                        self->submit_taken();
                    });
                }
                return;
            }
            const ReceivedFrame frame = taken_.pop_front();
            const uint64_t ordinal = session_->submit(frame.bytes);
            CHECK(ordinal == ++submitted_, "the engine counts frame {} as {}", submitted_, ordinal);
        }
        end_if_idle();
    }

    void note_told(uint64_t ordinal) {
        told_ = ordinal;
        if (is_given_up_ && told_ == submitted_) {
            // Not from within the engine's call.
            bridge_.engine_side_.post([self = shared_from_this()] { self->end_if_idle(); });
        }
    }

    // After giving up, the session stays until its last frame has its outcome.
    void end_if_idle() {
        if (!is_given_up_ || !taken_.empty() || told_ != submitted_ || is_ended_) {
            return;
        }
        is_ended_ = true;
        session_.reset();
        bridge_.net_side_.post([self = shared_from_this()] { self->done_(); });
        self_.reset();
    }

    // Under the lock.
    void put(Outcome outcome) {
        outbox_.push_back(std::move(outcome));
        if (!outbox_posted_) {
            outbox_posted_ = true;
            bridge_.net_side_.post([self = shared_from_this()] { self->run_outbox(); });
        }
    }

    // Net thread.
    void run_outbox() {
        std::vector<Outcome> outcomes;
        {
            const std::lock_guard lock(mutex_);
            outcomes.swap(outbox_);
            outbox_posted_ = false;
        }
        for (Outcome& outcome : outcomes) {
            if (sink_ == nullptr) {
                return;
            }
            if (auto* durable = std::get_if<Durable>(&outcome)) {
                sink_->on_durable(durable->ordinal, durable->late_rows);
            } else if (auto* refused = std::get_if<Refused>(&outcome)) {
                sink_->on_refused(refused->ordinal, std::move(refused->refusal));
            } else if (auto* opened = std::get_if<Opened>(&outcome)) {
                sink_->on_opened(opened->ordinal, opened->opened);
            }
        }
    }

    const EngineBridge& bridge_;
    const Id128 writer_;
    const uint64_t connection_;
    const std::shared_ptr<const Rights> rights_;
    OutcomeSink* sink_;           // net thread; null once the channel is given up
    std::function<void()> done_;  // set on the net thread before the engine's hears of it

    // Engine thread.
    std::unique_ptr<WriteSession> session_;
    std::shared_ptr<Crossing> self_;  // while there is a session, whose sink this is
    LeanQueue<ReceivedFrame> taken_;
    uint64_t submitted_ = 0;
    uint64_t told_ = 0;  // the last frame with an outcome
    bool is_waiting_for_room_ = false;
    bool is_given_up_ = false;
    bool is_ended_ = false;

    std::mutex mutex_;
    std::vector<ReceivedFrame> inbox_;
    std::vector<Outcome> outbox_;
    bool inbox_posted_ = false;
    bool outbox_posted_ = false;
};

class EngineBridge::Channel : public WriteChannel {
  public:
    explicit Channel(std::shared_ptr<Crossing> crossing) : crossing_(std::move(crossing)) {}
    ~Channel() override {
        if (!is_given_up_) {
            crossing_->give_up([] {});
        }
    }
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    void give_up(std::function<void()> done) override {
        is_given_up_ = true;
        crossing_->give_up(std::move(done));
    }
    void submit(ReceivedFrame frame) override { batch_.push_back(std::move(frame)); }
    void flush() override {
        if (!batch_.empty()) {
            crossing_->send(batch_);
        }
    }

  private:
    std::shared_ptr<Crossing> crossing_;
    std::vector<ReceivedFrame> batch_;
    bool is_given_up_ = false;
};

std::unique_ptr<WriteChannel> EngineBridge::open(const Id128& writer, OutcomeSink& sink,
                                                 uint64_t connection,
                                                 std::shared_ptr<const Rights> rights) {
    return std::make_unique<Channel>(
        std::make_shared<Crossing>(*this, writer, sink, connection, std::move(rights)));
}

}  // namespace stepdb
