#include "net/query_job.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/query_memory.h"
#include "query/bind.h"
#include "query/parser.h"

namespace stepdb {

namespace {

// The notes that every answer of a damaged store carries.
std::vector<std::string> describe_damage(const RecoveryReport& found) {
    std::vector<std::string> notes;
    for (const StoreDamage& damage : found.damage) {
        if (!damage.brief.empty()) {
            notes.push_back("the store is damaged: " + damage.brief);
        }
    }
    if (!notes.empty()) {
        notes.back() += "; `stepdb verify DIR` tells all";
    }
    return notes;
}

std::chrono::microseconds microseconds_since(std::chrono::steady_clock::time_point moment) {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                 moment);
}

}  // namespace

QueryFacts list_query_facts(const QueryShared& shared) {
    QueryFacts facts;
    facts.running = shared.sides.taken();
    facts.waiting = shared.memory_line.waiting();
    facts.done = shared.counts.done;
    facts.failed = shared.counts.failed;
    facts.cancelled = shared.counts.cancelled;
    facts.slow = shared.counts.slow;
    if (const MemoryBudget* memory = shared.limits.memory.get()) {
        facts.memory_bytes = memory->used();
        facts.memory_bytes_max = memory->bytes_max();
    }
    if (const BlockCache* cache = shared.limits.cache.get()) {
        const BlockCache::Uses uses = cache->uses();
        facts.cache_bytes = cache->bytes();
        facts.cache_bytes_max = cache->bytes_max();
        facts.cache_looks = uses.looks;
        facts.cache_hits = uses.hits;
    }
    return facts;
}

std::shared_ptr<MemoryBudget> QueryShared::make_memory() const {
    return limits.memory == nullptr ? nullptr
                                    : make_query_memory(limits.memory, limits.memory_each_max);
}

QueryJob::QueryJob(QueryShared& shared, QueryText asked, std::unique_ptr<AnswerReceiver> receiver,
                   TurnQueue::Asker asker)
    : shared_(shared),
      place_(shared.sides.take_place(asker)),
      asked_(std::move(asked)),
      receiver_(std::move(receiver)),
      memory_(shared.make_memory()) {}

QueryJob::~QueryJob() {
    // It may have been given memory just when it was given up.
    if (memory_ != nullptr) {
        memory_->release();
        shared_.memory_line.look();
    }
}

std::chrono::microseconds QueryJob::memory_wait() const {
    const int64_t since = waiting_since_us_;
    std::chrono::microseconds waited(memory_wait_us_);
    if (since >= 0) {
        waited += microseconds_since(begun_) - std::chrono::microseconds(since);
    }
    return waited;
}

// --- Between the sides ---

template <typename Work>
void QueryJob::on_engine_side(Work work) {
    shared_.engine_side.post([self = shared_from_this(), work = std::move(work)] { work(); });
}

template <typename Work>
void QueryJob::on_query_side(Work work) {
    place_->post([self = shared_from_this(), work = std::move(work)] { work(); });
}

// --- Net side ---

void QueryJob::begin() {
    on_engine_side([this] {
        auto catalog = shared_.engine.catalog();
        on_query_side([this, catalog = std::move(catalog)] { bind(catalog); });
    });
}

void QueryJob::want(uint32_t blocks) {
    on_query_side([this, blocks] {
        wanted_ += blocks;
        if (waits_for_memory()) {
            return give_back_wanted();
        }
        make_block();
    });
}

void QueryJob::give_up(QueryOutcome outcome, std::string error) {
    {
        const std::lock_guard lock(query_mutex_);
        if (!cancelled_) {
            why_given_up_ = outcome;
            given_up_error_ = std::move(error);
            cancelled_ = true;
        }
        if (query_) {
            query_->execution().cancel();
        }
    }
    if (memory_ != nullptr) {
        shared_.memory_line.leave(*memory_);
    }
    on_query_side([this] {
        if (!is_busy_) {
            report_given_up();
            release();
        }
    });
}

// --- Query side ---

