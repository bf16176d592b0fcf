// Sessions within the server, whose peer is HTTP: frames go in and come out as over a socket, so
// that the same rights, rates, limits and order hold, and an acknowledgement says the same. On the
// net thread.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <set>
#include <vector>

#include "engine/io/executor.h"
#include "engine/model/frame.h"
#include "net/session.h"

namespace stepdb {

class LocalSession;

// All of a server, which have in common what wakes them.
class LocalSessions {
  public:
    // Both outlive it.
    LocalSessions(const SessionServices& services, Executor& net_side)
        : services_(services), net_side_(net_side) {}

    // There may be room again in the shared budgets.
    void wake_all();
    // To be called now and then: ends those whose token is not good any more.
    void tick();

  private:
    friend class LocalSession;

    const SessionServices& services_;
    Executor& net_side_;
    std::set<LocalSession*> all_;
};

class LocalSession {
  public:
    // Who is on the other end.
    class Peer {
      public:
        virtual ~Peer() = default;
        // False: what there is for it waits, until LocalSession::wake().
        virtual bool wants_frames() const = 0;
        // Not within a call of LocalSession.
        virtual void on_frame(const FrameHeader& header, Bytes body) = 0;
        // The session has ended; the last frame said why.
        virtual void on_finished() = 0;
    };

    // Both outlive it.
    LocalSession(LocalSessions& home, Peer& peer);
    ~LocalSession();
    LocalSession(const LocalSession&) = delete;
    LocalSession& operator=(const LocalSession&) = delete;

    void send(std::vector<std::byte> frame);
    // The peer wants frames again.
    void wake();

  private:
    friend class LocalSessions;

    void pump();
    void take_in();
    void hand_out();

    LocalSessions& home_;
    Peer& peer_;
    std::deque<std::vector<std::byte>> sent_;
    size_t taken_ = 0;  // of the first
    bool is_woken_ = false;
    bool has_finished_ = false;
    std::shared_ptr<LocalSession*> self_;  // what is posted and finds it gone does nothing
    Session session_;
};

}  // namespace stepdb
