// How a Writer behaves, and what became of what it was given.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/result.h"
#include "engine/model/schema.h"

namespace stepdb::client {

// What log() does while as much as Options::queue_bytes_max waits for the server.
enum class WhenFull : uint8_t {
    kBlock,       // it waits: nothing is lost, the caller is slowed down
    kDropNewest,  // the row is dropped and counted in Report::dropped_rows: the caller never waits
};

struct Options {
    Options() = default;

    std::string host = "127.0.0.1";
    uint16_t port = 7420;
    // What the server asks for; "": what the file holds, which is read for each connection, or
    // without one what the environment variable STEPDB_TOKEN held when the writer was made. A
    // server that refuses it ends the writer, unless it is a file's, which may yet be replaced.
    std::string token;
    std::string token_file;
    bool tls = false;
    std::string tls_ca_file;                 // authorities to trust, PEM; "": the system's
    std::string name = "stepdb C++ client";  // for people
    // Names this process to the server. Zero: made at random. A process that takes the id of one
    // that has ended goes on with its numbers, and fences it off should it still be there; two that
    // use one id on the same run at a time get errors.
    Id128 writer;

    // Memory for rows that are being put together, wait or have no outcome yet. A single row that
    // takes more is taken when nothing else is held.
    size_t queue_bytes_max = 64U << 20U;
    WhenFull when_full = WhenFull::kBlock;
    // A row is sent at the latest so long after it was logged, if the connection has nothing else
    // to do; while there is more to send than it takes, rows gather up to eight times as long, so
    // that frames grow with the load.
    std::chrono::microseconds linger = std::chrono::milliseconds(5);
    // What frames of many rows aim at, at most the protocol's 32 MiB.
    size_t frame_bytes = 256U << 10U;

    // Between attempts to connect, doubling from the first to the second, each shortened by up to
    // half at random so that a thousand ranks do not come back in one instant.
    std::chrono::milliseconds retry_delay_min = std::chrono::milliseconds(50);
    std::chrono::milliseconds retry_delay_max = std::chrono::seconds(5);
    // Without an outcome for so long while something waits for one, the writer gives up: everything
    // from then on is an error, and what had no outcome may or may not have been stored.
    std::chrono::milliseconds give_up_time = std::chrono::minutes(10);
    // A connection on which nothing comes for so long although outcomes are due is made anew.
    std::chrono::milliseconds silence_time_max = std::chrono::minutes(1);
    std::chrono::milliseconds connect_time_max = std::chrono::seconds(10);
    // How long the destructor waits for outcomes before it gives up what has none.
    std::chrono::milliseconds close_time_max = std::chrono::seconds(10);

    // Stamps rows: microseconds since the Unix epoch. Empty: the system's clock. Called on the
    // threads that log.
    std::function<int64_t()> now_us;
};

// Something that the server refused, or that its run can no longer take.
struct Refused {
    Refused(std::string its_run, Error its_error)
        : run(std::move(its_run)), error(std::move(its_error)) {}

    std::string run;    // PROJECT/RUN
    SchemaHash schema;  // of rows; else zero
    // The rows of one frame, none of which was stored: `rows` of them from row `first_row` on, as
    // RowLog::rows() counted them. 0 rows: another change.
    uint64_t first_row = 0;
    uint32_t rows = 0;
    std::optional<uint64_t> bad_row;  // counted likewise, if the server named one
    Error error;
};

// What became of what was logged since the last report.
struct Report {
    Report() = default;

    uint64_t rows = 0;       // durable, and visible to queries
    uint64_t late_rows = 0;  // of these: at or below the highest step before; stored all the same
    uint64_t refused_rows = 0;
    uint64_t refused_frames = 0;
    std::vector<Refused> refused;  // the first kRefusedKept frames
    uint64_t dropped_rows = 0;     // with WhenFull::kDropNewest

    bool all_stored() const { return refused_frames == 0 && dropped_rows == 0; }
    static constexpr size_t kRefusedKept = 1000;
};

// Since the writer was opened.
struct Counts {
    uint64_t rows_logged = 0;  // given to the server or about to be; without dropped ones
    uint64_t rows_durable = 0;
    uint64_t frames_sent = 0;  // changing frames, those sent again counted again
    uint64_t bytes_sent = 0;
    uint64_t connections = 0;
};

}  // namespace stepdb::client
