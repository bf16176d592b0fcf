// How long after its acknowledgement a row shows to who watches its series, while the server has
// other things to do: one connection writes a row at a time, another watches `last 1` of them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/schema.h"
#include "net/client.h"
#include "tools/bench/latencies.h"
#include "tools/bench/measured.h"

namespace stepdb {

class FreshnessProbe {
  public:
    // Makes the run and its metric.
    static Result<std::unique_ptr<FreshnessProbe>> open(std::unique_ptr<Client> writer,
                                                        std::unique_ptr<Client> watcher,
                                                        std::string project, std::string run);

    // What its two threads do until the window ends. The next row is written once the one before
    // was seen.
    std::vector<std::function<Status()>> works(const MeasuredWindow& window);

    // From an acknowledgement in the window until the update with the row has been read and
    // decoded; 0 where the update came first.
    const Latencies& latencies() const { return latencies_; }

  private:
    FreshnessProbe(std::unique_ptr<Client> writer, std::unique_ptr<Client> watcher,
                   std::string query);

    Status write(const MeasuredWindow& window);
    Status write_row(double step);
    // When the row was seen; nothing if the window ended before.
    std::optional<SteadyTime> wait_until_seen(double step, const MeasuredWindow& window);
    Status watch(const MeasuredWindow& window);

    const std::unique_ptr<Client> writer_;
    const std::unique_ptr<Client> watcher_;
    const std::string query_;
    std::shared_ptr<const Schema> schema_;
    ClientRun run_;
    std::mutex mutex_;
    std::condition_variable seen_more_;
    double seen_ = -1;  // the highest step; under mutex_, as the next
    SteadyTime seen_at_;
    bool is_over_ = false;  // one of the two has ended
    Latencies latencies_;
};

}  // namespace stepdb
