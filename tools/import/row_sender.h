// Sends the rows of a log in batches, a frame per schema. Within a (series, key) the later row must
// win, and a store takes frames in the order they come; so as soon as a key turns up in a second
// schema, what is waiting is sent first.
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
    // All outlive it. `path` is for messages.
    RowSender(Client& client, ClientRun& run, SchemaPlan& plan, std::string path);

    // Makes the schemas known.
    Status begin(std::string_view project);
    Status send(const LogRow& row);
    // Waits until everything is durable. The first refusal is an error that names the file and the
    // lines.
    Status finish();

  private:
    static constexpr size_t kBatchBytes = 4U << 20U;  // of all waiting rows
    static constexpr uint32_t kBatchRows = 8192;      // of one frame
    static constexpr uint64_t kFramesUnanswered = 64;

    struct SentFrame {
        uint64_t ordinal = 0;
        uint64_t first_line = 0;
    };

    Status send_waiting();
    Status take_outcomes();

    Client& client_;
    ClientRun& run_;
    SchemaPlan& plan_;
    std::string path_;
    std::vector<RowsBuilder> waiting_;                 // by schema
    std::vector<uint64_t> first_lines_;                // of what waits, by schema
    std::vector<uint32_t> order_;                      // schemas with something waiting
    std::unordered_map<Key, uint32_t> schema_of_key_;  // of what waits
    size_t waiting_bytes_ = 0;
    std::vector<SentFrame> sent_;  // since outcomes were last taken
    std::vector<std::optional<double>> sparse_;
    std::vector<double> full_;
};

}  // namespace stepdb
