#include "tests/simulation/world.h"

#include <algorithm>

namespace stepdb {

namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kHourUs = 3600 * kSecondUs;

// Files that fill up, tails that are sealed and manifests that are written anew after little or
// after much.
EngineOptions any_options(SimRandom& random) {
    EngineOptions options = SimStore::small_options();
    options.log_file_bytes = 8192U << random.below(4);
    options.log_live_bytes_max = 4 * options.log_file_bytes;
    options.log_group_bytes_max = static_cast<size_t>(options.log_file_bytes / 4);
    options.tail_rows_max = 4U << random.below(5);
    options.memory_blocks_bytes_max = 8192U << random.below(4);
    options.manifest_bytes_max = random.below(3) == 0 ? 1 : 8192;
    options.merge_automatically = random.coin();
    options.reserve_bytes = random.below(4) == 0 ? 0 : 2 * options.log_file_bytes;
    return options;
}

Id128 writer_of(uint64_t seed, uint64_t number) {
    return sha256_128(as_bytes(fmt::format("writer {} of {}", number, seed)));
}

}  // namespace

StoreView view_of_project(const StoreView& all, const std::string& project) {
    StoreView view;
    for (const auto& [series, points] : all.contents) {
        if (series.first.starts_with(project + "/")) {
            view.contents.insert({series, points});
        }
    }
    for (const auto& [run, facts] : all.facts) {
        ModelFacts blank;
        blank.attempts = {0};
        const auto at = view.contents.lower_bound({run, ""});
        const bool has_points = at != view.contents.end() && at->first.first == run;
        if (run.starts_with(project + "/") && (has_points || facts != blank)) {
            view.facts.insert({run, facts});
        }
    }
    return view;
}

void SimulationCounts::add(const SimulationCounts& other) {
    worlds += other.worlds;
    changes += other.changes;
    power_cuts += other.power_cuts;
    kills += other.kills;
    recovery_crashes += other.recovery_crashes;
    io_errors += other.io_errors;
    lost_connections += other.lost_connections;
    damages += other.damages;
    damages_told += other.damages_told;
    repairs += other.repairs;
    hours += other.hours;
    answers += other.answers;
    full_disks += other.full_disks;
    refused += other.refused;
    full_deletes += other.full_deletes;
    backups += other.backups;
    backups_failed += other.backups_failed;
    restores += other.restores;
}

std::string SimulationCounts::to_string() const {
    return fmt::format(
        "{} worlds, {} changes, {} hours simulated; {} crashes recovered from ({} power cuts, {} "
        "kills; {} more in a recovery); {} failed operations, {} lost connections, {} damaged "
        "files, of which {} were told and the others changed nothing, {} of these stores repaired; "
        "{} answers; {} full disks, which refused {} changes and took {} deletes; {} backups and "
        "{} cut short or failed, {} restored",
        worlds, changes, hours, recoveries(), power_cuts, kills, recovery_crashes, io_errors,
        lost_connections, damages, damages_told, repairs, answers, full_disks, refused,
        full_deletes, backups, backups_failed, restores);
}

World::World(uint64_t seed, const std::function<void(SimDisk&)>& breaks)
    : random_(seed),
      options_(any_options(random_)),
      store_(disk_, random_.next(), options_),
      has_network_(random_.coin()),
      workload_(random_, 2) {
    if (breaks) {
        breaks(disk_);
        verifies_ = false;  // it is the loss that has to be found
    }
    store_.set_sessions(
        [this](const Id128& writer, OutcomeSink& sink) {
            return network_ != nullptr ? network_->connect(writer, sink)
                                       : store_.engine().open_session(writer, sink);
        },
        [this] { network_.reset(); });
    store_.read_points_alone(random_.below(4) != 0);
    begin_life();
    if (is_wrong()) {
        return;
    }
    const uint64_t clients = 1 + random_.below(3);
    for (uint64_t i = 0; i < clients; ++i) {
        Client& client = clients_.emplace_back();
        client.project = fmt::format("project-{}", i);
        client.changes =
            std::make_unique<TrackedClient>(store_, writer_of(seed, i), [this] { pause(); });
    }
}

World::~World() {
    clients_.clear();
    network_.reset();
    store_.set_sessions({}, {});
}

void World::fail(std::string what) {
    if (problem_.empty()) {
        problem_ = fmt::format("{}\nwhat happened: {}", what, story_);
    }
}

void World::tell(std::string_view event) {
    story_ += story_.empty() ? "" : ", ";
    story_ += event;
}

