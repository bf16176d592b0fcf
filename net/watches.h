// The queries that are watched. Each is computed anew when something of its runs was published,
// and each of those who watch it is told the difference to what it was told last, when it can take
// it: whoever is slow skips what came in between.
//
//   engine: published -> net side: the watches that are due -> query side: QueryJob, then the
//   difference to the answer before -> net side: on_waiting() to all that watch it
//   want() -> query side: the next block of that difference, or of that to an older answer -> sink
//
// Nothing happens while nothing is published. A query of the same text and parameters, by those who
// may read the same, is one watch, computed once for all who watch it. What all watches compute is
// one asker's on the query threads, at most half of each of them, and a watch that takes long is
// computed less often.
//
// On the net side, but for what posts itself elsewhere.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "net/query_job.h"
#include "net/query_service.h"

namespace stepdb {

// From the beginning of one computation of a watch to that of the next, at least; a part of the
// 100 ms in which what was acknowledged is told.
inline constexpr std::chrono::microseconds kWatchEvery{40'000};
// A watch takes its turn at most for one part in so many of the time.
inline constexpr int kWatchShare = 4;
// What takes longer cannot be watched: its snapshot would be kept for as long, again and again.
inline constexpr std::chrono::seconds kWatchTimeMax{30};

class Watches {
  public:
    // `shared` outlives them.
    explicit Watches(QueryShared& shared);
    // Every RunningWatch is destroyed by then.
    ~Watches();
    Watches(const Watches&) = delete;
    Watches& operator=(const Watches&) = delete;

    std::unique_ptr<RunningWatch> start(QueryText query, UpdateSink& sink);
    size_t count() const { return watches_.size(); }
    size_t watchers() const { return watchers_; }
    // Ends watches whose computation has passed its limit of time.
    void tick();

  private:
    class Watch;
    class Watcher;
    class Receiver;
    struct Outcome;
    using Time = std::chrono::steady_clock::time_point;

    void consider(const std::shared_ptr<Watch>& watch, Time due);
    void compute_due();
    void compute(const std::shared_ptr<Watch>& watch);
    void listen();
    void on_published();
    void on_computed(const std::shared_ptr<Watch>& watch, Outcome outcome);
    void end(const std::shared_ptr<Watch>& watch, const Error& error);
    void remove(Watch& watch);

    QueryShared& shared_;
    std::map<std::string, std::shared_ptr<Watch>> watches_;  // by text, parameters and rights
    // Those of which something may have changed, by when they may be computed.
    std::multimap<Time, std::shared_ptr<Watch>> due_;
    size_t watchers_ = 0;
    size_t computing_ = 0;  // or resting from it
    std::chrono::steady_clock::time_point timer_at_ = Time::max();
    bool is_listening_ = false;  // on_published() will come
    // What is posted and finds it gone does nothing.
    std::shared_ptr<Watches*> self_;
};

}  // namespace stepdb
