#include "clients/cpp/run_state.h"

#include <algorithm>
#include <cmath>

#include "engine/base/checksum.h"
#include "engine/model/life_frame.h"
#include "engine/model/limits.h"

namespace stepdb::client {

namespace {

constexpr size_t kBlockBytesMin = 1U << 10U;
constexpr size_t kBlockBytesFirst = 8U << 10U;
constexpr size_t kKeysMax = 64U << 10U;  // of a group; it is sealed before it holds more

}  // namespace

RowLane::RowLane(std::shared_ptr<const Schema> its_schema, ValueType type)
    : schema(std::move(its_schema)), format(*schema, type), block_bytes(kBlockBytesFirst) {}

RunState::RunState(std::shared_ptr<SendQueue> queue, RunOpening opening, uint32_t handle)
    : queue_(std::move(queue)),
      opening_(std::move(opening)),
      path_(fmt::format("{}/{}", opening_.project, opening_.run)),
      handle_(handle) {}

Result<RunOpened> RunState::open() {
    auto frame = std::make_unique<QueuedFrame>(FrameKind::kOpenRun, shared_from_this());
    const auto outcome = std::make_shared<Outcome>();
    frame->outcome = outcome;
    queue_->push(std::move(frame));
    RunOpened opened;
    TRY(queue_->wait_for(*outcome, &opened));
    return opened;
}

// --- Lanes ---

Result<RowLane*> RunState::lane(std::shared_ptr<const Schema> schema, ValueType type) {
    const std::lock_guard lock(mutex_);
    for (const std::unique_ptr<RowLane>& known : lanes_) {
        if (known->schema->hash() != schema->hash()) {
            continue;
        }
        if (known->format.type != type) {
            return make_error(ErrorCode::kFailedPrecondition,
                              "run {} logs this schema ('{}' and {} more metrics) with values of "
                              "another type already",
                              path_, schema->metric(0), schema->width() - 1);
        }
        return known.get();
    }
    auto made = std::make_unique<RowLane>(std::move(schema), type);
    if (made->format.block_bytes(1) > kFrameBytesMax) {
        return make_error(ErrorCode::kInvalidArgument,
                          "a row of {} metrics takes {} bytes, a frame at most {}",
                          made->format.width, made->format.row_bytes, kFrameBytesMax);
    }
    lanes_.push_back(std::move(made));
    if (lanes_.size() == 2) {
        join_groups(*lanes_.front());
    }
    if (lanes_.size() >= 2) {
        join_groups(*lanes_.back());
    }
    return lanes_.back().get();
}

// A false match of hashes costs coalescing, nothing else.
void RunState::join_groups(RowLane& lane) {
    for (const std::string_view metric : lane.schema->metrics()) {
        RowLane* other = lane_of_metric_.emplace(xxh3(as_bytes(metric)), &lane).first->second;
        if (other == &lane || (other->group != nullptr && other->group == lane.group)) {
            continue;
        }
        seal_group(*other);
        for (RowLane* each : {other, &lane}) {
            if (each->group == nullptr) {
                each->group = groups_.emplace_back(std::make_unique<LaneGroup>()).get();
                each->group->lanes.push_back(each);
            }
        }
        LaneGroup& from = *lane.group;
        for (RowLane* each : from.lanes) {
            each->group = other->group;
            other->group->lanes.push_back(each);
        }
        from.lanes.clear();
    }
}

void RunState::claim_key(RowLane& lane, Key key) {
    auto& lane_of_key = lane.group->lane_of_key;
    const auto [at, is_new] = lane_of_key.emplace(key, &lane);
    if (at->second != &lane || (is_new && lane_of_key.size() > kKeysMax)) {
        seal_group(lane);
        lane_of_key.emplace(key, &lane);
    }
}

// --- Rows ---

Status RunState::check(const RowLane& lane, double step, const Values& values) const {
    if (failure_) {
        return *failure_;
    }
    const RowFormat& format = lane.format;
    if (values.size() != format.width) {
        return make_error(ErrorCode::kInvalidArgument,
                          "run {}: a row of {} values for a schema of {} metrics ('{}', ...)",
                          path_, values.size(), format.width, lane.schema->metric(0));
    }
    if (values.type() == ValueType::kFloat64 && format.type == ValueType::kFloat32) {
        return make_error(ErrorCode::kInvalidArgument,
                          "run {}: doubles for a schema of float32 values ('{}', ...), which would "
                          "lose bits; define it with ValueType::kFloat64",
                          path_, lane.schema->metric(0));
    }
    if (!values.present().empty() && values.present().size() != format.bitmap_bytes()) {
        return make_error(ErrorCode::kInvalidArgument,
                          "run {}: presence bits of {} bytes for {} metrics", path_,
                          values.present().size(), format.width);
    }
    if (format.axis == Axis::kStepped && !std::isfinite(step)) {
        return make_error(ErrorCode::kInvalidArgument, "run {}: step {}; steps are finite numbers",
                          path_, format_value(step));
    }
    return {};
}

size_t RunState::buffer_bytes(const RowLane& lane) const {
    return std::max(std::min(lane.block_bytes, queue_->options().frame_bytes),
                    lane.format.block_bytes(1));
}

bool RunState::begin_buffer(RowLane& lane) {
    Block block = queue_->take_block(buffer_bytes(lane));
    if (!block) {
        return false;
    }
    lane.buffer = RowBuffer(lane.format, std::move(block));
    lane.first_at = std::chrono::steady_clock::now();
    if (!lane.is_dirty) {
        lane.is_dirty = true;
        queue_->add_dirty({shared_from_this(), &lane, lane.first_at});
    }
    return true;
}

Status RunState::log(RowLane& lane, double step, int64_t time_us, const Values& values) {
    for (;;) {
        if (queue_->has_failed()) {
            return queue_->failure();
        }
        size_t needed = 0;
        {
            const std::lock_guard lock(mutex_);
            TRY(check(lane, step, values));
            if (lane.group != nullptr) {
                claim_key(lane, lane.format.axis == Axis::kStepped ? key_of_step(step) : time_us);
            }
            if (!lane.buffer.empty() || begin_buffer(lane)) {
                lane.buffer.append(lane.format, step, time_us, values);
                ++lane.rows;
                if (lane.buffer.full()) {
                    seal_group(lane);
                }
                return {};
            }
            needed = buffer_bytes(lane);
        }
        TRY_ASSIGN(const bool has_room, queue_->wait_for_room(needed));
        if (!has_room) {
            return {};
        }
    }
}

uint64_t RunState::rows(const RowLane& lane) const {
    const std::lock_guard lock(mutex_);
    return lane.rows;
}

void RunState::seal(RowLane& lane) {
    if (lane.buffer.empty()) {
        return;
    }
    if (lane.buffer.full()) {
        lane.block_bytes = std::min(lane.block_bytes * 2, queue_->options().frame_bytes);
    } else if (lane.format.block_bytes(lane.buffer.rows()) < lane.block_bytes / 4) {
        lane.block_bytes = std::max(lane.block_bytes / 2, kBlockBytesMin);
    }
    auto frame = std::make_unique<QueuedFrame>(FrameKind::kRows, shared_from_this());
    frame->number = next_number_++;
    frame->attempt = attempt_;
    frame->lane = &lane;
    frame->first_row = lane.rows - lane.buffer.rows();
    frame->rows = std::exchange(lane.buffer, RowBuffer());
    queue_->push(std::move(frame));
}

void RunState::seal_group(RowLane& lane) {
    if (lane.group == nullptr) {
        seal(lane);
        return;
    }
    for (RowLane* each : lane.group->lanes) {
        seal(*each);
    }
    lane.group->lane_of_key.clear();
}

void RunState::seal_lanes() {
    for (const std::unique_ptr<RowLane>& lane : lanes_) {
        seal_group(*lane);
    }
}

void RunState::seal_all() {
    const std::lock_guard lock(mutex_);
    seal_lanes();
}

void RunState::seal_due(RowLane& lane, SteadyTime before) {
    const std::lock_guard lock(mutex_);
    lane.is_dirty = false;
    if (lane.buffer.empty()) {
        return;
    }
    if (lane.first_at <= before) {
        seal_group(lane);
        return;
    }
    lane.is_dirty = true;
    queue_->add_dirty({shared_from_this(), &lane, lane.first_at});
}

// --- Other changes ---

uint32_t RunState::attempt() const {
    const std::lock_guard lock(mutex_);
    return attempt_;
}

void RunState::set_attempt(uint32_t attempt) {
    const std::lock_guard lock(mutex_);
    if (attempt != attempt_) {
        seal_lanes();
        attempt_ = attempt;
    }
}

std::shared_ptr<Outcome> RunState::push(
    const std::function<std::vector<std::byte>(uint64_t)>& encode, bool is_waited_for) {
    const std::lock_guard lock(mutex_);
    seal_lanes();
    auto frame = std::make_unique<QueuedFrame>(FrameKind::kOther, shared_from_this());
    frame->number = next_number_++;
    frame->bytes = encode(frame->number);
    auto outcome = is_waited_for ? std::make_shared<Outcome>() : nullptr;
    frame->outcome = outcome;
    queue_->push(std::move(frame));
    return outcome;
}

// --- The sender ---

void RunState::set_opened(const RunOpened& opened) {
    const std::lock_guard lock(mutex_);
    attempt_ = opened.attempt;
    next_number_ = opened.last_number + 1;
}

uint64_t RunState::next_number() const {
    const std::lock_guard lock(mutex_);
    return next_number_;
}

void RunState::fail(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (failure_) {
        return;
    }
    // What gathers follows as frames, which the sender refuses with this error.
    seal_lanes();
    failure_ = error;
}

std::optional<Error> RunState::failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

}  // namespace stepdb::client
