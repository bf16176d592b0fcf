// Bodies of the frames that change a run's life: attributes, restarts, heartbeats, deletes; and a
// project's retention. Layouts are those of docs/protocol.md, "Frames of a run's life". As in
// frame.h, decode() checks everything that needs no other state.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/model/attribute.h"
#include "engine/model/frame.h"

namespace stepdb {

// body: u32 handle, u32 count (1 or more), then each: u8 kind, text name, and but for a removal the
// value (attribute.h).
struct SetAttributesFrame {
    SetAttributesFrame() = default;

    uint32_t handle = 0;
    std::vector<AttributeChange> changes;

    static Result<SetAttributesFrame> decode(Bytes body);
};
std::vector<std::byte> encode_set_attributes_frame(const SetAttributesFrame& frame,
                                                   uint64_t number);

// body: u32 handle, u32 attempt (1 or more), u8 1 if the step is there, u8[7] zero, f64 step (0 if
// it is not: nothing of earlier attempts is read).
struct RestartRunFrame {
    uint32_t handle = 0;
    uint32_t attempt = 0;
    std::optional<double> step;  // finite

    static Result<RestartRunFrame> decode(Bytes body);
    // The last key read from the attempt before; unset if nothing is.
    std::optional<Key> cut() const {
        return step ? std::optional<Key>(key_of_step(*step)) : std::nullopt;
    }
};
std::vector<std::byte> encode_restart_run_frame(const RestartRunFrame& frame, uint64_t number);

// body: u32 handle, u32 zero.
struct HandleFrame {
    uint32_t handle = 0;

    static Result<HandleFrame> decode(Bytes body);
};
std::vector<std::byte> encode_heartbeat_frame(uint32_t handle, uint64_t number);
std::vector<std::byte> encode_delete_run_frame(uint32_t handle, uint64_t number);

// body: u32 handle, u32 attempt, u8 refuse if forked (0 or 1), u8[7] zero.
struct DiscardAttemptFrame {
    uint32_t handle = 0;
    uint32_t attempt = 0;
    // Refused while a fork is pinned to the attempt: "delete", where plain discarding would keep
    // what the fork reads.
    bool refuse_if_forked = false;

    static Result<DiscardAttemptFrame> decode(Bytes body);
};
std::vector<std::byte> encode_discard_attempt_frame(const DiscardAttemptFrame& frame,
                                                    uint64_t number);

// body: u32 handle, u32 count (1 or more), then the metric paths as texts in ascending byte order.
struct DeleteMetricsFrame {
    DeleteMetricsFrame() = default;

    uint32_t handle = 0;
    std::vector<std::string> metrics;

    static Result<DeleteMetricsFrame> decode(Bytes body);
};
std::vector<std::byte> encode_delete_metrics_frame(const DeleteMetricsFrame& frame,
                                                   uint64_t number);

// body: text project, i64 microseconds since the last write after which runs are deleted; 0: never.
struct SetRetentionFrame {
    std::string_view project;
    int64_t age_us = 0;

    static Result<SetRetentionFrame> decode(Bytes body);
};
std::vector<std::byte> encode_set_retention_frame(const SetRetentionFrame& frame);

}  // namespace stepdb
