#include "net/watches.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/model/limits.h"
#include "engine/snapshot_mark.h"
#include "query/answer_difference.h"

namespace stepdb {

namespace {

using SharedAnswer = std::shared_ptr<const WholeAnswer>;
using SharedDifference = std::shared_ptr<const AnswerDifference>;

std::string key_of(const QueryText& query) {
    // Who may read other runs has another answer.
    std::string key = query.rights == nullptr ? "" : query.rights->reading_key();
    key += fmt::format("\n{}:{}", query.text.size(), query.text);
    for (const auto& [name, value] : query.parameters.values()) {
        key += fmt::format("{}:{}{}:{}", name.size(), name, value.size(), value);
    }
    return key;
}

// A part of an update on its way to a sink.
struct UpdatePart {
    UpdatePart() = default;

    std::optional<std::vector<ResultColumn>> columns;
    std::optional<ResultBlock> block;
    std::optional<ResultUpdate> end;
};

}  // namespace

// What became of one computation.
struct Watches::Outcome {
    Outcome() = default;

    std::optional<Error> error;
    SharedAnswer answer;          // null: nothing has changed
    SharedDifference difference;  // to the answer before
    std::shared_ptr<const SnapshotMark> mark;
};

class Watches::Watch {
  public:
    Watch(std::string its_key, QueryText its_query)
        : key(std::move(its_key)), query(std::move(its_query)) {}

    const std::string key;
    const QueryText query;
    std::set<Watcher*> watchers;
    SharedAnswer answer;                      // the newest; null: none yet
    std::weak_ptr<const WholeAnswer> before;  // the one before
    SharedDifference difference;              // from `before` to `answer`
    std::shared_ptr<const SnapshotMark> mark = std::make_shared<const SnapshotMark>();
    std::shared_ptr<QueryJob> job;  // while it is computed
    Time begun;
    Time due;               // when it may be computed again
    bool is_due = false;    // it is in due_
    bool has_news = false;  // something was published since its computation began
    bool is_over = false;
};

// --- Those who watch ---

// It is told one part of an update after the other, each on a query thread and one at a time, so
// that what it keeps there needs no lock.
class Watches::Watcher final : public RunningWatch {
  public:
    Watcher(Watches& watches, std::shared_ptr<Watch> watch, UpdateSink& sink)
        : watches_(watches), watch_(std::move(watch)), state_(std::make_shared<State>()) {
        state_->sink = &sink;
        watch_->watchers.insert(this);
        ++watches_.watchers_;
    }
    ~Watcher() override {
        state_->sink = nullptr;
        --watches_.watchers_;
        watch_->watchers.erase(this);
        if (watch_->watchers.empty()) {
            watches_.remove(*watch_);
        }
    }
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    void offer() {
        if (!is_asked_ && !is_offered_ &&
            (state_->is_within_update || state_->told != watch_->answer)) {
            is_offered_ = true;
            state_->sink->on_waiting();
        }
    }
    // Later, as the sink may not be called where a watch begins.
    void offer_later() {
        watches_.shared_.net_side.post([this, state = state_] {
            if (state->sink != nullptr) {
                offer();
            }
        });
    }
    void fail(const Error& error) {
        if (UpdateSink* sink = std::exchange(state_->sink, nullptr)) {
            sink->on_error(error);
        }
    }

    void want() override {
        if (state_->sink == nullptr) {
            return;
        }
        is_offered_ = false;
        is_asked_ = true;
        State& state = *state_;
        if (!state.is_within_update) {
            state.is_within_update = true;
            state.to = watch_->answer;
            state.next = 0;
            const bool is_up_to_date = state.told != nullptr && state.told == watch_->before.lock();
            state.difference = is_up_to_date ? watch_->difference : nullptr;
        }
        std::shared_ptr<QuerySides::Place> place = watches_.shared_.sides.take_place(&watches_);
        QuerySides::Place& there = *place;
        there.post([this, state = state_, place = std::move(place),
                    &net_side = watches_.shared_.net_side]() mutable {
            UpdatePart part = make_part(*state);
            place.reset();
            net_side.post([this, state, part = std::move(part)]() mutable {
                if (state->sink != nullptr) {
                    deliver(std::move(part));
                }
            });
        });
    }

  private:
    // Where it stands. Of the net side, but while a part is being made.
    struct State {
        UpdateSink* sink = nullptr;  // null once the watch has ended; net side only
        SharedAnswer told;           // null: nothing yet
        bool is_within_update = false;
        SharedAnswer to;
        SharedDifference difference;
        uint32_t next = 0;  // row of the difference
    };

    static UpdatePart make_part(State& state);
    void deliver(UpdatePart part);

