// A thread's work: many connections, looked at as they become ready (epoll). A frame costs its
// checksum and its copy into the socket; a connection that waits costs nothing.
#pragma once

#include <memory>
#include <vector>

#include "engine/base/result.h"
#include "tools/bench/load.h"
#include "tools/bench/load_writer.h"

namespace stepdb {

class WriterLoop : public LoadThread {
  public:
    WriterLoop(const std::shared_ptr<const Schema>& schema, const LoadShape& shape, uint64_t seed)
        : pool_(schema, shape, seed) {}

    // Adds a connection. All are opened before any sends.
    Status add(std::unique_ptr<Client> client, WriterOptions options);

    Status begin() override;
    Status run(const MeasuredWindow& window) override;
    const LoadReport& report() const override { return report_; }

  private:
    Status run_writers(const MeasuredWindow& window, int epoll);

    FramePool pool_;
    LoadReport report_;
    std::vector<std::unique_ptr<LoadWriter>> writers_;
};

}  // namespace stepdb
