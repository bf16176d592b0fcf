// A server of our own: a child process with a store in a temporary directory, and what it cost.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/result.h"

namespace stepdb {

// Of the whole life of one server process.
struct ServerCost {
    double cpu_seconds = 0;
    uint64_t peak_memory_bytes = 0;
};

class OwnServer {
  public:
    // Makes a directory below `parent` ("": $TMPDIR, or /tmp).
    static Result<std::unique_ptr<OwnServer>> create(const std::string& parent,
                                                     const std::string& memory);
    // Ends the server, if there is one, and removes the directory.
    ~OwnServer();
    OwnServer(const OwnServer&) = delete;
    OwnServer& operator=(const OwnServer&) = delete;

    // Starts `stepdb serve` on a free port and waits until it is ready.
    Status start();
    // Asks it to stop, waits until it has, and adds to cost(). An error if it did not exit with 0.
    Status stop();

    // Writes back what the kernel holds of the stopped server's files and has it forget them, as
    // far as an ordinary user may: where it does not, nothing happens.
    void drop_cached_files() const;

    const std::string& address() const { return address_; }  // HOST:PORT
    std::string store() const { return directory_ + "/store"; }
    // Of all servers started and stopped: the sum of their times, the greatest of their peaks.
    const ServerCost& cost() const { return cost_; }
    // CPU seconds of the running one so far, the memory it has now and the most it has had.
    Result<double> cpu_seconds_now() const;
    Result<uint64_t> memory_bytes_now() const { return status_bytes("VmRSS:"); }
    Result<uint64_t> peak_memory_bytes_now() const { return status_bytes("VmHWM:"); }
    // "ext4", "tmpfs", or the kernel's number of it.
    std::string file_system() const;
    // Segments, catalog and manifests of the stopped server's store.
    uint64_t settled_bytes() const;

  private:
    OwnServer() = default;
    // A line of /proc/PID/status.
    Result<uint64_t> status_bytes(std::string_view name) const;
    Error has_ended() const;
    // What it wrote to stderr.
    std::string said() const;

    std::string directory_;
    std::string memory_;
    std::string address_;
    pid_t child_ = -1;
    ServerCost cost_;
};

}  // namespace stepdb
