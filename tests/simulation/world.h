// A store and its clients from one seed: a server that is closed, killed and cut from power, a disk
// that loses what was not synced, fails and is damaged, connections that are cut, time that passes;
// and after each of these what must be there. Every choice is the seed's, so a seed repeats it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/sim_network.h"
#include "tests/support/tracked_client.h"
#include "tests/support/workload.h"

namespace stepdb {

struct SimulationCounts {
    uint64_t worlds = 0;
    uint64_t changes = 0;     // sent by clients
    uint64_t power_cuts = 0;  // each followed by a recovery that is checked, as kills are
    uint64_t kills = 0;
    uint64_t recovery_crashes = 0;  // of these, in a recovery
    uint64_t io_errors = 0;         // operations that failed
    uint64_t lost_connections = 0;
    uint64_t damages = 0;       // of files, each followed by an opening
    uint64_t damages_told = 0;  // of these, found by the opening, a read or verify
    uint64_t hours = 0;         // simulated

    uint64_t recoveries() const { return power_cuts + kills; }
    void add(const SimulationCounts& other);
    std::string to_string() const;
};

class World {
  public:
    // `breaks` breaks something on purpose, of the disk.
    explicit World(uint64_t seed, const std::function<void(SimDisk&)>& breaks = {});
    ~World();

    // What is wrong, in words; "" if nothing is.
    std::string run();
    const SimulationCounts& counts() const { return counts_; }

  private:
    struct Client {
        std::unique_ptr<TrackedClient> changes;
        std::string project;
        size_t shown = 0;  // a reader has seen what is there after so many changes
        uint64_t forks = 0;
    };

    // What may happen.
    void step();
    void send();
    void change_life();
    void change_settled_life(Client& client, const std::string& run);
    void merge_or_flush();
    void lose_connections();
    void let_time_pass();
    void fail_an_operation();
    void crash_now();
    void crash_at_an_operation();
    void reopen();
    void damage_a_file();

    // Ends this life of the server, and begins the next.
    void crash(CrashKind kind);
    void recover();
    void begin_life();
    void connect();
    void settle();
    void send_some(uint64_t changes);
    void pause();

    void check(std::string_view when);
    void check_client(Client& client, const StoreView& there, std::string_view when);
    void look_at_damaged(const std::string& file, std::string_view what);
    std::optional<StoreView> look(std::string_view when);
    void fail(std::string what);
    void tell(std::string_view event);
    bool is_wrong() const { return !problem_.empty(); }
    Client& any_client() { return clients_[random_.below(clients_.size())]; }

    SimRandom random_;
    SimDisk disk_;
    SimStore store_;
    bool has_network_;
    bool verifies_ = true;
    std::unique_ptr<SimNetwork> network_;
    std::vector<Client> clients_;
    Workload workload_;
    SimulationCounts counts_;
    std::string story_;
    std::string problem_;
};

}  // namespace stepdb
