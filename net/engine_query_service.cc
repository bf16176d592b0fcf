#include "net/engine_query_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "engine/base/text.h"
#include "net/backup_request.h"
#include "net/query_job.h"
#include "net/watches.h"

namespace stepdb {

namespace {

// The net side's end of a query. It outlives the handle where answers are still on their way.
struct QueryOutlet {
    ResultSink* sink = nullptr;  // null once the query was given up; net side only
};

// Hands the answer to the sink of a query.
class SinkReceiver final : public AnswerReceiver {
  public:
    // `encoder` may be null.
    SinkReceiver(Executor& net_side, std::shared_ptr<QueryOutlet> outlet,
                 std::shared_ptr<AnswerEncoder> encoder)
        : net_side_(net_side), outlet_(std::move(outlet)), encoder_(std::move(encoder)) {}

    Result<bool> begins(const Snapshot&, uint64_t, QueryExecution&) override { return true; }
    void prepared(const QueryExecution& execution) override {
        if (encoder_ != nullptr) {
            return encoder_->begin(execution.columns());
        }
        on_net_side([columns = execution.columns()](ResultSink& sink) mutable {
            sink.on_columns(std::move(columns));
        });
    }
    Status takes(ResultBlock block) override {
        if (encoder_ != nullptr) {
            TRY_ASSIGN(EncodedPiece piece, encoder_->block(block));
            tell_piece(std::move(piece));
            return {};
        }
        on_net_side([block = std::move(block)](ResultSink& sink) mutable {
            sink.on_block(std::move(block));
        });
        return {};
    }
    bool gives_back(uint32_t wanted) override {
        on_net_side([wanted](ResultSink& sink) { sink.on_blocks_returned(wanted); });
        return true;
    }
    void resumes() override {
        on_net_side([](ResultSink& sink) { sink.on_resumed(); });
    }
    void ended(const QueryExecution& execution, uint64_t rows) override {
        QueryEnd end;
        end.rows = rows;
        end.notes = execution.notes();
        if (encoder_ != nullptr) {
            Result<EncodedPiece> last = encoder_->end(end);
            if (!last) {
                return failed(last.error());
            }
            tell_piece(*std::move(last));
        }
        on_net_side(
            [end = std::move(end)](ResultSink& sink) mutable { sink.on_end(std::move(end)); });
    }
    void failed(Error error) override {
        on_net_side([error = std::move(error)](ResultSink& sink) mutable {
            sink.on_error(std::move(error));
        });
    }

  private:
    void tell_piece(EncodedPiece piece) {
        // Shared, as what is posted is copied.
        auto shared = std::make_shared<EncodedPiece>(std::move(piece));
        on_net_side([shared = std::move(shared)](ResultSink& sink) {
            sink.on_encoded(std::move(*shared));
        });
    }

    // `deliver` gets the sink, unless the query was given up.
    template <typename Deliver>
    void on_net_side(Deliver deliver) {
        net_side_.post([outlet = outlet_, deliver = std::move(deliver)]() mutable {
            if (outlet->sink != nullptr) {
                deliver(*outlet->sink);
            }
        });
    }

