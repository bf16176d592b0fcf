// A store and its clients from one seed: a server that is closed, killed and cut from power, a disk
// that loses what was not synced, fails, fills up and is damaged, connections that are cut, time
// that passes, queries, backups and repairs; and after each of these what must be there. Every
// choice is the seed's, so a seed repeats it.
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
    uint64_t repairs = 0;       // of these stores, repaired and read again
    uint64_t hours = 0;         // simulated
    uint64_t answers = 0;       // of queries, compared with what they may say
    uint64_t full_disks = 0;
    uint64_t refused = 0;         // changes that these had no room for
    uint64_t full_deletes = 0;    // deletes that were taken all the same, by the reserve
    uint64_t backups = 0;         // that ended well
    uint64_t backups_failed = 0;  // by a crash or an error, which must have left the last one
    uint64_t restores = 0;        // of backups, compared with what they may hold

    uint64_t recoveries() const { return power_cuts + kills; }
    void add(const SimulationCounts& other);
    std::string to_string() const;
};

class World {
  public:
    // `breaks` breaks something on purpose, of the disk.
    explicit World(uint64_t seed, const std::function<void(SimDisk&)>& breaks = {});
    ~World();

    // From now on each answer to a query lacks its last row, on purpose.
    void spoil_answers() { spoils_answers_ = true; }
    // What is wrong, in words; "" if nothing is.
    std::string run();
    const SimulationCounts& counts() const { return counts_; }

  private:
    struct Client {
        std::unique_ptr<TrackedClient> changes;
        std::string project;
        size_t shown = 0;  // a reader has seen what is there after so many changes
        uint64_t forks = 0;
        size_t refusals = 0;  // that a full disk explains: so many, the first ones
        // Of its views, the first and the last that the backup may hold.
        size_t backup_least = 0;
        size_t backup_most = 0;
    };
    struct Question {
        Question() = default;
        std::string text;
        size_t kind = 0;
        size_t client = 0;
        std::string run;
        std::string metric;
        size_t least = 0;  // the view that the answer is of, or a later one
        std::shared_ptr<const SimAnswer> answer;
    };

    // What may happen.
    void step();
    void step_rarely();
    void send();
    void send(Client& client);
    void change_life();
    void change_life(Client& client);
    void change_settled_life(Client& client, const std::string& run);
    void merge_or_flush();
    void lose_connections();
    void let_time_pass();
    void reopen();

    // world_crashes.cc
    void fail_an_operation();
    void crash_now();
    void crash_at_an_operation();
    void damage_a_file();
    void look_at_damaged(const std::string& file, std::string_view what);
    void repair(const std::string& file, std::string_view what,
                const std::optional<StoreView>& readable);
    void check_repaired(const Client& client, const StoreView& readable,
                        const ReferenceModel::Contents& repaired, const std::string& what);
    // Ends this life of the server, and begins the next.
    void crash(CrashKind kind);
    void recover();

    // world_full_disk.cc
    void fill_the_disk();
    void crash_on_a_full_disk();
    void try_something(Client& client);
    void try_to_delete(Client& client);
    void end_try(Client& client);
    void make_room();

    // world_questions.cc
    void ask();
    void look_at_answers();
    bool is_answered(const Question& question, const StoreView& view) const;

    // world_backups.cc
    void back_up();
    void restore();
    void begin_life();
    void connect();
    void settle();
    void send_some(uint64_t changes);
    void pause();

    void check(std::string_view when);
    void check_client(Client& client, const StoreView& there, std::string_view when);
    std::optional<size_t> find_view(const Client& client, const StoreView& there, size_t first,
                                    size_t last) const;
    std::optional<StoreView> look(std::string_view when);
    void fail(std::string what);
    void tell(std::string_view event);
    bool is_wrong() const { return !problem_.empty(); }
    size_t any_client_index() { return random_.below(clients_.size()); }
    Client& any_client() { return clients_[any_client_index()]; }

    SimRandom random_;
    SimDisk disk_;
    EngineOptions options_;
    SimStore store_;
    bool has_network_;
    bool verifies_ = true;
    bool spoils_answers_ = false;
    bool is_full_ = false;  // the disk, by fill_the_disk
    bool has_backup_ = false;
    std::unique_ptr<SimNetwork> network_;
    std::vector<Client> clients_;
    std::vector<Question> questions_;
    Workload workload_;
    SimulationCounts counts_;
    std::string story_;
    std::string problem_;
};

// Of a world's store what belongs to a project; a run that has been opened and not been written to
// may be there or not.
StoreView view_of_project(const StoreView& all, const std::string& project);

}  // namespace stepdb