    Watches& watches_;
    std::shared_ptr<Watch> watch_;
    std::shared_ptr<State> state_;
    bool is_offered_ = false;  // want() may come
    bool is_asked_ = false;    // it came, and its part has not
};

UpdatePart Watches::Watcher::make_part(State& state) {
    const WholeAnswer* told = state.told.get();
    const WholeAnswer& to = *state.to;
    if (state.difference == nullptr) {
        state.difference = std::make_shared<const AnswerDifference>(told, to);
    }
    const AnswerDifference& difference = *state.difference;
    UpdatePart part;
    if (state.next == 0 && (told == nullptr || told->columns() != to.columns())) {
        part.columns = update_columns(to.columns());
    }
    if (state.next < difference.row_count()) {
        part.block = difference.block(told, to, state.next, kResultBatchRows);
        state.next += part.block->rows();
    }
    if (state.next == difference.row_count()) {
        part.end.emplace();
        part.end->sequence = to.sequence;
        part.end->is_reset = difference.is_reset();
        part.end->key_columns = static_cast<uint32_t>(to.key_columns());
        part.end->rows = to.row_count();
        part.end->notes = to.notes;
    }
    return part;
}

void Watches::Watcher::deliver(UpdatePart part) {
    // The sink may destroy this in any of its calls.
    const std::shared_ptr<State> state = state_;
    is_asked_ = false;
    if (part.end) {
        state->told = std::exchange(state->to, nullptr);
        state->difference.reset();
        state->is_within_update = false;
    }
    if (part.columns) {
        state->sink->on_columns(*std::move(part.columns));
    }
    if (part.block && state->sink != nullptr) {
        state->sink->on_block(*std::move(part.block));
    }
    if (part.end && state->sink != nullptr) {
        state->sink->on_update(*std::move(part.end));
    }
    if (state->sink != nullptr) {
        offer();
    }
}

// --- What is computed ---

// Keeps the answer, and finds what it changes of the one before.
class Watches::Receiver final : public AnswerReceiver {
  public:
    Receiver(Watches& watches, const std::shared_ptr<Watch>& watch)
        : net_side_(watches.shared_.net_side),
          memory_(watches.shared_.make_memory()),
          watches_(watches.self_),
          watch_(watch),
          before_(watch->answer),
          mark_before_(watch->mark) {}

    Result<bool> begins(const Snapshot& snapshot, uint64_t sequence,
                        QueryExecution& execution) override {
        if (mark_before_->shows_the_same(snapshot)) {
            tell(Outcome());
            return false;
        }
        outcome_.mark = std::make_shared<const SnapshotMark>(snapshot, sequence);
        sequence_ = sequence;
        TRY(execution.watch(before_ == nullptr ? 0 : before_->grid_width));
        return true;
    }
    void prepared(const QueryExecution& execution) override {
        answer_ =
            std::make_shared<WholeAnswer>(execution.columns(), execution.key_columns(), memory_);
    }
    Status takes(ResultBlock block) override { return answer_->add(block); }
    void ended(const QueryExecution& execution, uint64_t rows) override {
        static_cast<void>(rows);
        answer_->grid_width = execution.watched_width();
        answer_->sequence = sequence_;
        answer_->notes = execution.notes();
        auto difference = std::make_shared<const AnswerDifference>(before_.get(), *answer_);
        if (!difference->empty()) {
            outcome_.answer = std::move(answer_);
            outcome_.difference = std::move(difference);
        }
        tell(std::move(outcome_));
    }
    void failed(Error error) override {
        outcome_.error = std::move(error);
        tell(std::move(outcome_));
    }

  private:
    void tell(Outcome outcome) {
        net_side_.post(
            [watches = watches_, watch = watch_, outcome = std::move(outcome)]() mutable {
                if (*watches != nullptr) {
                    (*watches)->on_computed(watch, std::move(outcome));
                }
            });
    }

