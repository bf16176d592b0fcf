// Connections between the clients of a simulated store and its sessions: the protocol whole, frame
// by frame, over bytes that come in pieces, late, and in one order or another between connections,
// until a connection is cut. What decides is the executor of the store, so a seed repeats it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "net/engine_bridge.h"
#include "net/engine_query_service.h"
#include "net/session.h"
#include "tests/support/sim_store.h"

namespace stepdb {

// What a query was told, as it comes.
struct SimAnswer {
    SimAnswer() = default;
    std::vector<ResultColumn> columns;
    std::vector<ResultBlock> blocks;
    std::optional<Error> error;
    bool has_ended = false;  // well, or with the error
    bool is_lost = false;    // the connection was cut before
};

// One life of a server process: made when its store has been opened, gone before the store is.
class SimNetwork {
  public:
    SimNetwork(SimStore& store, SimRandom& random);
    // Every connection is cut, and the server sees it.
    ~SimNetwork();
    SimNetwork(const SimNetwork&) = delete;
    SimNetwork& operator=(const SimNetwork&) = delete;

    // What a client writes through: hello goes first. The sink outlives it.
    std::unique_ptr<WriteSession> connect(const Id128& writer, OutcomeSink& sink);

    // Asks a query on a connection of its own.
    std::shared_ptr<const SimAnswer> ask(const std::string& text);

    // What is on its way is lost. The server sees that the connection is gone (its input ends or
    // fails), or, of a half-open one, does not see it before forget_half_open().
    void cut(bool is_half_open);
    void forget_half_open();

    uint64_t bytes_carried() const { return bytes_carried_; }
    uint64_t connections_made() const { return connections_made_; }

  private:
    class Connection;
    class Link;

    void wake_all();
    std::shared_ptr<Connection> add_connection(OutcomeSink* sink, std::shared_ptr<SimAnswer> answer,
                                               const Id128& client);

    SimStore& store_;
    SimRandom& random_;
    EngineQueryService queries_;
    EngineBridge bridge_;
    FlowBudget receive_;
    FlowBudget send_;
    SessionServices services_;
    std::vector<std::shared_ptr<Connection>> connections_;
    std::vector<std::shared_ptr<Connection>> half_open_;
    uint64_t bytes_carried_ = 0;
    uint64_t connections_made_ = 0;
};

}  // namespace stepdb
