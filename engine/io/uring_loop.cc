#include "engine/io/uring_loop.h"

#include <liburing.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

#include "engine/io/host_error.h"

namespace stepdb {

namespace {

// Entries of the submission queue: what one turn of the loop can begin with one system call.
constexpr unsigned kSubmissionEntries = 256;

// Requests in the kernel at once; more wait in the backlog. Twice that (a write and its sync) and
// the wake-up must fit the completion queue, so that it never overflows.
constexpr size_t kRequestsMax = 1024;
constexpr unsigned kCompletionEntries = 4096;
static_assert(2 * kRequestsMax + 1 <= kCompletionEntries);

// Completions taken off the ring before their waiters run.
constexpr unsigned kReapMax = 128;

// Tags in user_data: the address of the request, bit 0 set for its sync; 0 is the wake-up.
constexpr uint64_t kSyncBit = 1;
constexpr uint64_t kWakeTag = 0;
static_assert(alignof(IoRequest) > kSyncBit);

uint64_t tag_of(const IoRequest* request) {
    return reinterpret_cast<uint64_t>(request);
}

IoRequest* request_of(uint64_t tag) {
    // user_data is all that the kernel gives back.
    return reinterpret_cast<IoRequest*>(tag & ~kSyncBit);  // NOLINT(performance-no-int-to-ptr)
}

void prepare(io_uring_sqe* entry, const IoRequest& request) {
    switch (request.kind) {
        case IoRequest::Kind::kRead:
            io_uring_prep_read(entry, request.descriptor, request.into.data(),
                               static_cast<unsigned>(request.into.size()), request.offset);
            break;
        case IoRequest::Kind::kWrite:
            io_uring_prep_write(entry, request.descriptor, request.from.data(),
                                static_cast<unsigned>(request.from.size()), request.offset);
            break;
        case IoRequest::Kind::kSync:
            io_uring_prep_fsync(entry, request.descriptor, 0);
            break;
        case IoRequest::Kind::kDataSync:
            io_uring_prep_fsync(entry, request.descriptor, IORING_FSYNC_DATASYNC);
            break;
        case IoRequest::Kind::kAllocate:
            io_uring_prep_fallocate(entry, request.descriptor, 0,
                                    static_cast<off_t>(request.offset),
                                    static_cast<off_t>(request.length));
            break;
    }
}

}  // namespace

// Used by the loop's thread alone, but for the eventfd.
struct UringLoop::Ring {
    Ring() = default;
    ~Ring();
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    Status open();
    void enable();
    void arm_wake_up();
    void fill();
    void enter(bool block);
    void reap();
    void finish_step(uint64_t tag, int result);

