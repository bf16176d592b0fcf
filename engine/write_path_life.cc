// Accepting the frames of a run's life: each is checked against the accepted catalog and then
// changes it, as it will change the published one.
#include "engine/base/text.h"
#include "engine/catalog_changes.h"
#include "engine/write_path.h"
#include "engine/write_session.h"

namespace stepdb {

namespace {

bool is_delete(FrameType type) {
    return type == FrameType::kDeleteRun || type == FrameType::kDeleteMetrics ||
           type == FrameType::kDiscardAttempt;
}

}  // namespace

Result<WritePath::Accepted> WritePath::accept_life(Session& session, const FrameHeader& header,
                                                   Bytes frame) {
    // Each begins with the handle, so that a frame wrong in what follows uses up its number too.
    ByteReader reader(frame_body(frame));
    const auto handle = reader.get<uint32_t>();
    if (reader.failed()) {
        return make_error(ErrorCode::kInvalidArgument, "{} frame without a body",
                          frame_type_name(header.type));
    }
    TRY_ASSIGN(const std::optional<Claim> claimed, claim(session, handle, header.number));
    if (!claimed) {
        return Accepted();
    }
    TRY(is_delete(header.type) ? check_room_for_deletes() : check_room());
    Accepted accepted;
    accepted.header = record_header(session);
    TRY_ASSIGN(accepted.header.attempt, check_life(*claimed->run, header.type, frame_body(frame)));
    accepted.header.run = claimed->handle->run;
    accepted.header.frame_number = header.number;
    accepted.logged = log_->append(accepted.header, frame);
    apply(accepted);
    if (is_delete(header.type)) {
        deleted_();
    }
    return accepted;
}

Result<uint32_t> WritePath::check_life(const Run& run, FrameType type, Bytes body) const {
    const Catalog& catalog = state_.accepted;
    switch (type) {
        case FrameType::kFinishRun: {
            TRY_ASSIGN(const FinishRunFrame finish, FinishRunFrame::decode(body));
            TRY(check_attempt(run, finish.attempt));
            return finish.attempt;
        }
        case FrameType::kSetAttributes: {
            TRY_ASSIGN(const SetAttributesFrame set, SetAttributesFrame::decode(body));
            TRY(check_resident(2 * body.size()));
            TRY(check_attributes(run, set));
            return 0U;
        }
        case FrameType::kRestartRun: {
            TRY_ASSIGN(const RestartRunFrame restart, RestartRunFrame::decode(body));
            TRY(check_resident(2 * sizeof(Attempt)));
            TRY(check_restart(catalog, run, restart));
            return restart.attempt;
        }
        case FrameType::kHeartbeat: {
            TRY_ASSIGN(const HandleFrame heartbeat, HandleFrame::decode(body));
            static_cast<void>(heartbeat);
            return 0U;
        }
        case FrameType::kDiscardAttempt: {
            TRY_ASSIGN(const DiscardAttemptFrame discard, DiscardAttemptFrame::decode(body));
            TRY(check_discard(catalog, run, discard));
            return discard.attempt;
        }
        case FrameType::kDeleteMetrics: {
            TRY_ASSIGN(const DeleteMetricsFrame deleted, DeleteMetricsFrame::decode(body));
            TRY(check_resident(2 * body.size()));
            TRY(check_no_forks(catalog, run, "metrics of run " + run.path()));
            return 0U;
        }
        case FrameType::kDeleteRun: {
            TRY_ASSIGN(const HandleFrame deleted, HandleFrame::decode(body));
            static_cast<void>(deleted);
            TRY(check_no_forks(catalog, run, "run " + run.path()));
            return 0U;
        }
        default:
            CHECK(false, "{} is no frame of a run's life", frame_type_name(type));
    }
}

Result<WritePath::Accepted> WritePath::accept_set_retention(Session& session, Bytes frame) {
    TRY_ASSIGN(const SetRetentionFrame set, SetRetentionFrame::decode(frame_body(frame)));
    TRY(check_right(session.rights.get(), Right::kAdmin, set.project));
    TRY(check_room_for_deletes());  // retention is one
    TRY(check_resident(set.project.size() + 100));
    Accepted accepted;
    accepted.header = record_header(session);
    accepted.logged = log_->append(accepted.header, frame);
    apply(accepted);
    return accepted;
}

bool WritePath::delete_run(uint64_t run) {
    if (latched_ || log_ == nullptr || (full_ && !takes_deletes_()) ||
        state_.accepted.find_run(run) == nullptr) {
        return false;
    }
    Pending pending(nullptr, 0);
    RecordHeader& header = pending.accepted.header;
    header.run = run;
    header.receive_time_us = clock_.now_us();
    pending.accepted.logged = log_->append(header, encode_delete_run_frame(0, 0));
    pending.after_sequence = log_sequence();
    apply(pending.accepted);
    pending_.push_back(std::move(pending));
    deleted_();
    return true;
}

}  // namespace stepdb
