// A thread that logs rows one by one, as a trainer does, to the client library, which packs and
// sends them on threads of its own, one a connection.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "clients/cpp/writer.h"
#include "engine/base/result.h"
#include "tools/bench/load.h"

namespace stepdb {

class RowLoop : public LoadThread {
  public:
    // Values are made now, pool_rows() of them.
    RowLoop(const LoadOptions& options, std::shared_ptr<const Schema> schema, uint64_t seed);

    // Connects, and opens the connection's runs.
    Status add(client::Options options, uint32_t connection);

    Status begin() override;
    // Rows go to the connections in turn, and to the runs of each in turn; when a connection's
    // queue is full, logging waits. How long it takes until a row is durable is looked at for one
    // in 64, at a rate for each, when the next one is logged: until as many rows of the connection
    // are durable as had been logged with it.
    Status run(const MeasuredWindow& window) override;
    const LoadReport& report() const override { return report_; }

  private:
    struct Sample {
        uint64_t rows = 0;
        SteadyTime since;
    };
    struct Connection {
        std::unique_ptr<client::Writer> writer;
        std::vector<client::Run> runs;
        std::vector<client::RowLog> logs;
        uint64_t rows = 0;  // logged
        uint64_t rows_durable = 0;
        std::deque<Sample> samples;
    };

    client::Values row_of(size_t row) const;
    Status log_next(Connection& connection);
    Status log_in_turn(const MeasuredWindow& window);
    Status log_closed(const MeasuredWindow& window);
    void look(Connection& connection, const MeasuredWindow& window);
    Status finish();

    LoadOptions options_;
    std::shared_ptr<const Schema> schema_;
    size_t pool_rows_;
    std::vector<float> floats_;  // one of the two, row after row
    std::vector<double> doubles_;
    std::vector<Connection> connections_;
    LoadReport report_;
};

}  // namespace stepdb