    Executor& net_side_;
    const std::shared_ptr<QueryOutlet> outlet_;
    const std::shared_ptr<AnswerEncoder> encoder_;
};

}  // namespace

class EngineQueryService::Handle : public RunningQuery {
  public:
    Handle(EngineQueryService& service, std::shared_ptr<QueryJob> job,
           std::shared_ptr<QueryOutlet> outlet)
        : service_(service), job_(std::move(job)), outlet_(std::move(outlet)) {
        service_.running_.emplace(serial_, this);
    }
    ~Handle() override {
        service_.running_.erase(serial_);
        outlet_->sink = nullptr;
        job_->give_up(has_client_gone_ ? QueryOutcome::kClientGone : QueryOutcome::kCancelled);
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    void want(uint32_t blocks) override { job_->want(blocks); }
    void note_client_gone() override { has_client_gone_ = true; }

    std::chrono::steady_clock::time_point begun() const { return begun_; }
    std::chrono::microseconds memory_wait() const { return job_->memory_wait(); }
    bool waits_for_memory() const { return job_->waits_for_memory(); }
    // How long it has been under way without waiting for memory.
    std::chrono::steady_clock::duration computed(std::chrono::steady_clock::time_point now) const {
        return now - begun_ - job_->memory_wait();
    }
    // Ends the query with an error. Its sink may destroy the handle meanwhile.
    void expire(Error error) {
        service_.running_.erase(serial_);
        job_->give_up(QueryOutcome::kFailed, error.message());
        if (ResultSink* sink = std::exchange(outlet_->sink, nullptr)) {
            sink->on_error(std::move(error));
        }
    }

  private:
    EngineQueryService& service_;
    const uint64_t serial_ = ++service_.started_;
    const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    std::shared_ptr<QueryJob> job_;
    std::shared_ptr<QueryOutlet> outlet_;
    bool has_client_gone_ = false;
};

namespace {

double in_seconds(std::chrono::microseconds time) {
    return std::chrono::duration<double>(time).count();
}

Error describe_overtime(std::chrono::microseconds time_max, std::chrono::microseconds waited) {
    const std::string of_that =
        waited.count() == 0
            ? std::string()
            : fmt::format(", and for {:.1f} s of that waited for memory that other queries had",
                          in_seconds(waited));
    return make_error(ErrorCode::kResourceExhausted,
                      "the query has taken longer than {:g} s, the limit{}; ask for less at a "
                      "time, or start the server with a longer --query-time",
                      in_seconds(time_max), of_that);
}

}  // namespace

EngineQueryService::EngineQueryService(Engine& engine, const QueryEnvironment& environment,
                                       QueryLimits limits)
    : shared_(std::make_unique<QueryShared>(engine, environment, std::move(limits))),
      watches_(std::make_unique<Watches>(*shared_)) {}

EngineQueryService::~EngineQueryService() = default;

std::unique_ptr<RunningQuery> EngineQueryService::start(QueryText query, ResultSink& sink) {
    auto outlet = std::make_shared<QueryOutlet>();
    outlet->sink = &sink;
    auto encoder = sink.encoder();
    if (encoder != nullptr) {
        encoder->use_memory(shared_->make_memory());
    }
    auto job = std::make_shared<QueryJob>(
        *shared_, std::move(query),
        std::make_unique<SinkReceiver>(shared_->net_side, outlet, std::move(encoder)),
        sink.asker());
    job->begin();
    return std::make_unique<Handle>(*this, std::move(job), std::move(outlet));
}

std::unique_ptr<RunningWatch> EngineQueryService::watch(QueryText query, UpdateSink& sink) {
    return watches_->start(std::move(query), sink);
}

std::unique_ptr<RunningQuery> EngineQueryService::backup(std::string directory, ResultSink& sink) {
    return start_backup(shared_->engine, shared_->engine_side, shared_->net_side,
                        std::move(directory), sink);
}

std::shared_ptr<MemoryBudget> EngineQueryService::make_memory() const {
    return shared_->make_memory();
}

QueryFigures EngineQueryService::figures() const {
    QueryFigures figures;
    figures.facts = list_query_facts(*shared_);
    figures.durations = shared_->counts.durations.read();
    figures.watches = watches_->count();
    figures.watchers = watches_->watchers();
    return figures;
}

// Whoever waits is told before a person would have given up.
void EngineQueryService::expire_waiting() {
    const auto waited_long = [this](const auto& running) {
        const Handle& query = *running.second;
        return query.waits_for_memory() && query.memory_wait() > shared_->limits.memory_wait_max;
    };
    // An expiring query may end others with it.
    for (auto late = std::ranges::find_if(running_, waited_long); late != running_.end();
         late = std::ranges::find_if(running_, waited_long)) {
        Handle& query = *late->second;
        query.expire(make_error(ErrorCode::kResourceExhausted,
                                "the query has waited {:.1f} s for memory, and others still have "
                                "the {} that queries share; ask again later, read answers faster, "
                                "or start the server with more --memory",
                                in_seconds(query.memory_wait()),
                                format_size(shared_->limits.memory->bytes_max())));
    }
}

void EngineQueryService::tick() {
    watches_->tick();
    // Answers that were watched give memory back without telling.
    shared_->memory_line.look();
    const QueryLimits& limits = shared_->limits;
    const auto now = std::chrono::steady_clock::now();
    while (!running_.empty() && now - running_.begin()->second->begun() > limits.time_max) {
        Handle& oldest = *running_.begin()->second;
        oldest.expire(describe_overtime(limits.time_max, oldest.memory_wait()));
    }
    expire_waiting();
    // Pinned memory is a matter only when rows have little other left, and a query that has just
    // begun is waited for.
    const StoreMemory& memory = shared_->engine.memory();
    const size_t pinned = memory.pinned();
    const bool is_short = memory.rows->used() > limits.rows_bytes_min;
    if (!is_short || pinned <= limits.pinned_bytes_max) {
        return;
    }
    // One that waits for memory has no snapshot.
    const auto oldest = std::ranges::find_if(
        running_, [](const auto& running) { return !running.second->waits_for_memory(); });
    if (oldest != running_.end() && oldest->second->computed(now) > limits.pinning_time_min) {
        oldest->second->expire(make_error(
            ErrorCode::kResourceExhausted,
            "queries under way keep {} of memory that newer rows need ({} are allowed), and this "
            "one is the oldest; read its answer faster, or ask for less at a time",
            format_size(pinned), format_size(limits.pinned_bytes_max)));
    }
}

}  // namespace stepdb
