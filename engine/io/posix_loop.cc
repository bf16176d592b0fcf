#include "engine/io/posix_loop.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace stepdb {

namespace {

int64_t result_of(int64_t returned) {
    return returned < 0 ? -static_cast<int64_t>(errno) : returned;
}

int64_t call(const IoRequest& request) {
    const auto offset = static_cast<off_t>(request.offset);
    switch (request.kind) {
        case IoRequest::Kind::kRead:
            return result_of(
                ::pread(request.descriptor, request.into.data(), request.into.size(), offset));
        case IoRequest::Kind::kWrite:
            return result_of(
                ::pwrite(request.descriptor, request.from.data(), request.from.size(), offset));
        case IoRequest::Kind::kSync:
            return result_of(::fsync(request.descriptor));
        case IoRequest::Kind::kDataSync:
            return result_of(::fdatasync(request.descriptor));
        case IoRequest::Kind::kAllocate:
            return result_of(
                ::fallocate(request.descriptor, 0, offset, static_cast<off_t>(request.length)));
    }
    return -ENOSYS;
}

void carry_out(IoRequest& request) {
    request.result = call(request);
    if (!request.then_sync) {
        return;
    }
    const bool whole = request.result == static_cast<int64_t>(request.from.size());
    request.sync_result = whole ? result_of(::fdatasync(request.sync_descriptor)) : -ECANCELED;
}

}  // namespace

PosixLoop::PosixLoop() {
    for (size_t i = 0; i < kWorkers; ++i) {
        workers_.emplace_back([this] { work(); });
    }
}

std::unique_ptr<PosixLoop> PosixLoop::create() {
    std::unique_ptr<PosixLoop> loop(new PosixLoop);
    loop->start_thread();
    return loop;
}

PosixLoop::~PosixLoop() {
    stop();
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    work_ready_.notify_all();
    for (std::thread& worker : workers_) {
        worker.join();
    }
}

void PosixLoop::submit(IoRequest& request) {
    CHECK(is_current(), "requests begin on the loop's thread");
    submitted_.push_back(&request);
    ++under_way_;
}

void PosixLoop::poll(bool block) {
    std::vector<IoRequest*> ended;
    const size_t begun = submitted_.size();
    {
        std::unique_lock lock(mutex_);
        for (IoRequest* request : std::exchange(submitted_, {})) {
            waiting_.push_back(request);
        }
        if (begun > 0) {
            work_ready_.notify_all();
        }
        if (block) {
            event_ready_.wait(lock, [this] { return woken_ || !ended_.empty(); });
            woken_ = false;
        }
        ended.swap(ended_);
    }
    under_way_ -= ended.size();
    for (IoRequest* request : ended) {
        request->waiter.resume();
    }
}

void PosixLoop::wake() {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    event_ready_.notify_one();
}

bool PosixLoop::has_requests() const {
    return under_way_ > 0;
}

void PosixLoop::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        work_ready_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
        if (waiting_.empty()) {
            return;
        }
        IoRequest* request = waiting_.front();
        waiting_.pop_front();
        lock.unlock();
        carry_out(*request);
        lock.lock();
        ended_.push_back(request);
        event_ready_.notify_one();
    }
}

}  // namespace stepdb
