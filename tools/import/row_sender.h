// Sends the rows of a log in batches, a frame per schema. Within a (series, key) the later row must
// win, and a store takes frames in the order they come; so as soon as a key turns up in a second
// schema, what is waiting is sent first. What waits takes no more than a few times kBatchBytes,
// whatever the log.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "net/client.h"
#include "tools/import/log_row.h"
#include "tools/import/schema_plan.h"

namespace stepdb {

// For one log and one run. Single-threaded.
class RowSender {
  public:
    // All outlive it. `path` is for messages, and so is what rows are counted in there: "line".
    RowSender(Client& client, ClientRun& run, SchemaPlan& plan, std::string path,
              std::string_view place_word);

    // Makes the schemas known.
    Status begin(std::string_view project);
    // kFailedPrecondition if the plan does not know of such a row.
    Status send(const LogRow& row);
    // What follows goes to this attempt, which is open.
    Status go_to_attempt(uint32_t attempt);
    // Waits until everything is durable. The first refusal is an error that names the file and the
    // place.
    Status finish();

  private:
    static constexpr size_t kBatchBytes = 4U << 20U;  // of all waiting rows
    static constexpr uint32_t kBatchRows = 8192;      // of one frame
    static constexpr uint64_t kFramesUnanswered = 64;
    static constexpr size_t kBuildersKept = 16;  // so many keep their memory when they are sent

    struct SentFrame {
        uint64_t ordinal = 0;
        uint64_t first_place = 0;
    };

    Error changed() const;
    Status send_waiting();
    Status take_outcomes();

    Client& client_;
    ClientRun& run_;
    SchemaPlan& plan_;
    std::string path_;
    std::string_view place_word_;
    std::vector<RowsBuilder> waiting_;                 // by schema
    std::vector<uint64_t> first_places_;               // of what waits, by schema
    std::vector<uint32_t> order_;                      // schemas with something waiting
    std::unordered_map<Key, uint32_t> schema_of_key_;  // of what waits
    size_t waiting_bytes_ = 0;
    std::vector<SentFrame> sent_;  // since outcomes were last taken
    std::vector<std::optional<double>> sparse_;
    std::vector<double> full_;
};

}  // namespace stepdb
