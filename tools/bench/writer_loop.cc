#include "tools/bench/writer_loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <queue>
#include <system_error>

namespace stepdb {

namespace {

// How long is waited for acknowledgements before the clock is looked at.
constexpr std::chrono::milliseconds kLookAgain{100};

struct Descriptor {
    ~Descriptor() {
        if (number >= 0) {
            close(number);
        }
    }
    int number = -1;
};

Error failed(std::string_view call) {
    return make_error(ErrorCode::kIoError, "{}: {}", call, std::generic_category().message(errno));
}

// Who sends next, if frames are due by the clock.
class DueWriters {
  public:
    explicit DueWriters(size_t writers) : is_in_(writers) {}

    void put(uint32_t writer, std::optional<SteadyTime> due) {
        if (due && !is_in_[writer]) {
            is_in_[writer] = true;
            queue_.emplace(*due, writer);
        }
    }
    std::optional<uint32_t> take(SteadyTime now) {
        if (queue_.empty() || queue_.top().first > now) {
            return std::nullopt;
        }
        const uint32_t writer = queue_.top().second;
        queue_.pop();
        is_in_[writer] = false;
        return writer;
    }
    SteadyTime first_or(SteadyTime other) const {
        return queue_.empty() ? other : std::min(other, queue_.top().first);
    }

  private:
    using Due = std::pair<SteadyTime, uint32_t>;
    std::priority_queue<Due, std::vector<Due>, std::greater<>> queue_;
    std::vector<bool> is_in_;
};

timespec time_until(SteadyTime at, SteadyTime now) {
    const auto wait = std::max(std::chrono::nanoseconds(at - now), std::chrono::nanoseconds(0));
    timespec limit = {};
    limit.tv_sec = wait.count() / 1'000'000'000;
    limit.tv_nsec = wait.count() % 1'000'000'000;
    return limit;
}

}  // namespace

Status WriterLoop::add(std::unique_ptr<Client> client, WriterOptions options) {
    TRY_ASSIGN(auto writer,
               LoadWriter::open(std::move(client), std::move(options), pool_, report_));
    writers_.push_back(std::move(writer));
    return {};
}

Status WriterLoop::begin() {
    for (const auto& writer : writers_) {
        TRY(writer->send_first_frames());
    }
    for (const auto& writer : writers_) {
        TRY(writer->take_outcomes());
    }
    return {};
}

Status WriterLoop::run(const MeasuredWindow& window) {
    const Descriptor epoll{epoll_create1(EPOLL_CLOEXEC)};
    if (epoll.number < 0) {
        return failed("epoll_create1");
    }
    for (uint32_t at = 0; at < writers_.size(); ++at) {
        epoll_event wanted = {};
        // By edges: a writer reads and writes until the socket has had enough.
        wanted.events = EPOLLIN | EPOLLOUT | EPOLLET;
        wanted.data.u32 = at;
        if (epoll_ctl(epoll.number, EPOLL_CTL_ADD, writers_[at]->descriptor(), &wanted) != 0) {
            return failed("epoll_ctl");
        }
    }
    TRY(run_writers(window, epoll.number));
    for (const auto& writer : writers_) {
        TRY(writer->finish());
    }
    return {};
}

Status WriterLoop::run_writers(const MeasuredWindow& window, int epoll) {
    std::array<epoll_event, 256> ready = {};
    DueWriters due(writers_.size());
    size_t done = 0;
    const auto advance = [&](uint32_t at) -> Status {
        const bool was_done = writers_[at]->is_done();
        TRY(writers_[at]->advance(window));
        done += !was_done && writers_[at]->is_done() ? 1U : 0U;
        due.put(at, writers_[at]->waits_until());
        return {};
    };
    for (SteadyTime now = std::chrono::steady_clock::now();
         now < window.end && !is_interrupted() && done < writers_.size();
         now = std::chrono::steady_clock::now()) {
        const SteadyTime until = due.first_or(std::min(window.end, now + kLookAgain));
        const timespec limit = time_until(until, now);
        const int count =
            epoll_pwait2(epoll, ready.data(), static_cast<int>(ready.size()), &limit, nullptr);
        if (count < 0 && errno != EINTR) {
            return failed("epoll_pwait2");
        }
        for (int at = 0; at < count; ++at) {
            TRY(advance(ready[static_cast<size_t>(at)].data.u32));
        }
        now = std::chrono::steady_clock::now();
        while (const std::optional<uint32_t> writer = due.take(now)) {
            TRY(advance(*writer));
        }
    }
    return {};
}

}  // namespace stepdb
