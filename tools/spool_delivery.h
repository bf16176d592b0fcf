// Sends what a process that is gone has left in its spool. Each frame counts once: it keeps its
// writer's number, and the server takes no number twice.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "net/client.h"
#include "tools/spool.h"

namespace stepdb {

struct SpoolOutcome {
    SpoolOutcome() = default;

    uint64_t rows_sent = 0;
    uint64_t rows_refused = 0;
    std::string first_refusal;
    std::vector<std::string> notes;  // on what could not be read of it
    // Why some of it is still there.
    std::optional<Error> failed;
};

// Single-threaded.
class SpoolDelivery {
  public:
    using Connect = std::function<Result<std::unique_ptr<Client>>(const Id128& writer)>;

    // A server that is away, or takes nothing for now, is waited for so long, from the last thing
    // on that it took.
    SpoolDelivery(Spool& spool, Connect connect, std::chrono::milliseconds wait_max);

    // Sends all of it, and removes it if nothing is left.
    SpoolOutcome run();

  private:
    // Of a frame that was sent.
    struct Sent {
        uint64_t ordinal;
        uint64_t number;
        uint64_t rows;
    };

    Status send_all();
    // Sets acked_ to before the first frame there is.
    Status find_first(const std::vector<uint64_t>& files);
    Status open();
    Status send_file(uint64_t file, bool is_last);
    Status send_frame(const SpoolFrame& frame);
    // Waits for the outcomes of what was sent.
    Status settle();
    // Frames from this number on go out once more, under another writer.
    Status start_over(uint64_t number, const Error& why);
    std::vector<std::byte> as_sent(const SpoolFrame& frame) const;

    Spool& spool_;
    const Connect connect_;
    const std::chrono::milliseconds wait_max_;
    SpoolOutcome outcome_;
    std::unique_ptr<Client> client_;
    ClientRun run_;
    std::vector<Sent> sent_;
    size_t sent_bytes_ = 0;
    bool has_acked_ = false;
    uint64_t acked_ = 0;        // the number up to which all have their outcome, once it is known
    bool has_come_on_ = false;  // since the connection was made
};

}  // namespace stepdb
