// A load on a server: the connections of a workload, in few threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clients/cpp/options.h"
#include "engine/base/checksum.h"
#include "engine/base/result.h"
#include "net/client.h"
#include "tools/bench/measured.h"
#include "tools/bench/workload.h"

namespace stepdb {

struct LoadOptions {
    LoadOptions() = default;

    // A connection for a writer of its own, and where they go.
    std::function<Result<std::unique_ptr<Client>>()> connect;
    client::Options client_options;  // of those that pack rows themselves
    std::string project;
    std::string prefix;  // of the runs
    Workload workload;
    uint64_t seed = 1;
    uint32_t threads = 1;
    std::optional<size_t> in_flight;     // frames of a connection
    std::optional<uint64_t> frames_max;  // of a connection
};

// The connections of one thread.
class LoadThread {
  public:
    virtual ~LoadThread() = default;

    // Sends a row or a frame to each run and waits until they are acknowledged.
    virtual Status begin() = 0;
    // Sends until the window ends, the process is told to stop or what may be sent has been, then
    // waits until everything has its outcome.
    virtual Status run(const MeasuredWindow& window) = 0;
    // When it has run.
    virtual const LoadReport& report() const = 0;
};

class Load {
  public:
    // Connects, announces the schema, makes the runs and has a row or frame of each acknowledged,
    // so that they can be asked for.
    static Result<std::unique_ptr<Load>> open(LoadOptions options);
    ~Load();
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    // Until the window ends, and then until everything has its outcome; in threads of its own, of
    // which each is one of `works`, for who runs others beside them. The first error there was.
    std::vector<std::function<Status()>> works(const MeasuredWindow& window);

    // When the works are done.
    LoadReport report() const;

    // Frames a connection has unanswered at most; none if the client packs them.
    static std::optional<size_t> in_flight_of(const LoadOptions& options);
    static std::string run_name(const std::string& prefix, uint32_t connection, uint32_t run);

  private:
    explicit Load(std::vector<std::unique_ptr<LoadThread>> threads);

    std::vector<std::unique_ptr<LoadThread>> threads_;
};

// Each on a thread of its own. The first error there was, or that the process was told to stop.
Status run_together(const std::vector<std::function<Status()>>& works);

}  // namespace stepdb
