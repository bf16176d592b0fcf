// Changing a run by hand: a writer for one change, and what has to be known of the run before.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "net/client.h"
#include "tools/run_name.h"
#include "tools/server_choice.h"

namespace stepdb {

inline constexpr std::string_view kSayYes = "Say --yes to do it.";

// A writer of its own for one change of one run.
class RunWriter {
  public:
    // `mode`: bits of OpenRunFrame. kNotFound, with the nearest name there is.
    static Result<RunWriter> open(const ServerChoice& server, const RunName& name, uint8_t mode);

    const ClientRun& run() const { return run_; }
    Client& client() { return *client_; }

    // Sends the frame that `encode` makes for the run's handle and next number, and waits.
    template <typename Encode>
    Status change(const Encode& encode) {
        return send_one(*client_, encode(run_.handle, run_.next_number++));
    }

    // Any changing frame, and its outcome.
    static Status send_one(Client& client, Bytes frame);

  private:
    std::unique_ptr<Client> client_;
    ClientRun run_;
};

// A table of texts, as a query of our own answers it; other columns are left out. An error is told
// without the query, which nobody has typed.
Result<std::vector<std::vector<std::string>>> ask_for_texts(Client& client,
                                                            const std::string& query);

// What `attributes` tells of a run.
struct RunFacts {
    RunFacts() = default;

    uint32_t newest = 0;
    std::string state;               // as shown: finished, stale, ...
    std::vector<uint32_t> readable;  // attempts
    std::vector<uint32_t> discarded;
};
// kNotFound, with the nearest name there is.
Result<RunFacts> read_run_facts(Client& client, const RunName& name);

// The error that says that a run is not there, with the nearest name there is. `otherwise` if it is
// there after all.
Error explain_missing_run(Client& client, const RunName& name, const Error& otherwise);

// Runs of a project whose last write, or that of a fork they are read by, is older than `age_us`,
// and which are not tagged keep: those that such a retention deletes. By their names.
Result<std::vector<std::string>> find_older_than(Client& client, const std::string& project,
                                                 int64_t age_us);

// Forks of a run, or of one attempt if the name has one.
Result<std::vector<std::string>> find_forks(Client& client, const RunName& name);

}  // namespace stepdb
