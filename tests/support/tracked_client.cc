#include "tests/support/tracked_client.h"

#include <algorithm>
#include <limits>

namespace stepdb {

namespace {

constexpr int64_t kRetentionUs = int64_t{3600} * 1'000'000;
constexpr int64_t kFirstTimeUs = 1'700'000'000'000'000;

std::shared_ptr<const Schema> make_schema(Axis axis, std::vector<std::string> metrics) {
    return std::make_shared<const Schema>(*Schema::create(axis, std::move(metrics)));
}

}  // namespace

TrackedClient::TrackedClient(SimStore& store, const Id128& writer, std::function<void()> pause)
    : store_(store),
      pause_(std::move(pause)),
      writer_(writer),
      stepped_(make_schema(Axis::kStepped, {"train/loss", "train/lr"})),
      timed_(make_schema(Axis::kTimed, {"gpu/power"})) {
    connect();
    changed_by_frame();
}

void TrackedClient::changed() {
    StoreView& view = views_.emplace_back();
    view.contents = model_.contents();
    view.facts = model_.facts();
}

void TrackedClient::changed_by_frame() {
    view_after_frames_.push_back(views_.size());
    changed();
}

// A run is there before the first change of it is.
void TrackedClient::open(const std::string& run) {
    if (!model_.has(run)) {
        model_.create(run);
        changed();
    }
}

void TrackedClient::send(const ModelChange& change) {
    if (has_ended()) {
        return;
    }
    open(change.run);
    model_.apply(change);
    changed_by_frame();
    writer_.send(change);
    pause_();
}

void TrackedClient::log(const std::string& run, int first, int count, uint32_t attempt) {
    ModelChange change;
    change.run = run;
    change.attempt = attempt;
    change.schema = stepped_;
    for (int step = first; step < first + count; ++step) {
        ModelRow& row = change.rows.emplace_back();
        row.step = step;
        row.time_us = kFirstTimeUs + static_cast<int64_t>(views_.size()) * 1000 + step;
        const double loss = static_cast<double>(step) / 4 + static_cast<double>(views_.size());
        row.values = {step % 7 == 5 ? std::numeric_limits<double>::quiet_NaN() : loss, 0.001};
        if (step % 5 == 4) {
            row.values[1].reset();
        }
    }
    send(change);
}

void TrackedClient::log_times(const std::string& run, int first, int count) {
    ModelChange change;
    change.run = run;
    change.schema = timed_;
    for (int i = first; i < first + count; ++i) {
        ModelRow& row = change.rows.emplace_back();
        row.time_us = kFirstTimeUs + int64_t{i} * 1'000'000;
        row.values = {300.0 + i};
    }
    send(change);
}

void TrackedClient::send_life(const std::string& run, const TestWriter::EncodeLife& encode) {
    changed_by_frame();
    writer_.send_life(run, encode);
    pause_();
}

void TrackedClient::fork(const std::string& run, const std::string& parent, double step) {
    if (has_ended()) {
        return;
    }
    settle();
    model_.fork(run, parent, step);
    changed();
    writer_.fork_run(run, parent, step);
    pause_();
}

void TrackedClient::restart(const std::string& run, uint32_t attempt, double step) {
    if (has_ended()) {
        return;
    }
    model_.restart(run, attempt, step);
    send_life(run, [attempt, step](uint32_t handle, uint64_t number) {
        RestartRunFrame restart;
        restart.handle = handle;
        restart.attempt = attempt;
        restart.step = step;
        return encode_restart_run_frame(restart, number);
    });
}

void TrackedClient::finish(const std::string& run, uint32_t attempt) {
    if (has_ended()) {
        return;
    }
    model_.finish(run, attempt, RunState::kFinished);
    send_life(run, [attempt](uint32_t handle, uint64_t number) {
        FinishRunFrame finish;
        finish.handle = handle;
        finish.attempt = attempt;
        finish.state = RunState::kFinished;
        return encode_finish_run_frame(finish, number);
    });
}

void TrackedClient::set_attributes(const std::string& run, int number) {
    if (has_ended()) {
        return;
    }
    using Kind = AttributeChange::Kind;
    SetAttributesFrame set;
    const AttributeValue values[] = {int64_t{number}, std::string("adam"),
                                     StringSet{fmt::format("tag-{}", number)}};
    set.changes.emplace_back(Kind::kSet, "config/layers", values[0]);
    set.changes.emplace_back(Kind::kSet, fmt::format("config/{}", number), values[1]);
    set.changes.emplace_back(Kind::kAddToSet, std::string(kTagsAttribute), values[2]);
    model_.set_attributes(run, set.changes);
    send_life(run, [&set](uint32_t handle, uint64_t frame_number) {
        set.handle = handle;
        return encode_set_attributes_frame(set, frame_number);
    });
}

void TrackedClient::discard(const std::string& run, uint32_t attempt) {
    if (has_ended()) {
        return;
    }
    model_.discard(run, attempt);
    send_life(run, [attempt](uint32_t handle, uint64_t number) {
        DiscardAttemptFrame discard;
        discard.handle = handle;
        discard.attempt = attempt;
        return encode_discard_attempt_frame(discard, number);
    });
}

void TrackedClient::delete_metrics(const std::string& run,
                                   const std::vector<std::string>& metrics) {
    if (has_ended()) {
        return;
    }
    DeleteMetricsFrame deleted;
    deleted.metrics = metrics;
    model_.delete_metrics(run, deleted.metrics);
    send_life(run, [&deleted](uint32_t handle, uint64_t number) {
        deleted.handle = handle;
        return encode_delete_metrics_frame(deleted, number);
    });
}

void TrackedClient::delete_run(const std::string& run) {
    if (has_ended()) {
        return;
    }
    model_.delete_run(run);
    send_life(run, encode_delete_run_frame);
    if (tried_) {
        tried_->deleted = run;
        return;
    }
    settle();
    writer_.forget_run(run);
}

// Here, for within the class clang does not yet know what its members begin with.
TrackedClient::Tried::Tried() = default;

void TrackedClient::begin_try() {
    CHECK(!tried_ && writer_.acknowledged() == writer_.sent(), "a change is under way");
    Tried& tried = tried_.emplace();
    tried.model = model_;
    tried.views = views_.size();
    tried.frames = writer_.sent();
    tried.changes_refused = writer_.changes_refused();
}

TrackedClient::Try TrackedClient::end_try() {
    if (writer_.changes_refused() == tried_->changes_refused) {
        if (writer_.acknowledged() != writer_.sent()) {
            return Try::kWaits;
        }
        if (!tried_->deleted.empty()) {
            writer_.forget_run(tried_->deleted);
        }
        tried_.reset();
        return Try::kTaken;
    }
    model_ = std::move(tried_->model);
    views_.resize(tried_->views);
    view_after_frames_.resize(tried_->frames + 1);
    view_after_frames_.resize(writer_.sent() + 1, views_.size() - 1);
    writer_.give_up();
    tried_.reset();
    return Try::kRefused;
}

void TrackedClient::expire(const std::string& project) {
    if (has_ended()) {
        return;
    }
    settle();
    SetRetentionFrame set;
    set.project = project;
    set.age_us = kRetentionUs;
    writer_.submit(encode_set_retention_frame(set));
    store_.run();
    // Forks before what they were forked from.
    const std::vector<std::string> runs = model_.runs();
    for (auto left = runs.size(); left > 0; --left) {
        const auto run = std::ranges::find_if(runs, [&](const std::string& each) {
            return each.starts_with(project + "/") && model_.has(each) &&
                   model_.forks_of(each).empty();
        });
        if (run == runs.end()) {
            break;
        }
        model_.delete_run(*run);
        changed();
    }
    writer_.forget_project(project);  // of which some may have been opened and never written to
    store_.clock().advance(kRetentionUs + 1);
    store_.engine().tick();
    store_.run();
    set.age_us = 0;  // those that come later stay
    writer_.submit(encode_set_retention_frame(set));
    store_.run();
}

void TrackedClient::flush(const std::function<void()>& meanwhile) {
    settle();
    do_beside(store_.engine().flush(), meanwhile);
}

void TrackedClient::compact(const std::function<void()>& meanwhile) {
    settle();
    const uint64_t before = store_.engine().stats().merges;
    do_beside(store_.engine().compact(), meanwhile);
    CHECK(expects_failures_ || store_.engine().stats().merges > before,
          "there was nothing to merge");
}

namespace {

Task<Status> make_backup(Engine* engine) {
    BackupOptions options;
    options.directory = kBackupsDirectory;
    const Result<BackupReport> report = co_await engine->backup(std::move(options));
    co_return report ? Status() : Status(report.error());
}

}  // namespace

void TrackedClient::back_up(const std::function<void()>& meanwhile) {
    settle();
    const size_t begun = acknowledged();
    if (do_beside(make_backup(&store_.engine()), meanwhile)) {
        backed_up_ = begun;
    }
}

// Whether it has ended well.
bool TrackedClient::do_beside(Task<Status> task, const std::function<void()>& meanwhile) {
    std::optional<Status> ended;
    start(std::move(task), [&ended](Status status) { ended = std::move(status); });
    if (meanwhile) {
        pause_();
        meanwhile();
    }
    while (!ended) {
        CHECK(store_.executor().run_one(), "the store is idle and its work has not ended");
    }
    CHECK(expects_failures_ || *ended, "{}", ended->error().to_string());
    return ended->has_value();
}

void TrackedClient::settle() {
    store_.run();
    CHECK(expects_failures_ || writer_.acknowledged() + 1 == view_after_frames_.size(),
          "{} of {} frames acknowledged", writer_.acknowledged(), view_after_frames_.size() - 1);
}

}  // namespace stepdb
