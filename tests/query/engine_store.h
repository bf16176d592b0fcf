// A query script's store that is a whole engine on a simulated disk.
#pragma once

#include <memory>
#include <string>

#include "query/known_runs.h"
#include "tests/query/script_store.h"
#include "tests/support/sim_store.h"

namespace stepdb {

// How a script's `reopen` ends the life before; with kMerge, what was sent is also flushed and
// merged before every query.
enum class Reopening : uint8_t { kClose, kCrash, kMerge };

class EngineStore final : public ScriptStore {
  public:
    explicit EngineStore(Reopening reopening, EngineOptions options = SimStore::small_options());
    ~EngineStore() override;

    Status add_row(const ScriptRow& row) override;
    Status set_attributes(const std::string& project, const std::string& run,
                          const std::vector<AttributeChange>& changes) override;
    Status finish(const std::string& project, const std::string& run, RunState state) override;
    Status flush() override;
    Status reopen() override;
    // Creates `run` as a fork, both "project/run".
    Status fork(const std::string& run, const std::string& parent, double step);
    // Opens the attempt of the run.
    Status restart(const std::string& run, uint32_t attempt, std::optional<double> step);
    Result<AnswerLines> ask(const QueryText& asked, int64_t now_us) override;

  private:
    // Sends what is pending and waits for its acknowledgement.
    Status settle();
    void send_pending();

    SimDisk disk_;
    SimStore store_;
    KnownRuns known_{1};  // also of a single run
    Reopening reopening_;
    std::unique_ptr<TestWriter> writer_;
    ModelChange pending_;
};

}  // namespace stepdb
