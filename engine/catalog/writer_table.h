// Who has sent what: for every (writer, run) the number of its last frame, so that a frame sent
// again changes nothing. One table serves both views: `accepted` runs ahead of the disk and judges
// arriving frames, `published` is what the log holds and what checkpoints keep.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/base/coding.h"
#include "engine/base/result.h"

namespace stepdb {

// A writer is known for 30 days from its last frame: docs/protocol.md promises it.
inline constexpr int64_t kWriterKeptUs = int64_t{30} * 24 * 3600 * 1'000'000;

struct WriterKey {
    Id128 writer;
    uint64_t run = 0;

    bool operator==(const WriterKey&) const = default;
};

struct WriterKeyHash {
    size_t operator()(const WriterKey& key) const { return xxh3(key.writer.bytes, key.run); }
};

struct WriterState {
    uint64_t accepted_number = 0;   // last number taken, durable or not
    uint64_t published_number = 0;  // last number in the durable log
    int64_t last_frame_us = 0;      // receive time of its last durable frame
    uint64_t session = 0;           // the newest of its connections, which alone may write; or 0
    uint32_t handles = 0;           // of connections, fenced ones too, that point here
    bool published = false;         // its opening is in the durable log
    // Numbers used up by refused frames, the newest kRefusedMax of them: sent again they must be
    // refused again, not acknowledged. Not kept over a restart, where such a frame is judged anew.
    std::unique_ptr<std::set<uint64_t>> refused;  // null: none
    static constexpr size_t kRefusedMax = 4096;

    // The last accepted number belonged to a frame that was refused.
    void remember_refused();
    bool was_refused(uint64_t number) const {
        return refused != nullptr && refused->contains(number);
    }
};

class WriterTable {
  public:
    WriterState* find(const WriterKey& key);
    WriterState& get_or_add(const WriterKey& key);

    // Forgets writers silent since before `oldest_us` that no connection has a handle of.
    void forget_before(int64_t oldest_us);

    // The published side.
    void encode(ByteWriter& writer) const;
    static Result<WriterTable> decode(ByteReader& reader);

    size_t size() const { return states_.size(); }
    // About, without the refused numbers, which are few.
    size_t memory_bytes() const {
        return states_.size() * (sizeof(WriterKey) + sizeof(WriterState) + 48);
    }
    const std::unordered_map<WriterKey, WriterState, WriterKeyHash>& states() const {
        return states_;
    }

  private:
    std::unordered_map<WriterKey, WriterState, WriterKeyHash> states_;
};

}  // namespace stepdb
