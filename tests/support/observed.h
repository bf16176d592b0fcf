// What an open store reads as, series by series, whatever is damaged in it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/block_cache.h"
#include "engine/engine.h"
#include "engine/snapshot.h"
#include "tests/support/sim_store.h"

namespace stepdb {

inline Task<Result<ReferenceModel::Series>> read_whole_series(SnapshotReader& reader,
                                                              std::shared_ptr<const Run> run,
                                                              uint32_t attempt,
                                                              std::string metric) {
    const std::unique_ptr<SeriesCursor> cursor =
        reader.open_series({*run, attempt}, metric, KeyRange());
    ReferenceModel::Series series;
    Points batch;
    while (true) {
        const Result<bool> more = co_await cursor->next(batch);
        if (!more) {
            co_return more.error();
        }
        if (!*more) {
            co_return series;
        }
        for (size_t i = 0; i < batch.size(); ++i) {
            series[batch.keys[i]] = {batch.times[i], bits_of(batch.values[i])};
        }
    }
}

// What a repaired store reads as; series that cannot be read say why.
struct Observed {
    ReferenceModel::Contents contents;
    std::map<std::pair<std::string, std::string>, std::string> errors;
};

inline Observed observe(SimStore& store) {
    Observed seen;
    std::vector<uint64_t> ids;
    for (const auto& run : store.engine().catalog()->runs()) {
        ids.push_back(run->id);
    }
    const auto snapshot = store.engine().snapshot(ids);
    SnapshotReader reader(store.files(), snapshot, nullptr,
                          std::make_shared<BlockCache>(size_t{1} << 20U));
    for (const auto& run : snapshot->runs()) {
        for (const Attempt& attempt : run->attempts) {
            const bool newest = attempt.number == run->newest_attempt().number;
            const std::string name =
                newest ? run->path() : fmt::format("{}#{}", run->path(), attempt.number);
            for (const MetricInfo& metric : snapshot->metrics({*run, attempt.number})) {
                auto series = run_task(store.executor(),
                                       read_whole_series(reader, run, attempt.number, metric.name));
                if (series) {
                    seen.contents[{name, metric.name}] = std::move(*series);
                } else {
                    seen.errors[{name, metric.name}] = series.error().message();
                }
            }
        }
    }
    return seen;
}

}  // namespace stepdb
