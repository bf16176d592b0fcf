// Sends the rows of a log: for each the values that its schema in the plan asks for, through the
// client library, which coalesces them and keeps rows of one key in the order of the log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/cpp/writer.h"
#include "engine/base/result.h"
#include "tools/import/log_row.h"
#include "tools/import/schema_plan.h"

namespace stepdb {

// For one log and one run. Single-threaded.
class RowSender {
  public:
    // All outlive it. `path` is for messages, and so is what rows are counted in there: "line".
    RowSender(client::Writer& writer, client::Run& run, SchemaPlan& plan, std::string path,
              std::string_view place_word);

    // kFailedPrecondition if the plan does not know of such a row.
    Status send(const LogRow& row);
    // What follows goes to this attempt, which is open.
    void go_to_attempt(uint32_t attempt) { run_.set_attempt(attempt); }
    // Waits until everything is durable. The first refusal is an error that names the file and the
    // place.
    Status finish();

  private:
    // Outcomes are looked at after so much, so that a log that is refused is not read to its end.
    static constexpr size_t kBytesBetweenLooks = 64U << 20U;
    // Places are remembered of every so many rows of a schema.
    static constexpr uint64_t kRowsBetweenPlaces = 256;

    struct Place {
        uint64_t row = 0;  // as client::Refused counts
        uint64_t place = 0;
    };
    struct Lane {
        Lane() = default;

        std::optional<client::RowLog> log;
        uint64_t sent = 0;
        std::vector<Place> places;  // since outcomes were last taken
    };

    Error changed() const;
    Status open(uint32_t schema);
    std::string shown_place(const client::Refused& refused) const;

    client::Writer& writer_;
    client::Run& run_;
    SchemaPlan& plan_;
    std::string path_;
    std::string_view place_word_;
    std::vector<Lane> lanes_;  // by schema
    size_t bytes_ = 0;         // since outcomes were last taken
    std::vector<double> values_;
    std::vector<std::byte> present_;
};

}  // namespace stepdb
