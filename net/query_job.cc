#include "net/query_job.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

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

}  // namespace

QueryJob::QueryJob(QueryShared& shared, QueryText asked, std::unique_ptr<AnswerReceiver> receiver,
                   TurnQueue::Asker asker)
    : shared_(shared),
      place_(shared.sides.take_place(asker)),
      asked_(std::move(asked)),
      receiver_(std::move(receiver)) {}

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
        make_block();
    });
}

void QueryJob::give_up() {
    cancelled_ = true;
    {
        const std::lock_guard lock(query_mutex_);
        if (query_) {
            query_->execution().cancel();
        }
    }
    on_query_side([this] {
        if (!is_busy_) {
            release();
        }
    });
}

// --- Query side ---

void QueryJob::bind(const std::shared_ptr<const Catalog>& catalog) {
    if (cancelled_) {
        return;
    }
    Result<Query> query = parse_query(asked_.text, asked_.parameters);
    if (!query) {
        return fail(query.error());
    }
    Result<BoundQuery> bound = bind_query(*std::move(query), catalog->runs());
    if (!bound) {
        return fail(bound.error());
    }
    auto prepared = std::make_shared<PreparedQuery>();
    prepared->catalog = catalog;
    prepared->bound = *std::move(bound);
    prepared->memory = shared_.limits.memory;
    prepared->cache = shared_.limits.cache;
    prepared->notes = describe_damage(shared_.engine.recovery());
    on_engine_side([this, prepared, runs = prepared->bound.run_ids()] {
        prepared->snapshot = shared_.engine.snapshot(runs);
        tell_store(shared_.engine, *prepared);
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
        self->take_columns(done);
    });
}

void QueryJob::take_columns(const Status& prepared) {
    if (cancelled_) {
        return release_later();
    }
    if (!prepared) {
        return fail(prepared.error());
    }
    receiver_->prepared(query_->execution());
    make_block();
}

void QueryJob::make_block() {
    if (!query_ || is_busy_ || has_ended_ || wanted_ == 0) {
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
        return release_later();
    }
    if (!more) {
        return fail(more.error());
    }
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

void QueryJob::end() {
    receiver_->ended(query_->execution(), rows_);
    has_ended_ = true;
    release_later();
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
    receiver_->failed(std::move(error));
    has_ended_ = true;
    release_later();
}

// Lets go of the snapshot.
void QueryJob::release() {
    std::unique_ptr<SnapshotQuery> gone;
    const std::lock_guard lock(query_mutex_);
    gone = std::move(query_);
}

// Not at once, for a coroutine of the query may be on the stack.
void QueryJob::release_later() {
    on_query_side([this] { release(); });
}

}  // namespace stepdb
