#include "engine/catalog/writer_table.h"

#include <algorithm>

namespace stepdb {

void WriterState::remember_refused() {
    if (refused == nullptr) {
        refused = std::make_unique<std::set<uint64_t>>();
    }
    refused->insert(accepted_number);
    if (refused->size() > kRefusedMax) {
        refused->erase(refused->begin());
    }
}

WriterState* WriterTable::find(const WriterKey& key) {
    const auto at = states_.find(key);
    return at == states_.end() ? nullptr : &at->second;
}

WriterState& WriterTable::get_or_add(const WriterKey& key) {
    return states_[key];
}

void WriterTable::forget_before(int64_t oldest_us) {
    std::erase_if(states_, [&](const auto& entry) {
        const WriterState& state = entry.second;
        return state.handles == 0 && state.published && state.last_frame_us < oldest_us;
    });
}

void WriterTable::encode(ByteWriter& writer) const {
    const auto published =
        std::ranges::count_if(states_, [](const auto& entry) { return entry.second.published; });
    writer.put(static_cast<uint64_t>(published));
    for (const auto& [key, state] : states_) {
        if (!state.published) {
            continue;
        }
        writer.put_bytes(key.writer.bytes);
        writer.put(key.run);
        writer.put(state.published_number);
        writer.put(state.last_frame_us);
    }
}

Result<WriterTable> WriterTable::decode(ByteReader& reader) {
    constexpr uint64_t kEntryBytes = 40;
    WriterTable table;
    const auto count = reader.get<uint64_t>();
    if (reader.failed() || count > reader.remaining() / kEntryBytes) {
        return make_error(ErrorCode::kCorruption, "catalog: {} writers in {} bytes", count,
                          reader.remaining());
    }
    for (uint64_t i = 0; i < count; ++i) {
        WriterKey key;
        const Bytes id = reader.get_bytes(16);
        std::copy(id.begin(), id.end(), key.writer.bytes.begin());
        key.run = reader.get<uint64_t>();
        WriterState state;
        state.published_number = reader.get<uint64_t>();
        state.accepted_number = state.published_number;
        state.published = true;
        state.last_frame_us = reader.get<int64_t>();
        table.states_.emplace(key, std::move(state));
    }
    return table;
}

}  // namespace stepdb
