#include "engine/model/life_frame.h"

#include <algorithm>
#include <cmath>

#include "engine/base/text.h"
#include "engine/model/limits.h"

namespace stepdb {

namespace {

// A body that must be exactly as long as what was read of it.
Status check_fixed(const ByteReader& reader, std::string_view frame, size_t bytes, size_t expected,
                   Bytes reserved) {
    if (!reader.finished()) {
        return invalid_argument(
            fmt::format("{} frame: a body of {} bytes; it has {}", frame, bytes, expected));
    }
    if (std::ranges::any_of(reserved, [](std::byte byte) { return byte != std::byte{0}; })) {
        return invalid_argument(fmt::format("{} frame: reserved bytes are not 0", frame));
    }
    return {};
}

std::vector<std::byte> encode_handle_frame(FrameType type, uint32_t handle, uint64_t number) {
    FrameBuilder builder(type, number);
    builder.writer().put(handle);
    builder.writer().put_zeros(4);
    return builder.finish();
}

}  // namespace

Result<SetAttributesFrame> SetAttributesFrame::decode(Bytes body) {
    ByteReader reader(body);
    SetAttributesFrame frame;
    frame.handle = reader.get<uint32_t>();
    const auto count = reader.get<uint32_t>();
    for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
        const auto kind = reader.get<uint8_t>();
        AttributeChange change;
        change.kind = static_cast<AttributeChange::Kind>(kind);
        change.name = reader.get_text(kMetricBytesMax);
        if (reader.failed()) {
            break;
        }
        if (kind < 1 || kind > static_cast<uint8_t>(AttributeChange::Kind::kRemoveFromSet)) {
            return invalid_argument(
                fmt::format("set_attributes frame: change {} is of kind {}; 1 to 4 are "
                            "known",
                            i, kind));
        }
        if (change.kind != AttributeChange::Kind::kRemove) {
            const Status decoded = decode_attribute_value(reader, change.value);
            if (!decoded) {
                return decoded.error().within(
                    fmt::format("set_attributes frame: attribute '{}'", printable(change.name)));
            }
        }
        TRY(check_attribute_change(change));
        frame.changes.push_back(std::move(change));
    }
    if (!reader.finished() || count == 0) {
        return invalid_argument(fmt::format(
            "set_attributes frame: {} changes in a body of {} bytes", count, body.size()));
    }
    return frame;
}

std::vector<std::byte> encode_set_attributes_frame(const SetAttributesFrame& frame,
                                                   uint64_t number) {
    FrameBuilder builder(FrameType::kSetAttributes, number);
    ByteWriter& writer = builder.writer();
    writer.put(frame.handle);
    writer.put(static_cast<uint32_t>(frame.changes.size()));
    for (const AttributeChange& change : frame.changes) {
        writer.put(change.kind);
        writer.put_text(change.name);
        if (change.kind != AttributeChange::Kind::kRemove) {
            encode_attribute_value(writer, change.value);
        }
    }
    return builder.finish();
}

Result<RestartRunFrame> RestartRunFrame::decode(Bytes body) {
    ByteReader reader(body);
    RestartRunFrame frame;
    frame.handle = reader.get<uint32_t>();
    frame.attempt = reader.get<uint32_t>();
    const auto has_step = reader.get<uint8_t>();
    const Bytes reserved = reader.get_bytes(7);
    const auto step = reader.get<double>();
    TRY(check_fixed(reader, "restart_run", body.size(), 24, reserved));
    if (has_step > 1 || !std::isfinite(step) || (has_step == 0 && step != 0)) {
        return invalid_argument(
            fmt::format("restart_run frame: step {} (present: {}); it is finite, and 0 "
                        "if it is not there",
                        step, has_step));
    }
    if (frame.attempt == 0) {
        return invalid_argument(
            "restart_run frame: attempt 0; a restart opens attempt 1 or a later one");
    }
    if (has_step == 1) {
        frame.step = step;
    }
    return frame;
}

std::vector<std::byte> encode_restart_run_frame(const RestartRunFrame& frame, uint64_t number) {
    FrameBuilder builder(FrameType::kRestartRun, number);
    ByteWriter& writer = builder.writer();
    writer.put(frame.handle);
    writer.put(frame.attempt);
    writer.put(static_cast<uint8_t>(frame.step.has_value()));
    writer.put_zeros(7);
    writer.put(frame.step.value_or(0));
    return builder.finish();
}