std::string World::run() {
    const int64_t began_us = store_.clock().now_us();
    for (uint64_t left = 10 + random_.below(50); left > 0 && !is_wrong(); --left) {
        step();
    }
    if (!is_wrong()) {
        settle();
    }
    if (!is_wrong()) {
        crash(random_.coin() ? CrashKind::kPowerCut : CrashKind::kProcessKill);
        recover();
    }
    if (!is_wrong()) {
        settle();
        check("at the end");
    }
    if (!is_wrong() && has_backup_) {
        restore();
    }
    counts_.worlds = 1;
    counts_.hours = static_cast<uint64_t>((store_.clock().now_us() - began_us) / kHourUs);
    for (const Client& client : clients_) {
        counts_.changes += client.changes->writer().sent();
    }
    return problem_;
}

void World::step() {
    look_at_answers();
    switch (random_.below(25)) {
        case 0:
        case 1:
        case 2:
        case 3:
            return change_life();
        case 4:
        case 5:
            return merge_or_flush();
        case 6:
            return lose_connections();
        case 7:
            return let_time_pass();
        case 8:
            return fail_an_operation();
        case 9:
            return crash_now();
        case 10:
        case 11:
            return crash_at_an_operation();
        case 12:
            return reopen();
        case 13:
            return damage_a_file();
        case 14:
            return check("in between");
        case 15:
            return step_rarely();
        case 16:
        case 17:
            return ask();
        default:
            return send();
    }
}

// What takes long to play.
void World::step_rarely() {
    switch (random_.below(3)) {
        case 0:
            return fill_the_disk();
        case 1:
            return back_up();
        default:
            return;
    }
}

void World::pause() {
    for (uint64_t turns = random_.below(12); turns > 0; --turns) {
        store_.executor().run_one();
    }
}

void World::send() {
    send(any_client());
}

void World::send(Client& client) {
    const std::vector<std::string> runs = client.changes->model().runs();
    ModelChange change = workload_.next();
    change.run = random_.below(3) == 0 && !runs.empty()
                     ? runs[random_.below(runs.size())]
                     : fmt::format("{}/run-{}", client.project, random_.below(2));
    if (client.changes->model().has(change.run)) {
        const std::vector<uint32_t> attempts =
            client.changes->model().facts().at(change.run).attempts;
        change.attempt =
            random_.coin() ? attempts.back() : attempts[random_.below(attempts.size())];
    }
    client.changes->send(change);
}

void World::send_some(uint64_t changes) {
    for (; changes > 0; --changes) {
        send();
    }
}

// Changes of a run's life that may be under way when the next one is sent.
void World::change_life() {
    change_life(any_client());
}

void World::change_life(Client& client) {
    const std::vector<std::string> runs = client.changes->model().runs();
    if (runs.empty()) {
        return send(client);
    }
    const std::string& run = runs[random_.below(runs.size())];
    const ModelFacts facts = client.changes->model().facts().at(run);
    const uint32_t newest = facts.attempts.back();
    switch (random_.below(is_full_ ? 5 : 6)) {
        case 0:
            return client.changes->restart(run, newest + 1, static_cast<double>(random_.below(60)));
        case 1:
            return client.changes->finish(run, newest);
        case 2:
            return client.changes->set_attributes(run, static_cast<int>(random_.below(5)));
        case 3:
            if (facts.attempts.front() != newest) {
                client.changes->discard(run, facts.attempts.front());
            }
            return;
        case 4:
            if (client.changes->model().forks_of(run).empty()) {
                client.changes->delete_metrics(
                    run, {"gpu/0", fmt::format("layers/{}", random_.below(9))});
            }
            return;
        default:
            return change_settled_life(client, run);
    }
}

// Those for which a client waits until what it sent before is acknowledged.
void World::change_settled_life(Client& client, const std::string& run) {
    settle();
    if (is_wrong()) {
        return;
    }
    switch (random_.below(5)) {
        case 0:
            if (client.changes->model().forks_of(run).empty()) {
                client.changes->delete_run(run);
            }
            return;
        case 1:
            return client.changes->expire(client.project);
        default:
            client.changes->fork(fmt::format("{}/fork-{}", client.project, client.forks++), run,
                                 static_cast<double>(random_.below(60)));
            return settle();
    }
}

void World::merge_or_flush() {
    const auto ignored = [](const Status&) {};  // a failure shows in what is there
    const bool is_flush = random_.coin();
    tell(is_flush ? "flush" : "merge");
    start(is_flush ? store_.engine().flush() : store_.engine().compact(), ignored);
    if (random_.coin() && !is_full_) {
        send_some(random_.below(4));
    } else {
        store_.run();
    }
}

