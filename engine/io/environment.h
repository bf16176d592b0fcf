// What the outside world is to the engine, put together: the loop, the file system, the clock and
// random bits. The server and the tools make one; tests of the engine use simulated parts instead.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/io/executor.h"
#include "engine/io/file_system.h"
#include "engine/io/loop.h"

namespace stepdb {

class SystemClock final : public Clock {
  public:
    int64_t now_us() const override;
};

// From the kernel's generator. Any thread.
class SystemRandom final : public Random {
  public:
    uint64_t next() override;
};

enum class IoChoice : uint8_t {
    kBest,   // io_uring, or pread/pwrite where the kernel has none
    kUring,  // or an error
    kPosix,
};

class IoEnvironment {
  public:
    // Starts the loop's thread.
    static Result<std::unique_ptr<IoEnvironment>> create(IoChoice choice);

    // The choice is that of $STEPDB_IO: "uring", "posix", or kBest if it is unset or empty;
    // anything else is kInvalidArgument.
    static Result<std::unique_ptr<IoEnvironment>> create();

    // Whatever uses the parts must have ended. Stops the loop.
    ~IoEnvironment();

    Loop& loop() { return *loop_; }
    FileSystem& files() { return *files_; }
    const Clock& clock() const { return clock_; }
    Random& random() { return random_; }

    // What `top -H` and debuggers call the loop's thread: at most 15 bytes.
    void name_thread(const char* name);

    // "io_uring" or "pread/pwrite".
    std::string_view backend() const { return files_->backend(); }

    // Why io_uring is not used although it was wanted; empty otherwise. For the start-up message.
    const std::string& fallback_reason() const { return fallback_reason_; }

  private:
    IoEnvironment(std::unique_ptr<Loop> loop, std::string_view backend, std::string reason);

    std::unique_ptr<Loop> loop_;
    std::unique_ptr<FileSystem> files_;
    SystemClock clock_;
    SystemRandom random_;
    std::string fallback_reason_;
};

}  // namespace stepdb