Result<HandleFrame> HandleFrame::decode(Bytes body) {
    ByteReader reader(body);
    HandleFrame frame;
    frame.handle = reader.get<uint32_t>();
    const Bytes reserved = reader.get_bytes(4);
    TRY(check_fixed(reader, "heartbeat or delete_run", body.size(), 8, reserved));
    return frame;
}

std::vector<std::byte> encode_heartbeat_frame(uint32_t handle, uint64_t number) {
    return encode_handle_frame(FrameType::kHeartbeat, handle, number);
}

std::vector<std::byte> encode_delete_run_frame(uint32_t handle, uint64_t number) {
    return encode_handle_frame(FrameType::kDeleteRun, handle, number);
}

Result<DiscardAttemptFrame> DiscardAttemptFrame::decode(Bytes body) {
    ByteReader reader(body);
    DiscardAttemptFrame frame;
    frame.handle = reader.get<uint32_t>();
    frame.attempt = reader.get<uint32_t>();
    const auto refuse = reader.get<uint8_t>();
    const Bytes reserved = reader.get_bytes(7);
    TRY(check_fixed(reader, "discard_attempt", body.size(), 16, reserved));
    if (refuse > 1) {
        return invalid_argument(
            fmt::format("discard_attempt frame: flag {} (refuse if forked); 0 or 1", refuse));
    }
    frame.refuse_if_forked = refuse == 1;
    return frame;
}

std::vector<std::byte> encode_discard_attempt_frame(const DiscardAttemptFrame& frame,
                                                    uint64_t number) {
    FrameBuilder builder(FrameType::kDiscardAttempt, number);
    ByteWriter& writer = builder.writer();
    writer.put(frame.handle);
    writer.put(frame.attempt);
    writer.put(static_cast<uint8_t>(frame.refuse_if_forked));
    writer.put_zeros(7);
    return builder.finish();
}

Result<DeleteMetricsFrame> DeleteMetricsFrame::decode(Bytes body) {
    ByteReader reader(body);
    DeleteMetricsFrame frame;
    frame.handle = reader.get<uint32_t>();
    const auto count = reader.get<uint32_t>();
    for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
        const std::string_view metric = reader.get_text(kMetricBytesMax);
        if (reader.failed()) {
            break;
        }
        TRY(check_metric(metric));
        if (!frame.metrics.empty() && frame.metrics.back() >= metric) {
            return invalid_argument(
                fmt::format("delete_metrics frame: '{}' comes after '{}'; paths are in "
                            "ascending order",
                            printable(metric), printable(frame.metrics.back())));
        }
        frame.metrics.emplace_back(metric);
    }
    if (!reader.finished() || count == 0) {
        return invalid_argument(fmt::format(
            "delete_metrics frame: {} metrics in a body of {} bytes", count, body.size()));
    }
    return frame;
}

std::vector<std::byte> encode_delete_metrics_frame(const DeleteMetricsFrame& frame,
                                                   uint64_t number) {
    FrameBuilder builder(FrameType::kDeleteMetrics, number);
    ByteWriter& writer = builder.writer();
    writer.put(frame.handle);
    writer.put(static_cast<uint32_t>(frame.metrics.size()));
    for (const std::string& metric : frame.metrics) {
        writer.put_text(metric);
    }
    return builder.finish();
}

Result<SetRetentionFrame> SetRetentionFrame::decode(Bytes body) {
    ByteReader reader(body);
    SetRetentionFrame frame;
    frame.project = reader.get_text(kIdBytesMax);
    frame.age_us = reader.get<int64_t>();
    if (!reader.finished() || frame.age_us < 0) {
        return invalid_argument(
            fmt::format("set_retention frame: an age of {} us in a body of {} bytes; it "
                        "is 0 (keep for ever) or more",
                        frame.age_us, body.size()));
    }
    TRY(check_id("project", frame.project));
    return frame;
}

std::vector<std::byte> encode_set_retention_frame(const SetRetentionFrame& frame) {
    FrameBuilder builder(FrameType::kSetRetention, 0);
    builder.writer().put_text(frame.project);
    builder.writer().put(frame.age_us);
    return builder.finish();
}

}  // namespace stepdb
