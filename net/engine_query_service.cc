#include "net/engine_query_service.h"

#include <atomic>
#include <utility>

#include "engine/base/text.h"
#include "query/bind.h"
#include "query/parser.h"
#include "query/snapshot_query.h"

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

// The net side's end of a query. It outlives the job where answers are still on their way.
struct EngineQueryService::Outlet {
    ResultSink* sink = nullptr;  // null once the query was given up; net side only
};

// The engine's and query side's end. Its members belong to the query side, but for `cancelled_`.
class EngineQueryService::Job : public std::enable_shared_from_this<Job> {
  public:
    Job(EngineQueryService& service, QueryText asked, std::shared_ptr<Outlet> outlet)
        : service_(service), asked_(std::move(asked)), outlet_(std::move(outlet)) {
        service_.job_made();
    }
    ~Job() { service_.job_gone(); }
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

    // Any thread, once.
    void begin() {
        on_engine_side([this] {
            auto catalog = service_.engine_.catalog();
            on_query_side([this, catalog = std::move(catalog)] { bind(*catalog); });
        });
    }
    // Net side.
    void want(uint32_t blocks) {
        on_query_side([this, blocks] {
            wanted_ += blocks;
            make_block();
        });
    }
    // Net side: nobody waits for the answer any more.
    void give_up() {
        cancelled_ = true;
        on_query_side([this] {
            if (query_) {
                query_->execution().cancel();
            }
            if (!is_busy_) {
                query_.reset();
            }
        });
    }

  private:
    // Both keep the job alive until `work` has run.
    template <typename Work>
    void on_engine_side(Work work) {
        post(service_.environment_.engine_side, std::move(work));
    }
    template <typename Work>
    void on_query_side(Work work) {
        post(service_.environment_.query_side, std::move(work));
    }
    template <typename Work>
    void post(Executor& executor, Work work) {
        executor.post([self = shared_from_this(), work = std::move(work)] { work(); });
    }
    // `deliver` gets the sink, unless the query was given up. The job itself stays on its side.
    template <typename Deliver>
    void on_net_side(Deliver deliver) {
        service_.environment_.net_side.post(
            [outlet = outlet_, deliver = std::move(deliver)]() mutable {
                if (outlet->sink != nullptr) {
                    deliver(*outlet->sink);
                }
            });
    }

    void bind(const Catalog& catalog) {
        if (cancelled_) {
            return;
        }
        Result<Query> query = parse_query(asked_.text, asked_.parameters);
        if (!query) {
            return fail(query.error());
        }
        Result<BoundQuery> bound = bind_query(*std::move(query), catalog.runs());
        if (!bound) {
            return fail(bound.error());
        }
        auto prepared = std::make_shared<PreparedQuery>();
        prepared->bound = *std::move(bound);
        prepared->memory = service_.limits_.memory;
        prepared->cache = service_.limits_.cache;
        prepared->notes = describe_damage(service_.engine_.recovery());
        on_engine_side([this, prepared] {
            prepared->snapshot = service_.engine_.snapshot(prepared->bound.run_ids());
            tell_store(service_.engine_, *prepared);
            on_query_side([this, prepared] { execute(std::move(*prepared)); });
        });
    }

    void execute(PreparedQuery prepared) {
        if (cancelled_) {
            return;
        }
        const QueryEnvironment& environment = service_.environment_;
        query_ = SnapshotQuery::create(std::move(prepared), environment.file_system,
                                       environment.clock.now_us(), &environment.query_side);
        is_busy_ = true;
        stepdb::start(query_->execution().prepare(), [self = shared_from_this()](Status done) {
            self->is_busy_ = false;
            self->take_columns(done);
        });
    }

    void take_columns(const Status& prepared) {
        if (cancelled_) {
            return release_later();
        }
        if (!prepared) {
            return fail(prepared.error());
        }
        on_net_side([columns = query_->execution().columns()](ResultSink& sink) mutable {
            sink.on_columns(std::move(columns));
        });
        make_block();
    }

    void make_block() {
        if (!query_ || is_busy_ || has_ended_ || wanted_ == 0) {
            return;
        }
        is_busy_ = true;
        stepdb::start(query_->execution().next(block_),
                      [self = shared_from_this()](Result<bool> more) {
                          self->is_busy_ = false;
                          self->take_block(more);
                      });
    }

    void take_block(const Result<bool>& more) {
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
        on_net_side([block = std::exchange(block_, ResultBlock())](ResultSink& sink) mutable {
            sink.on_block(std::move(block));
        });
        // Not at once: other queries have their turn.
        on_query_side([this] { make_block(); });
    }

