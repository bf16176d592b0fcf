#include "net/engine_bridge.h"

#include <mutex>
#include <optional>
#include <variant>
#include <vector>

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
    Crossing(const EngineBridge& bridge, const Id128& writer, OutcomeSink& sink)
        : bridge_(bridge), writer_(writer), sink_(&sink) {}

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

    void close() {
        sink_ = nullptr;
        bridge_.engine_side_.post([self = shared_from_this()] { self->session_.reset(); });
    }

    // --- Engine thread ---

    void on_durable(uint64_t ordinal, uint64_t late_rows) override {
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
        std::vector<ReceivedFrame> frames;
        {
            const std::lock_guard lock(mutex_);
            frames.swap(inbox_);
            inbox_posted_ = false;
        }
        if (!session_) {
            session_ = bridge_.engine_.open_session(writer_, *this);
        }
        for (const ReceivedFrame& frame : frames) {
            const uint64_t ordinal = session_->submit(frame.bytes);
            CHECK(ordinal == ++submitted_, "the engine counts frame {} as {}", submitted_, ordinal);
        }
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
    OutcomeSink* sink_;  // net thread; null once the channel is closed

    std::unique_ptr<WriteSession> session_;  // engine thread
    uint64_t submitted_ = 0;                 // engine thread

    std::mutex mutex_;
    std::vector<ReceivedFrame> inbox_;
    std::vector<Outcome> outbox_;
    bool inbox_posted_ = false;
    bool outbox_posted_ = false;
};

class EngineBridge::Channel : public WriteChannel {
  public:
    explicit Channel(std::shared_ptr<Crossing> crossing) : crossing_(std::move(crossing)) {}
    ~Channel() override { crossing_->close(); }
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    void submit(ReceivedFrame frame) override { batch_.push_back(std::move(frame)); }
    void flush() override {
        if (!batch_.empty()) {
            crossing_->send(batch_);
        }
    }

  private:
    std::shared_ptr<Crossing> crossing_;
    std::vector<ReceivedFrame> batch_;
};

std::unique_ptr<WriteChannel> EngineBridge::open(const Id128& writer, OutcomeSink& sink) {
    return std::make_unique<Channel>(std::make_shared<Crossing>(*this, writer, sink));
}

}  // namespace stepdb
