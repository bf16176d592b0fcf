#include "engine/io/environment.h"

#include <pthread.h>
#include <sys/random.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "engine/io/host_error.h"
#include "engine/io/host_file_system.h"
#include "engine/io/posix_loop.h"
#include "engine/io/uring_loop.h"

namespace stepdb {

int64_t SystemClock::now_us() const {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count();
}

uint64_t SystemRandom::next() {
    uint64_t bits = 0;
    ssize_t got = 0;
    do {
        got = ::getrandom(&bits, sizeof(bits), 0);
    } while (got < 0 && errno == EINTR);
    CHECK(got == sizeof(bits), "getrandom: {}", host_error_text(errno));
    return bits;
}

IoEnvironment::IoEnvironment(std::unique_ptr<Loop> loop, std::string_view backend,
                             std::string reason)
    : loop_(std::move(loop)),
      files_(std::make_unique<HostFileSystem>(*loop_, backend)),
      fallback_reason_(std::move(reason)) {}

IoEnvironment::~IoEnvironment() {
    loop_->stop();
}

void IoEnvironment::name_thread(const char* name) {
    // For people only: a refusal is no matter.
    loop_->post([name] { static_cast<void>(::pthread_setname_np(::pthread_self(), name)); });
}

Result<std::unique_ptr<IoEnvironment>> IoEnvironment::create(IoChoice choice) {
    std::string reason;
    if (choice != IoChoice::kPosix) {
        Result<std::unique_ptr<UringLoop>> loop = UringLoop::create();
        if (loop.has_value()) {
            return std::unique_ptr<IoEnvironment>(
                new IoEnvironment(std::move(*loop), "io_uring", {}));
        }
        if (choice == IoChoice::kUring) {
            return loop.error().within("io_uring was asked for and is not to be had");
        }
        reason = loop.error().message();
    }
    return std::unique_ptr<IoEnvironment>(
        new IoEnvironment(PosixLoop::create(), "pread/pwrite", std::move(reason)));
}

Result<std::unique_ptr<IoEnvironment>> IoEnvironment::create() {
    // Read at start; nothing of ours writes the environment.
    const char* value = std::getenv("STEPDB_IO");  // NOLINT(concurrency-mt-unsafe)
    const std::string_view wanted = value != nullptr ? value : "";
    if (wanted.empty()) {
        return create(IoChoice::kBest);
    }
    if (wanted == "uring") {
        return create(IoChoice::kUring);
    }
    if (wanted == "posix") {
        return create(IoChoice::kPosix);
    }
    return make_error(ErrorCode::kInvalidArgument,
                      "STEPDB_IO is \"{}\"; it must be uring, posix or unset", wanted);
}

}  // namespace stepdb