namespace {

// Runs that change all the time are answered for as they were.
constexpr uint32_t kBindingsMax = 8;
// Of more runs it would keep the engine from what others wait for.
constexpr size_t kRunsComparedMax = 1024;

// Whether one of the runs was another when the query was bound: restarted, discarded or deleted
// meanwhile, it would be read as it never was, by its old attempts and with its new rows.
bool have_changed(const Catalog& bound, const Catalog& now, std::span<const uint64_t> runs) {
    return runs.size() <= kRunsComparedMax && std::ranges::any_of(runs, [&](uint64_t id) {
               return bound.find_run(id) != now.find_run(id);
           });
}

}  // namespace

void QueryJob::bind(const std::shared_ptr<const Catalog>& catalog) {
    if (cancelled_) {
        return;
    }
    Result<Query> query = parse_query(asked_.text, asked_.parameters);
    if (!query) {
        return fail(query.error());
    }
    Result<BoundQuery> bound =
        bind_query(*std::move(query), catalog, shared_.known_runs, asked_.rights);
    if (!bound) {
        return fail(bound.error());
    }
    auto prepared = std::make_shared<PreparedQuery>();
    prepared->catalog = catalog;
    prepared->bound = *std::move(bound);
    prepared->memory = memory_;
    prepared->limits = shared_.limits.execution;
    prepared->cache = shared_.limits.cache;
    prepared->notes = describe_damage(shared_.engine.recovery());
    on_engine_side([this, prepared, runs = prepared->bound.run_ids()] {
        const std::shared_ptr<const Catalog> now = shared_.engine.catalog();
        if (now != prepared->catalog && bindings_ < kBindingsMax &&
            have_changed(*prepared->catalog, *now, runs)) {
            ++bindings_;
            return on_query_side([this, now] { bind(now); });
        }
        prepared->snapshot = shared_.engine.snapshot(runs);
        tell_store(shared_.engine, list_query_facts(shared_), *prepared);
        const uint64_t sequence = shared_.engine.sequence();
        on_query_side([this, prepared, sequence] { execute(std::move(*prepared), sequence); });
    });
}

void QueryJob::execute(PreparedQuery prepared, uint64_t sequence) {
    if (cancelled_) {
        return;
    }
    const std::shared_ptr<const Snapshot> snapshot = prepared.snapshot;
    auto query = SnapshotQuery::create(std::move(prepared), place_->files(), shared_.clock.now_us(),
                                       place_.get());
    const Result<bool> begins = receiver_->begins(*snapshot, sequence, query->execution());
    if (!begins) {
        return fail(begins.error());
    }
    if (!*begins) {
        has_ended_ = true;
        return;
    }
    {
        const std::lock_guard lock(query_mutex_);
        query_ = std::move(query);
        if (cancelled_) {  // since it was asked above
            query_->execution().cancel();
        }
    }
    is_busy_ = true;
    stepdb::start(query_->execution().prepare(), [self = shared_from_this()](const Status& done) {
        self->is_busy_ = false;
        self->take_prepared(done);
    });
}

void QueryJob::take_prepared(const Status& prepared) {
    if (cancelled_) {
        report_given_up();
        return release_later();
    }
    if (!prepared) {
        return stop_or_wait(prepared.error());
    }
    make_block();
}

void QueryJob::make_block() {
    if (!query_ || is_busy_ || has_ended_ || wanted_ == 0 || waits_for_memory()) {
        return;
    }
    is_busy_ = true;
    stepdb::start(query_->execution().next(block_),
                  [self = shared_from_this()](const Result<bool>& more) {
                      self->is_busy_ = false;
                      self->take_block(more);
                  });
}

void QueryJob::take_block(const Result<bool>& more) {
    if (cancelled_) {
        report_given_up();
        return release_later();
    }
    if (!more) {
        return stop_or_wait(more.error());
    }
    begin_answer();
    if (!*more) {
        return end();
    }
    --wanted_;
    rows_ += block_.rows();
    const Status taken = receiver_->takes(std::exchange(block_, ResultBlock()));
    if (!taken) {
        return fail(taken.error());
    }
    // Not at once: other queries have their turn.
    on_query_side([this] { make_block(); });
}

// With the first block, as who has answered nothing can begin anew.
void QueryJob::begin_answer() {
    if (!std::exchange(has_answered_, true)) {
        receiver_->prepared(query_->execution());
    }
}

void QueryJob::end() {
    report(QueryOutcome::kDone, "");
    receiver_->ended(query_->execution(), rows_);
    has_ended_ = true;
    release_later();
}

