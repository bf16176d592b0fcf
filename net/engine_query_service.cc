#include "net/engine_query_service.h"

#include <atomic>
#include <utility>

#include "query/bind.h"
#include "query/executor.h"
#include "query/parser.h"
#include "query/series_source.h"

namespace stepdb {

namespace {

// A snapshot as the source of an execution.
class SnapshotSource : public SeriesSource {
  public:
    // `reader` outlives the source.
    explicit SnapshotSource(SnapshotReader& reader) : reader_(reader) {}

    std::vector<MetricInfo> metrics(const Run& run, uint32_t attempt) const override;
    std::optional<Axis> find_metric(const Run& run, uint32_t attempt,
                                    std::string_view metric) const override;
    std::unique_ptr<SeriesCursor> open_series(const Run& run, uint32_t attempt,
                                              std::string_view metric, KeyRange range) override;
    Task<Result<std::optional<KeyRange>>> key_range(const Run& run, uint32_t attempt,
                                                    std::string_view metric) override;
    ReadCost cost() const override { return reader_.cost(); }

  private:
    SnapshotReader& reader_;
};

std::vector<MetricInfo> SnapshotSource::metrics(const Run& run, uint32_t attempt) const {
    return reader_.snapshot().metrics(run, attempt);
}

std::optional<Axis> SnapshotSource::find_metric(const Run& run, uint32_t attempt,
                                                std::string_view metric) const {
    for (const MetricInfo& info : metrics(run, attempt)) {
        if (info.name == metric) {
            return info.axis;
        }
    }
    return std::nullopt;
}

std::unique_ptr<SeriesCursor> SnapshotSource::open_series(const Run& run, uint32_t attempt,
                                                          std::string_view metric, KeyRange range) {
    return reader_.open_series(run, attempt, metric, range);
}

Task<Result<std::optional<KeyRange>>> SnapshotSource::key_range(const Run& run, uint32_t attempt,
                                                                std::string_view metric) {
    return reader_.key_range(run, attempt, metric);
}

}  // namespace

// The net side's end of a query. It outlives the job where answers are still on their way.
struct EngineQueryService::Outlet {
    ResultSink* sink = nullptr;  // null once the query was given up; net side only
};

// The engine's and query side's end. Its members belong to the query side, but for `cancelled_`.
class EngineQueryService::Job : public std::enable_shared_from_this<Job> {
  public:
    Job(EngineQueryService& service, std::string text, std::shared_ptr<Outlet> outlet)
        : service_(service), text_(std::move(text)), outlet_(std::move(outlet)) {
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
            if (execution_) {
                execution_->cancel();
            }
            if (!is_busy_) {
                release();
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
        Result<Query> query = parse_query(text_);
        if (!query) {
            return fail(query.error());
        }
        Result<BoundQuery> bound = bind_query(*std::move(query), catalog.runs());
        if (!bound) {
            return fail(bound.error());
        }
        on_engine_side([this, shared = std::make_shared<BoundQuery>(*std::move(bound))] {
            auto snapshot = service_.engine_.snapshot(shared->run_ids());
            on_query_side([this, shared, snapshot = std::move(snapshot)] {
                execute(std::move(*shared), snapshot);
            });
        });
    }

    void execute(BoundQuery bound, std::shared_ptr<const Snapshot> snapshot) {
        if (cancelled_) {
            return;
        }
        const QueryEnvironment& environment = service_.environment_;
        reader_ = std::make_unique<SnapshotReader>(environment.file_system, std::move(snapshot));
        source_ = std::make_unique<SnapshotSource>(*reader_);
        auto execution =
            QueryExecution::create(std::move(bound), *source_, environment.clock.now_us());
        if (!execution) {
            return fail(execution.error());
        }
        execution_ = *std::move(execution);
        on_net_side([columns = execution_->columns()](ResultSink& sink) mutable {
            sink.on_columns(std::move(columns));
        });
        make_block();
    }

    void make_block() {
        if (!execution_ || is_busy_ || has_ended_ || wanted_ == 0) {
            return;
        }
        is_busy_ = true;
        stepdb::start(execution_->next(block_), [self = shared_from_this()](Result<bool> more) {
            self->is_busy_ = false;
            self->take_block(more);
        });
    }

    void take_block(const Result<bool>& more) {
        if (cancelled_) {
            // The coroutine that reports here is still on the stack of the execution.
            return on_query_side([this] { release(); });
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
        end.notes = execution_->notes();
        on_net_side(
            [end = std::move(end)](ResultSink& sink) mutable { sink.on_end(std::move(end)); });
        has_ended_ = true;
        on_query_side([this] { release(); });
    }

    void fail(Error error) {
        on_net_side([error = std::move(error)](ResultSink& sink) mutable {
            sink.on_error(std::move(error));
        });
        has_ended_ = true;
        on_query_side([this] { release(); });
    }

    // Lets go of the snapshot, on the query side, as soon as nothing needs it.
    void release() {
        execution_.reset();
        source_.reset();
        reader_.reset();
    }

    EngineQueryService& service_;
    const std::string text_;
    const std::shared_ptr<Outlet> outlet_;
    std::atomic<bool> cancelled_{false};
    std::unique_ptr<SnapshotReader> reader_;
    std::unique_ptr<SnapshotSource> source_;
    std::unique_ptr<QueryExecution> execution_;
    ResultBlock block_;
    bool is_busy_ = false;  // a block is being made
    bool has_ended_ = false;
    uint64_t wanted_ = 0;
    uint64_t rows_ = 0;
};

class EngineQueryService::Handle : public RunningQuery {
  public:
    Handle(std::shared_ptr<Job> job, std::shared_ptr<Outlet> outlet)
        : job_(std::move(job)), outlet_(std::move(outlet)) {}
    ~Handle() override {
        outlet_->sink = nullptr;
        job_->give_up();
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    void want(uint32_t blocks) override { job_->want(blocks); }

  private:
    std::shared_ptr<Job> job_;
    std::shared_ptr<Outlet> outlet_;
};

EngineQueryService::~EngineQueryService() {
    std::unique_lock lock(mutex_);
    jobs_gone_.wait(lock, [this] { return jobs_ == 0; });
}

std::unique_ptr<RunningQuery> EngineQueryService::start(std::string text, ResultSink& sink) {
    auto outlet = std::make_shared<Outlet>();
    outlet->sink = &sink;
    auto job = std::make_shared<Job>(*this, std::move(text), outlet);
    job->begin();
    return std::make_unique<Handle>(std::move(job), std::move(outlet));
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