    void end() {
        QueryEnd end;
        end.rows = rows_;
        end.notes = query_->execution().notes();
        on_net_side(
            [end = std::move(end)](ResultSink& sink) mutable { sink.on_end(std::move(end)); });
        has_ended_ = true;
        release_later();
    }

    void fail(Error error) {
        const std::vector<StoreDamage>& damage = service_.engine_.recovery().damage;
        if (error.code() == ErrorCode::kNotFound && !damage.empty()) {
            // The lines that show the place in the query stay below.
            const std::string& message = error.message();
            const size_t line = std::min(message.find('\n'), message.size());
            error = make_error(error.code(), "{}; the store is damaged and may have lost it: {}{}",
                               message.substr(0, line), damage.front().brief, message.substr(line));
        }
        on_net_side([error = std::move(error)](ResultSink& sink) mutable {
            sink.on_error(std::move(error));
        });
        has_ended_ = true;
        release_later();
    }

    // Lets go of the snapshot. Not at once, for a coroutine of the query may be on the stack.
    void release_later() {
        on_query_side([this] { query_.reset(); });
    }

    EngineQueryService& service_;
    const QueryText asked_;
    const std::shared_ptr<Outlet> outlet_;
    std::atomic<bool> cancelled_{false};
    std::unique_ptr<SnapshotQuery> query_;
    ResultBlock block_;
    bool is_busy_ = false;  // a block is being made
    bool has_ended_ = false;
    uint64_t wanted_ = 0;
    uint64_t rows_ = 0;
};

class EngineQueryService::Handle : public RunningQuery {
  public:
    Handle(EngineQueryService& service, std::shared_ptr<Job> job, std::shared_ptr<Outlet> outlet)
        : service_(service), job_(std::move(job)), outlet_(std::move(outlet)) {
        service_.running_.emplace(serial_, this);
    }
    ~Handle() override {
        service_.running_.erase(serial_);
        outlet_->sink = nullptr;
        job_->give_up();
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    void want(uint32_t blocks) override { job_->want(blocks); }

    std::chrono::steady_clock::time_point begun() const { return begun_; }
    // Ends the query with an error. Its sink may destroy the handle meanwhile.
    void expire(Error error) {
        service_.running_.erase(serial_);
        job_->give_up();
        if (ResultSink* sink = std::exchange(outlet_->sink, nullptr)) {
            sink->on_error(std::move(error));
        }
    }

  private:
    EngineQueryService& service_;
    const uint64_t serial_ = ++service_.started_;
    const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    std::shared_ptr<Job> job_;
    std::shared_ptr<Outlet> outlet_;
};

EngineQueryService::~EngineQueryService() {
    std::unique_lock lock(mutex_);
    jobs_gone_.wait(lock, [this] { return jobs_ == 0; });
}

std::unique_ptr<RunningQuery> EngineQueryService::start(QueryText query, ResultSink& sink) {
    auto outlet = std::make_shared<Outlet>();
    outlet->sink = &sink;
    auto job = std::make_shared<Job>(*this, std::move(query), outlet);
    job->begin();
    return std::make_unique<Handle>(*this, std::move(job), std::move(outlet));
}

void EngineQueryService::tick() {
    const auto now = std::chrono::steady_clock::now();
    while (!running_.empty() && now - running_.begin()->second->begun() > limits_.time_max) {
        running_.begin()->second->expire(
            make_error(ErrorCode::kResourceExhausted,
                       "the query has taken longer than {} s, the limit; ask for less at a time",
                       std::chrono::duration_cast<std::chrono::seconds>(limits_.time_max).count()));
    }
    // Pinned memory is a matter only when rows have little other left, and a query that has just
    // begun is waited for.
    const StoreMemory& memory = engine_.memory();
    const size_t pinned = memory.pinned();
    const bool is_short = memory.rows->used() > limits_.rows_bytes_min;
    if (is_short && pinned > limits_.pinned_bytes_max && !running_.empty() &&
        now - running_.begin()->second->begun() > limits_.pinning_time_min) {
        running_.begin()->second->expire(make_error(
            ErrorCode::kResourceExhausted,
            "queries under way keep {} of memory that newer rows need ({} are allowed), and this "
            "one is the oldest; read its answer faster, or ask for less at a time",
            format_size(pinned), format_size(limits_.pinned_bytes_max)));
    }
}

void EngineQueryService::job_made() {
    const std::lock_guard lock(mutex_);
    ++jobs_;
}

void EngineQueryService::job_gone() {
    const std::lock_guard lock(mutex_);
    --jobs_;
    jobs_gone_.notify_all();
}

}  // namespace stepdb
