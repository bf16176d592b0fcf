#include "engine/catalog/run.h"

#include <algorithm>

#include "engine/model/limits.h"

namespace stepdb {

namespace {

void encode_attributes(ByteWriter& writer, const Attributes& attributes) {
    writer.put(static_cast<uint32_t>(attributes.size()));
    for (const auto& [name, value] : attributes) {
        writer.put_text(name);
        encode_attribute_value(writer, value);
    }
}

Status decode_attributes(ByteReader& reader, Run& run) {
    const auto count = reader.get<uint32_t>();
    if (count == 0) {
        return {};
    }
    Attributes attributes;
    for (uint32_t i = 0; i < count && !reader.failed(); ++i) {
        const std::string name(reader.get_text(kMetricBytesMax));
        const Status decoded = decode_attribute_value(reader, attributes[name]);
        if (!decoded) {
            return corruption(fmt::format("catalog: run {}, attribute {}: {}", run.id, i,
                                          decoded.error().message()));
        }
    }
    run.attributes = std::make_shared<const Attributes>(std::move(attributes));
    return {};
}

void decode_deletes(ByteReader& reader, Run& run) {
    const auto deletes = reader.get<uint32_t>();
    for (uint32_t i = 0; i < deletes && !reader.failed(); ++i) {
        MetricDelete deleted;
        deleted.sequence = reader.get<uint64_t>();
        const auto count = reader.get<uint32_t>();
        auto metrics = std::make_shared<std::vector<std::string>>();
        for (uint32_t j = 0; j < count && !reader.failed(); ++j) {
            metrics->emplace_back(reader.get_text(kMetricBytesMax));
        }
        deleted.metrics = std::move(metrics);
        run.deletes.push_back(std::move(deleted));
    }
}

}  // namespace

const Attempt* Run::find_attempt(uint32_t number) const {
    const auto at = std::ranges::lower_bound(attempts, number, {}, &Attempt::number);
    return at != attempts.end() && at->number == number ? &*at : nullptr;
}

const Attributes& Run::all_attributes() const {
    static const Attributes none;
    return attributes == nullptr ? none : *attributes;
}

uint64_t Run::deleted_through(std::string_view metric) const {
    const auto last = std::find_if(deletes.rbegin(), deletes.rend(), [&](const MetricDelete& each) {
        return std::ranges::binary_search(*each.metrics, metric, std::less<>());
    });
    return last == deletes.rend() ? 0 : last->sequence;
}

size_t Run::memory_bytes() const {
    size_t bytes = sizeof(Run) + attempts.size() * sizeof(Attempt) + project.size() + name.size();
    bytes += attributes == nullptr ? 0 : attributes_bytes(*attributes);
    for (const MetricDelete& each : deletes) {
        for (const std::string& metric : *each.metrics) {
            bytes += sizeof(std::string) + metric.size();
        }
    }
    return bytes;
}

void encode_run(ByteWriter& writer, const Run& run) {
    writer.put(run.id);
    writer.put_text(run.project);
    writer.put_text(run.name);
    writer.put(run.state);
    writer.put(run.created_us);
    writer.put(run.created_sequence);
    writer.put(static_cast<uint32_t>(run.attempts.size()));
    for (const Attempt& attempt : run.attempts) {
        writer.put(attempt.number);
        writer.put(attempt.parent_run);
        writer.put(attempt.parent_attempt);
        writer.put(attempt.parent_cut);
        writer.put(attempt.opened_sequence);
        writer.put(static_cast<uint8_t>(attempt.discarded));
    }
    encode_attributes(writer, run.all_attributes());
    writer.put(static_cast<uint32_t>(run.deletes.size()));
    for (const MetricDelete& each : run.deletes) {
        writer.put(each.sequence);
        writer.put(static_cast<uint32_t>(each.metrics->size()));
        for (const std::string& metric : *each.metrics) {
            writer.put_text(metric);
        }
    }
}

Result<std::shared_ptr<const Run>> decode_run(ByteReader& reader, uint32_t version) {
    auto run = std::make_shared<Run>();
    run->id = reader.get<uint64_t>();
    run->project = reader.get_text(kIdBytesMax);
    run->name = reader.get_text(kIdBytesMax);
    const auto state = reader.get<uint8_t>();
    run->state = static_cast<RunState>(state);
    run->created_us = reader.get<int64_t>();
    run->created_sequence = reader.get<uint64_t>();
    const auto attempts = reader.get<uint32_t>();
    constexpr size_t kAttemptBytes = 32;
    if (reader.failed() || state > static_cast<uint8_t>(RunState::kFailed) || attempts == 0 ||
        attempts > reader.remaining() / kAttemptBytes) {
        return corruption(fmt::format("catalog: run {} with state {} and {} attempts in {} bytes",
                                      run->id, state, attempts, reader.remaining()));
    }
    run->attempts.reserve(attempts);
    for (uint32_t i = 0; i < attempts; ++i) {
        Attempt attempt;
        attempt.number = reader.get<uint32_t>();
        attempt.parent_run = reader.get<uint64_t>();
        attempt.parent_attempt = reader.get<uint32_t>();
        attempt.parent_cut = reader.get<Key>();
        attempt.opened_sequence = reader.get<uint64_t>();
        attempt.discarded = version >= 2 && reader.get<uint8_t>() != 0;
        run->attempts.push_back(attempt);
    }
    if (version >= 2) {
        TRY(decode_attributes(reader, *run));
        decode_deletes(reader, *run);
    }
    if (reader.failed()) {
        return corruption(fmt::format("catalog: run {} is cut off", run->id));
    }
    return std::shared_ptr<const Run>(std::move(run));
}

}  // namespace stepdb
