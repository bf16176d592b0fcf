// A store opened in this process, with all it stands on.
#pragma once

#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/engine.h"
#include "engine/io/environment.h"

namespace stepdb {

// What opening found amiss, on stderr, a line each.
void print_recovery(const RecoveryReport& report);

class OpenStore {
  public:
    // Blocks until everything acknowledged is there again.
    static Result<std::unique_ptr<OpenStore>> open(EngineOptions options);
    // The same of the store that --data names, which must be there; says what to do if a server has
    // it.
    static Result<std::unique_ptr<OpenStore>> open_existing(EngineOptions options);
    // Closes the store if that has not happened.
    ~OpenStore();
    OpenStore(const OpenStore&) = delete;
    OpenStore& operator=(const OpenStore&) = delete;

    Engine& engine() { return *engine_; }
    IoEnvironment& io() { return *io_; }
    double seconds_to_open() const { return seconds_to_open_; }

    // Makes everything durable and stops. Nothing may use the engine any more.
    Status close();

  private:
    OpenStore() = default;

    std::unique_ptr<IoEnvironment> io_;
    std::unique_ptr<IoEnvironment> seal_io_;   // making blocks and
    std::unique_ptr<IoEnvironment> merge_io_;  // merging them have threads of their own
    SystemClock clock_;
    SystemRandom random_;
    std::unique_ptr<Engine> engine_;
    bool is_closed_ = false;
    double seconds_to_open_ = 0;
};

}  // namespace stepdb