void World::lose_connections() {
    tell("connections lost");
    ++counts_.lost_connections;
    if (network_ != nullptr) {
        network_->cut(random_.coin());
    }
    for (Client& client : clients_) {
        client.changes->disconnect();
    }
    pause();
    connect();
}

void World::let_time_pass() {
    tell("time passes");
    store_.clock().advance(static_cast<int64_t>(random_.below(static_cast<uint64_t>(kHourUs))));
    for (int ticks = 0; ticks < 3; ++ticks) {
        store_.clock().advance(kSecondUs * 3);
        store_.engine().tick();
        pause();
    }
    if (network_ != nullptr && random_.coin()) {
        network_->forget_half_open();
    }
}

void World::reopen() {
    tell("reopened");
    settle();
    if (is_wrong()) {
        return;
    }
    for (Client& client : clients_) {
        client.changes->disconnect();
    }
    network_.reset();
    look_at_answers();
    const Status closed = store_.close();
    if (!closed) {
        return fail("close: " + closed.error().to_string());
    }
    begin_life();
    if (!is_wrong()) {
        check("after closing");
        connect();
    }
}

void World::begin_life() {
    const Status opened = store_.open();
    if (!opened) {
        return fail("open: " + opened.error().to_string());
    }
    const std::vector<StoreDamage>& damage = store_.engine().recovery().damage;
    if (!damage.empty()) {
        fail("opened with damage: " + damage.front().what);
    }
    if (has_network_) {
        network_ = std::make_unique<SimNetwork>(store_, random_);
    }
}

void World::connect() {
    for (Client& client : clients_) {
        client.changes->connect();
    }
}

void World::settle() {
    store_.run();
    for (const Client& client : clients_) {
        const TestWriter& writer = client.changes->writer();
        if (writer.acknowledged() != writer.sent()) {
            fail(fmt::format("{} of {} changes of {} are acknowledged, and nothing goes on; {}",
                             writer.acknowledged(), writer.sent(), client.project,
                             writer.refusals().empty()
                                 ? std::string("nothing was refused")
                                 : writer.refusals().back().second.error.to_string()));
        }
        for (size_t i = client.refusals; i < writer.refusals().size(); ++i) {
            const Refusal& refusal = writer.refusals()[i].second;
            if (refusal.error.code() != ErrorCode::kUnavailable) {
                fail(fmt::format("{} was refused: {}", client.project, refusal.error.to_string()));
            }
        }
    }
}

std::optional<StoreView> World::look(std::string_view when) {
    StoreView there;
    there.facts = store_.facts();  // of the moment of the snapshot that is read next
    Result<ReferenceModel::Contents> contents = store_.contents();
    if (!contents) {
        fail(fmt::format("{}: {}", when, contents.error().to_string()));
        return std::nullopt;
    }
    there.contents = *std::move(contents);
    return there;
}

void World::check(std::string_view when) {
    // Before the reading: more may be acknowledged while it goes on.
    for (Client& client : clients_) {
        client.shown = std::max(client.shown, client.changes->acknowledged());
    }
    const std::optional<StoreView> there = look(when);
    for (Client& client : clients_) {
        if (!is_wrong()) {
            check_client(client, *there, when);
        }
    }
    if (!is_wrong() && verifies_ && !store_.files().powered_off()) {
        const std::string found = store_.verify();
        if (!found.empty()) {
            fail(fmt::format("{}: verify: {}", when, found));
        }
    }
}

// Which of the views between these, both included, is there.
std::optional<size_t> World::find_view(const Client& client, const StoreView& there, size_t first,
                                       size_t last) const {
    const StoreView mine = view_of_project(there, client.project);
    const std::vector<StoreView>& views = client.changes->views();
    for (size_t i = first; i < views.size() && i <= last; ++i) {
        if (views[i].contents == mine.contents &&
            view_of_project(views[i], client.project).facts == mine.facts) {
            return i;
        }
    }
    return std::nullopt;
}

void World::check_client(Client& client, const StoreView& there, std::string_view when) {
    const std::vector<StoreView>& views = client.changes->views();
    if (const auto view = find_view(client, there, client.shown, views.size())) {
        client.shown = *view;
        return;
    }
    const StoreView mine = view_of_project(there, client.project);
    const std::optional<size_t> earlier = find_view(client, there, 0, client.shown);
    const StoreView want = view_of_project(views[client.shown], client.project);
    fail(fmt::format(
        "{}: {} is {}, not as after one of its changes from {} to {}: {} {}", when, client.project,
        earlier ? fmt::format("as after change {}", *earlier) : std::string("as it never was"),
        client.shown, views.size() - 1, describe_difference(want.contents, mine.contents),
        describe_difference(want.facts, mine.facts)));
}

}  // namespace stepdb