void QueryJob::stop_or_wait(const Error& error) {
    const bool is_short = memory_ != nullptr && memory_->wanted() > 0 &&
                          error.code() == ErrorCode::kResourceExhausted;
    // What is more than one query may have is not worth waiting for.
    if (is_short && !has_answered_ && memory_->wanted() <= memory_->bytes_max()) {
        return wait_for_memory(memory_->wanted());
    }
    fail(error);
}

// For twice as much as the last time at least, so that what grows bit by bit begins anew only a few
// times. Not at once, for a coroutine of the query may be on the stack.
void QueryJob::wait_for_memory(size_t bytes) {
    waited_bytes_ = std::min(std::max(bytes, 2 * waited_bytes_), memory_->bytes_max());
    waiting_since_us_ = microseconds_since(begun_).count();
    give_back_wanted();
    on_query_side([this, bytes = waited_bytes_] {
        release();
        if (cancelled_) {
            return;
        }
        shared_.memory_line.wait(memory_, bytes, [self = shared_from_this()] {
            self->on_query_side([self = self.get()] { self->begin_anew(); });
        });
        // Since it was asked above; who gives up looks for it in the line only once.
        if (cancelled_) {
            shared_.memory_line.leave(*memory_);
        }
    });
}

// Those who have the memory may be waiting for just this room.
void QueryJob::give_back_wanted() {
    if (wanted_ > 0 && receiver_->gives_back(static_cast<uint32_t>(wanted_))) {
        wanted_ = 0;
    }
}

void QueryJob::begin_anew() {
    memory_wait_us_ = memory_wait().count();
    waiting_since_us_ = -1;
    receiver_->resumes();
    memory_->set_wanted(0);
    begin();
}

void QueryJob::fail(Error error) {
    const std::vector<StoreDamage>& damage = shared_.engine.recovery().damage;
    if (error.code() == ErrorCode::kNotFound && !damage.empty()) {
        // The lines that show the place in the query stay below.
        const std::string& message = error.message();
        const size_t line = std::min(message.find('\n'), message.size());
        error = make_error(error.code(), "{}; the store is damaged and may have lost it: {}{}",
                           message.substr(0, line), damage.front().brief, message.substr(line));
    }
    report(QueryOutcome::kFailed, error.message());
    receiver_->failed(std::move(error));
    has_ended_ = true;
    release_later();
}

void QueryJob::report_given_up() {
    QueryOutcome outcome;
    std::string error;
    {
        const std::lock_guard lock(query_mutex_);
        outcome = why_given_up_;
        error = given_up_error_;
    }
    report(outcome, error);
}

// Once, with whatever ended it first.
void QueryJob::report(QueryOutcome outcome, const std::string& error) {
    if (std::exchange(is_reported_, true)) {
        return;
    }
    const QueryLimits& limits = shared_.limits;
    QueryReport report;
    report.duration = microseconds_since(begun_);
    const bool is_slow = limits.slow_min && report.duration >= *limits.slow_min;
    QueryCounts& counts = shared_.counts;
    counts.durations.add(report.duration.count());
    ++(outcome == QueryOutcome::kDone     ? counts.done
       : outcome == QueryOutcome::kFailed ? counts.failed
                                          : counts.cancelled);
    if (!is_slow) {
        return;
    }
    ++counts.slow;
    report.outcome = outcome;
    report.error = error;
    report.turn_wait = place_->turn_wait();
    report.memory_wait = memory_wait();
    report.memory_peak_bytes = memory_ == nullptr ? 0 : std::max(memory_peak_, memory_->reserved());
    report.rows = rows_;
    report.cost = query_ == nullptr ? cost_ : query_->execution().cost();
    limits.tell_slow(describe_query(report, asked_));
}

// Lets go of the snapshot and of memory.
void QueryJob::release() {
    std::unique_ptr<SnapshotQuery> gone;
    {
        const std::lock_guard lock(query_mutex_);
        gone = std::move(query_);
    }
    if (gone != nullptr) {
        cost_ = gone->execution().cost();
        gone.reset();
    }
    if (memory_ != nullptr) {
        memory_peak_ = std::max(memory_peak_, memory_->reserved());
        memory_->release();
        shared_.memory_line.look();
    }
}

// Not at once, for a coroutine of the query may be on the stack.
void QueryJob::release_later() {
    on_query_side([this] { release(); });
}

}  // namespace stepdb