    io_uring ring{};
    bool is_open = false;
    bool enabled = false;
    int event = -1;
    uint64_t event_count = 0;
    bool armed = false;
    std::deque<IoRequest*> backlog;
    std::vector<IoRequest*> filled;  // since the last submission
    size_t in_kernel = 0;
};

UringLoop::Ring::~Ring() {
    if (is_open) {
        io_uring_queue_exit(&ring);
    }
    if (event >= 0) {
        ::close(event);
    }
}

Status UringLoop::Ring::open() {
    io_uring_params params{};
    params.cq_entries = kCompletionEntries;
    // Disabled until the loop's thread enables it and so becomes its single issuer.
    const unsigned flags = IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
    params.flags = flags | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    int error = io_uring_queue_init_params(kSubmissionEntries, &ring, &params);
    if (error == -EINVAL) {  // older than Linux 6.1
        params = {};
        params.cq_entries = kCompletionEntries;
        params.flags = flags;
        error = io_uring_queue_init_params(kSubmissionEntries, &ring, &params);
    }
    if (error < 0) {
        return host_error("io_uring_setup", -error);
    }
    is_open = true;
    event = ::eventfd(0, EFD_CLOEXEC);
    if (event < 0) {
        return host_error("eventfd", errno);
    }
    return {};
}

// From here on the calling thread is the ring's only issuer. (io_uring_enable_rings does the same,
// but Debian 12's liburing does not export it.)
void UringLoop::Ring::enable() {
    const int error = io_uring_register(static_cast<unsigned>(ring.ring_fd),
                                        IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    CHECK(error == 0, "io_uring_register: {}", host_error_text(-error));
    enabled = true;
}

void UringLoop::Ring::arm_wake_up() {
    if (armed) {
        return;
    }
    io_uring_sqe* entry = io_uring_get_sqe(&ring);
    if (entry == nullptr) {
        return;  // tried again next turn; the queue is empty then
    }
    io_uring_prep_read(entry, event, &event_count, sizeof(event_count), 0);
    io_uring_sqe_set_data64(entry, kWakeTag);
    armed = true;
}

// Moves requests from the backlog into the submission queue. The two halves of a linked pair must
// be in one submission, so they go in together or not at all.
void UringLoop::Ring::fill() {
    while (!backlog.empty() && in_kernel < kRequestsMax) {
        IoRequest& request = *backlog.front();
        const unsigned entries = request.then_sync ? 2 : 1;
        if (io_uring_sq_space_left(&ring) < entries) {
            return;
        }
        backlog.pop_front();
        ++in_kernel;
        filled.push_back(&request);
        request.steps_left = static_cast<int>(entries);
        io_uring_sqe* entry = io_uring_get_sqe(&ring);
        prepare(entry, request);
        io_uring_sqe_set_data64(entry, tag_of(&request));
        if (request.then_sync) {
            io_uring_sqe_set_flags(entry, IOSQE_IO_LINK);
            io_uring_sqe* sync = io_uring_get_sqe(&ring);
            io_uring_prep_fsync(sync, request.sync_descriptor, IORING_FSYNC_DATASYNC);
            io_uring_sqe_set_data64(sync, tag_of(&request) | kSyncBit);
        }
    }
}

void UringLoop::Ring::enter(bool block) {
    const unsigned ready = io_uring_sq_ready(&ring);
    const int submitted =
        block ? io_uring_submit_and_wait(&ring, 1) : io_uring_submit_and_get_events(&ring);
    CHECK(submitted >= 0 || submitted == -EINTR || submitted == -EAGAIN || submitted == -EBUSY,
          "io_uring_enter: {}", host_error_text(-submitted));
    if (submitted < 0 || static_cast<unsigned>(submitted) < ready) {
        // The kernel stopped in the middle, perhaps between a write and the sync linked to it. The
        // sync then runs by itself and may miss the write: such syncs do not count.
        for (IoRequest* request : filled) {
            request->sync_unlinked = true;
        }
    }
    filled.clear();
}

void UringLoop::Ring::finish_step(uint64_t tag, int result) {
    if (tag == kWakeTag) {
        armed = false;
        return;
    }
    IoRequest* request = request_of(tag);
    if ((tag & kSyncBit) != 0) {
        request->sync_result = request->sync_unlinked ? -ECANCELED : result;
    } else {
        request->result = result;
    }
    if (--request->steps_left == 0) {
        --in_kernel;
        request->waiter.resume();
    }
}

void UringLoop::Ring::reap() {
    std::array<io_uring_cqe*, kReapMax> completions{};
    std::array<std::pair<uint64_t, int>, kReapMax> steps{};
    const unsigned count = io_uring_peek_batch_cqe(&ring, completions.data(), kReapMax);
    for (unsigned i = 0; i < count; ++i) {
        steps[i] = {io_uring_cqe_get_data64(completions[i]), completions[i]->res};
    }
    io_uring_cq_advance(&ring, count);
    for (unsigned i = 0; i < count; ++i) {
        finish_step(steps[i].first, steps[i].second);
    }
}

UringLoop::UringLoop(std::unique_ptr<Ring> ring) : ring_(std::move(ring)) {}

UringLoop::~UringLoop() {
    stop();
}

Result<std::unique_ptr<UringLoop>> UringLoop::create() {
    auto ring = std::make_unique<Ring>();
    TRY(ring->open());
    std::unique_ptr<UringLoop> loop(new UringLoop(std::move(ring)));
    loop->start_thread();
    return loop;
}

void UringLoop::submit(IoRequest& request) {
    CHECK(is_current(), "requests begin on the loop's thread");
    ring_->backlog.push_back(&request);
}

void UringLoop::poll(bool block) {
    if (!ring_->enabled) {
        ring_->enable();
    }
    ring_->arm_wake_up();
    ring_->fill();
    // A full queue is submitted without waiting; the rest follows in the next turn.
    const bool more = !ring_->backlog.empty() && ring_->in_kernel < kRequestsMax;
    ring_->enter(block && !more);
    ring_->reap();
}

void UringLoop::wake() {
    const uint64_t one = 1;
    ssize_t written = 0;
    do {
        written = ::write(ring_->event, &one, sizeof(one));
    } while (written < 0 && errno == EINTR);
    CHECK(written == sizeof(one), "eventfd: {}", host_error_text(errno));
}

bool UringLoop::has_requests() const {
    return ring_->in_kernel > 0 || !ring_->backlog.empty();
}

}  // namespace stepdb
