#include "engine/catalog/run_activity.h"

namespace stepdb {

void RunActivities::encode(ByteWriter& writer) const {
    writer.put(static_cast<uint64_t>(runs_.size()));
    for (const auto& [run, activity] : runs_) {
        writer.put(run);
        writer.put(activity.last_write_us);
        writer.put(activity.last_sign_us);
        writer.put(activity.writers);
    }
}

Status RunActivities::decode(ByteReader& reader) {
    constexpr uint64_t kEntryBytes = 28;
    const auto count = reader.get<uint64_t>();
    if (reader.failed() || count > reader.remaining() / kEntryBytes) {
        return make_error(ErrorCode::kCorruption, "catalog: activity of {} runs in {} bytes", count,
                          reader.remaining());
    }
    for (uint64_t i = 0; i < count; ++i) {
        RunActivity& activity = of(reader.get<uint64_t>());
        activity.last_write_us = reader.get<int64_t>();
        activity.last_sign_us = reader.get<int64_t>();
        activity.writers = reader.get<uint32_t>();
    }
    return {};
}

}  // namespace stepdb
