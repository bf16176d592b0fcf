#include "tests/query/engine_store.h"

#include "engine/model/life_frame.h"
#include "query/parser.h"
#include "query/snapshot_query.h"

namespace stepdb {

namespace {

constexpr size_t kRowsOfAFrame = 100;

}  // namespace

EngineStore::EngineStore(Reopening reopening, EngineOptions options)
    : store_(disk_, 1, std::move(options)), reopening_(reopening) {
    const Status opened = store_.open();
    CHECK(opened.has_value(), "{}", opened.error().to_string());
    Id128 id;
    id.bytes[0] = std::byte{1};
    writer_ = std::make_unique<TestWriter>(id);
    writer_->connect(store_);
}

EngineStore::~EngineStore() {
    writer_->disconnect();
    const Status closed = store_.close();
    CHECK(closed.has_value(), "{}", closed.error().to_string());
}

Status EngineStore::add_row(const ScriptRow& row) {
    std::vector<std::string> metrics;
    ModelRow model;
    model.step = row.step;
    model.time_us = row.time_us;
    for (const auto& [metric, value] : row.values) {
        metrics.push_back(metric);
        model.values.emplace_back(value);
    }
    TRY_ASSIGN(Schema schema,
               Schema::create(row.step ? Axis::kStepped : Axis::kTimed, std::move(metrics)));
    const std::string run = row.project + "/" + row.run;
    const bool fits = pending_.schema != nullptr && pending_.run == run &&
                      pending_.attempt == row.attempt && pending_.schema->hash() == schema.hash() &&
                      pending_.rows.size() < kRowsOfAFrame;
    if (!fits) {
        send_pending();
        pending_.run = run;
        pending_.attempt = row.attempt;
        pending_.schema = std::make_shared<Schema>(std::move(schema));
    }
    pending_.rows.push_back(std::move(model));
    return {};
}

void EngineStore::send_pending() {
    if (!pending_.rows.empty()) {
        writer_->send(pending_);
        pending_.rows.clear();
    }
}

Status EngineStore::settle() {
    send_pending();
    store_.run();
    if (!writer_->refusals().empty()) {
        return writer_->refusals().front().second.error;
    }
    CHECK(writer_->acknowledged() == writer_->sent(), "{} of {} frames acknowledged",
          writer_->acknowledged(), writer_->sent());
    return {};
}

Status EngineStore::set_attributes(const std::string& project, const std::string& run,
                                   const std::vector<AttributeChange>& changes) {
    TRY(settle());
    writer_->send_life(project + "/" + run, [&](uint32_t handle, uint64_t number) {
        SetAttributesFrame frame;
        frame.handle = handle;
        frame.changes = changes;
        return encode_set_attributes_frame(frame, number);
    });
    return settle();
}

Status EngineStore::finish(const std::string& project, const std::string& run, RunState state) {
    TRY(settle());
    writer_->finish_run(project + "/" + run, state);
    return settle();
}

Status EngineStore::fork(const std::string& run, const std::string& parent, double step) {
    TRY(settle());
    writer_->fork_run(run, parent, step);
    return settle();
}

Status EngineStore::restart(const std::string& run, uint32_t attempt, std::optional<double> step) {
    TRY(settle());
    writer_->send_life(run, [&](uint32_t handle, uint64_t number) {
        RestartRunFrame frame;
        frame.handle = handle;
        frame.attempt = attempt;
        frame.step = step;
        return encode_restart_run_frame(frame, number);
    });
    return settle();
}

Status EngineStore::flush() {
    TRY(settle());
    return store_.flush();
}

Status EngineStore::reopen() {
    TRY(settle());
    writer_->disconnect();
    if (reopening_ == Reopening::kCrash) {
        store_.crash(CrashKind::kPowerCut);
    } else {
        TRY(store_.close());
    }
    TRY(store_.open());
    writer_->connect(store_);
    return {};
}

Result<AnswerLines> EngineStore::ask(const QueryText& asked, int64_t now_us) {
    TRY(settle());
    if (reopening_ == Reopening::kMerge) {
        TRY(store_.flush());
        TRY(store_.compact());
    }
    TRY_ASSIGN(Query parsed, parse_query(asked.text, asked.parameters));
    TRY_ASSIGN(PreparedQuery prepared, prepare_query(std::move(parsed), store_.engine(), &known_));
    const auto running =
        SnapshotQuery::create(std::move(prepared), store_.files(), now_us, &store_.executor());
    return run_task(store_.executor(), collect_lines(running->execution()));
}

}  // namespace stepdb
