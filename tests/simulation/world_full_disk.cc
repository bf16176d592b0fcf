// A disk that is full for a while. What is not taken is refused, reading goes on, deletes are taken
// as long as their reserve is there, nothing that was acknowledged is lost by crashes either, and
// with room again everything goes on by itself.
#include <limits>

#include "engine/disk_reserve.h"
#include "tests/simulation/world.h"

namespace stepdb {

void World::fill_the_disk() {
    settle();
    if (is_wrong()) {
        return;
    }
    ++counts_.full_disks;
    is_full_ = true;
    const uint64_t left = random_.below(3 * options_.log_file_bytes);
    disk_.set_capacity(disk_.used_bytes() + left);
    tell(fmt::format("a disk with room for {} bytes", left));
    for (uint64_t turns = 3 + random_.below(30); turns > 0 && !is_wrong() && is_full_; --turns) {
        Client& client = any_client();
        switch (random_.below(12)) {
            case 0:
                merge_or_flush();
                break;
            case 1:
                let_time_pass();
                break;
            case 2:
                check("on a full disk");
                break;
            case 3:
                try_to_delete(client);
                break;
            case 4:
                crash_on_a_full_disk();
                break;
            default:
                try_something(client);
                break;
        }
        store_.run();
        for (Client& each : clients_) {
            end_try(each);
        }
        if (!is_wrong() && store_.engine().read_only_reason()) {
            fail("a full disk has ended writing: " +
                 store_.engine().read_only_reason()->to_string());
        }
    }
    if (!is_wrong()) {
        make_room();
    }
}

// What waits for room may have come to the log or not, and on a disk that is still full a refusal
// of the run would not tell; so there is room again then.
void World::crash_on_a_full_disk() {
    for (const Client& client : clients_) {
        is_full_ = is_full_ && !client.changes->is_trying();
    }
    if (!is_full_) {
        disk_.set_capacity(std::numeric_limits<uint64_t>::max());
    }
    crash_now();
}

void World::try_something(Client& client) {
    if (client.changes->is_trying()) {
        return;
    }
    client.changes->begin_try();
    if (random_.below(4) == 0) {
        change_life(client);
    } else {
        send(client);
    }
}

// By a client that opens its runs anew, as the command does.
void World::try_to_delete(Client& client) {
    if (client.changes->is_trying()) {
        return;
    }
    std::vector<std::string> runs = client.changes->model().runs();
    std::erase_if(runs, [&](const std::string& run) {
        return !client.changes->model().forks_of(run).empty();
    });
    if (runs.empty()) {
        return;
    }
    const size_t refused = client.changes->writer().refusals().size();
    client.changes->connect();
    store_.run();
    // Runs could not be opened while it was in use, just now.
    const bool are_open = client.changes->writer().refusals().size() == refused;
    const std::optional<std::vector<std::byte>> reserve =
        disk_.contents(options_.directory + "/" + std::string(kReserveName));
    const bool is_sure = are_open && reserve && reserve->size() == options_.reserve_bytes;
    client.changes->begin_try();
    client.changes->delete_run(runs[random_.below(runs.size())]);
    store_.run();
    const TrackedClient::Try outcome = client.changes->end_try();
    tell(fmt::format("a delete{}", outcome == TrackedClient::Try::kTaken ? "" : " not taken"));
    if (outcome == TrackedClient::Try::kTaken) {
        counts_.full_deletes += is_sure ? 1U : 0U;
    } else if (is_sure) {
        fail("a full disk takes no delete, though there is a reserve for it: " +
             (outcome == TrackedClient::Try::kWaits
                  ? std::string("it waits")
                  : client.changes->writer().refusals().back().second.error.to_string()));
    }
}

void World::end_try(Client& client) {
    if (!client.changes->is_trying()) {
        return;
    }
    if (client.changes->end_try() != TrackedClient::Try::kRefused) {
        return;
    }
    ++counts_.refused;
    const Error& why = client.changes->writer().refusals().back().second.error;
    // Of a run that could not be opened rows are refused as such.
    if (why.code() != ErrorCode::kResourceExhausted &&
        why.code() != ErrorCode::kFailedPrecondition) {
        fail("on a full disk a change was refused otherwise: " + why.to_string());
    }
    client.changes->connect();  // what could not be opened and announced is tried again
}

void World::make_room() {
    tell("room");
    disk_.set_capacity(std::numeric_limits<uint64_t>::max());
    is_full_ = false;
    // Longer than anything waits that the disk had no room for.
    constexpr int64_t kRetryUs = 60'000'000;
    for (int ticks = 0; ticks < 4; ++ticks) {
        store_.clock().advance(kRetryUs);
        store_.engine().tick();
        store_.run();
    }
    for (Client& client : clients_) {
        end_try(client);
        client.refusals = client.changes->writer().refusals().size();
        if (client.changes->is_trying()) {
            fail("there is room again, and what waited for it waits still");
            return;
        }
        client.changes->connect();
    }
    settle();
}

}  // namespace stepdb