    Executor& net_side_;
    const std::shared_ptr<MemoryBudget> memory_;
    const std::shared_ptr<Watches*> watches_;
    const std::shared_ptr<Watch> watch_;
    const SharedAnswer before_;
    const std::shared_ptr<const SnapshotMark> mark_before_;
    std::shared_ptr<WholeAnswer> answer_;
    uint64_t sequence_ = 0;
    Outcome outcome_;
};

// --- When ---

Watches::Watches(QueryShared& shared) : shared_(shared), self_(std::make_shared<Watches*>(this)) {}

Watches::~Watches() {
    CHECK(watches_.empty(), "{} queries are still watched", watches_.size());
    *self_ = nullptr;
}

std::unique_ptr<RunningWatch> Watches::start(QueryText query, UpdateSink& sink) {
    const std::string key = key_of(query);
    std::shared_ptr<Watch>& watch = watches_[key];
    const bool is_new = watch == nullptr;
    if (is_new) {
        watch = std::make_shared<Watch>(key, std::move(query));
    }
    auto watcher = std::make_unique<Watcher>(*this, watch, sink);
    if (!shared_.call_after) {
        shared_.net_side.post([self = self_, watch = watch] {
            if (*self != nullptr) {
                (*self)->end(watch, Error(ErrorCode::kFailedPrecondition,
                                          "only a server's queries can be watched"));
            }
        });
    } else if (is_new) {
        consider(watch, shared_.steady_now());
    } else {
        watcher->offer_later();
    }
    return watcher;
}

// It is computed at `due` or later, if something of it may have changed.
void Watches::consider(const std::shared_ptr<Watch>& watch, Time due) {
    if (watch->is_over || watch->is_due || watch->job != nullptr) {
        return;
    }
    watch->is_due = true;
    due_.emplace(due, watch);
    compute_due();
}

void Watches::compute_due() {
    const Time now = shared_.steady_now();
    while (!due_.empty() && due_.begin()->first <= now && computing_ < shared_.sides.count()) {
        const std::shared_ptr<Watch> watch = std::move(due_.extract(due_.begin()).mapped());
        watch->is_due = false;
        if (!watch->is_over) {
            compute(watch);
        }
    }
    if (!due_.empty() && due_.begin()->first > now && due_.begin()->first < timer_at_) {
        timer_at_ = due_.begin()->first;
        const auto after = std::chrono::ceil<std::chrono::microseconds>(timer_at_ - now);
        shared_.call_after(after, [self = self_, at = timer_at_] {
            if (*self != nullptr) {
                (*self)->timer_at_ = at == (*self)->timer_at_ ? Time::max() : (*self)->timer_at_;
                (*self)->compute_due();
            }
        });
    }
}

void Watches::compute(const std::shared_ptr<Watch>& watch) {
    ++computing_;
    watch->has_news = false;
    watch->begun = shared_.steady_now();
    // Before it takes its snapshot: what is published after that is news.
    listen();
    watch->job = std::make_shared<QueryJob>(shared_, watch->query,
                                            std::make_unique<Receiver>(*this, watch), this);
    watch->job->begin();
    watch->job->want(std::numeric_limits<uint32_t>::max());
}

void Watches::listen() {
    if (std::exchange(is_listening_, true)) {
        return;
    }
    shared_.engine_side.post(
        [&engine = shared_.engine, &net_side = shared_.net_side, self = self_] {
            engine.when_published([&net_side, self] {
                net_side.post([self] {
                    if (*self != nullptr) {
                        (*self)->on_published();
                    }
                });
            });
        });
}

void Watches::on_published() {
    is_listening_ = false;
    // Computing one of them may end it, and with it its place in the map.
    std::vector<std::shared_ptr<Watch>> all;
    all.reserve(watches_.size());
    for (const auto& [key, watch] : watches_) {
        all.push_back(watch);
    }
    for (const std::shared_ptr<Watch>& watch : all) {
        watch->has_news = true;
        consider(watch, std::max(watch->due, shared_.steady_now()));
    }
}

void Watches::on_computed(const std::shared_ptr<Watch>& watch, Outcome outcome) {
    if (watch->job == nullptr) {
        return;  // it ended meanwhile
    }
    const Time now = shared_.steady_now();
    const auto took = now - watch->begun;
    watch->due = std::max(watch->begun + kWatchEvery, now + (kWatchShare - 1) * took);
    watch->job.reset();
    // It rests for as long as it worked.
    shared_.call_after(std::chrono::ceil<std::chrono::microseconds>(took), [self = self_] {
        if (*self != nullptr) {
            --(*self)->computing_;
            (*self)->compute_due();
        }
    });
    if (outcome.error) {
        return end(watch, *outcome.error);
    }
    if (outcome.mark != nullptr) {
        watch->mark = std::move(outcome.mark);
    }
    if (outcome.answer != nullptr) {
        watch->before = watch->answer;
        watch->answer = std::move(outcome.answer);
        watch->difference = std::move(outcome.difference);
        // A sink may end others of them.
        const std::vector<Watcher*> watchers(watch->watchers.begin(), watch->watchers.end());
        for (Watcher* watcher : watchers) {
            if (watch->watchers.contains(watcher)) {
                watcher->offer();
            }
        }
    }
    if (watch->has_news) {
        consider(watch, watch->due);
    }
}

void Watches::end(const std::shared_ptr<Watch>& watch, const Error& error) {
    const std::vector<Watcher*> watchers(watch->watchers.begin(), watch->watchers.end());
    remove(*watch);
    for (Watcher* watcher : watchers) {
        if (watch->watchers.contains(watcher)) {
            watcher->fail(error);
        }
    }
}

// Whoever asks for it from now on begins another.
void Watches::remove(Watch& watch) {
    if (std::exchange(watch.is_over, true)) {
        return;
    }
    if (watch.job != nullptr) {
        watch.job->give_up(QueryOutcome::kCancelled);
        watch.job.reset();
        --computing_;
    }
    watches_.erase(watch.key);
    compute_due();
}

void Watches::tick() {
    std::vector<std::shared_ptr<Watch>> late;
    const Time now = shared_.steady_now();
    for (const auto& [key, watch] : watches_) {
        if (watch->job != nullptr && now - watch->begun > kWatchTimeMax) {
            late.push_back(watch);
        }
    }
    for (const std::shared_ptr<Watch>& watch : late) {
        end(watch, make_error(ErrorCode::kResourceExhausted,
                              "the answer took longer than {} s to compute, the limit for a query "
                              "that is watched; ask for less",
                              kWatchTimeMax.count()));
    }
}

}  // namespace stepdb
