#include "query/store_facts.h"

#include <fmt/format.h>

#include "engine/base/text.h"
#include "engine/engine.h"

namespace stepdb {

namespace {

class Facts {
  public:
    void count(std::string what, uint64_t count) {
        add(std::move(what), static_cast<double>(count), "");
    }
    void bytes(std::string what, uint64_t bytes) {
        add(std::move(what), static_cast<double>(bytes), format_size(bytes));
    }
    void factor(std::string what, double factor) {
        add(std::move(what), factor, fmt::format("{:.1f}", factor));
    }
    void add(std::string what, double value, std::string reads_as) {
        StoreFact& fact = facts_.emplace_back();
        fact.what = std::move(what);
        fact.value = value;
        fact.reads_as = std::move(reads_as);
    }
    std::vector<StoreFact> take() { return std::move(facts_); }

  private:
    std::vector<StoreFact> facts_;
};

// How often what flushes wrote has been written, once by them and then by merges.
double write_amplification(const EngineStats& stats) {
    const auto flushed = static_cast<double>(stats.flush_bytes_written);
    return flushed == 0 ? 0 : 1 + static_cast<double>(stats.merge_bytes_written) / flushed;
}

}  // namespace

std::vector<StoreFact> list_store_facts(const EngineStats& stats, const QueryFacts& queries) {
    Facts facts;
    facts.count("runs", stats.runs);
    facts.count("schemas", stats.schemas);
    facts.count("durable sequence", stats.sequence_durable);
    facts.bytes("live log bytes", stats.log_live_bytes);
    facts.count("log groups", stats.log_groups);
    facts.count("tails", stats.tails);
    facts.bytes("rows in memory bytes", stats.memory_block_bytes);
    facts.bytes("pinned by snapshots bytes", stats.pinned_bytes);
    facts.bytes("resident bytes", stats.resident_bytes);
    facts.count("flushes", stats.flushes);
    facts.count("flushing now", stats.flushing ? 1 : 0);
    facts.bytes("flushes wrote bytes", stats.flush_bytes_written);
    facts.count("segments", stats.segments);
    facts.bytes("segment bytes", stats.segment_bytes);
    facts.count("segment blocks", stats.segment_blocks);
    facts.count("damaged blocks", stats.damaged_blocks);
    facts.factor("blocks of a series, mean", stats.series_blocks_mean);
    facts.count("blocks of a series, most", stats.series_blocks_max);
    facts.count("merges", stats.merges);
    facts.count("merging now", stats.merging ? 1 : 0);
    facts.bytes("merges read bytes", stats.merge_bytes_read);
    facts.bytes("merges wrote bytes", stats.merge_bytes_written);
    facts.factor("write amplification", write_amplification(stats));
    facts.count("settled", stats.settled ? 1 : 0);
    facts.count("queries running", queries.running);
    facts.count("queries waiting for memory", queries.waiting);
    facts.count("queries done", queries.done);
    facts.count("queries failed", queries.failed);
    facts.count("queries cancelled", queries.cancelled);
    facts.count("slow queries", queries.slow);
    facts.bytes("query memory bytes", queries.memory_bytes);
    facts.bytes("query memory bytes, most", queries.memory_bytes_max);
    facts.bytes("query cache bytes", queries.cache_bytes);
    facts.bytes("query cache bytes, most", queries.cache_bytes_max);
    facts.count("query cache looks", queries.cache_looks);
    facts.count("query cache hits", queries.cache_hits);
    return facts.take();
}

std::vector<std::string> list_store_troubles(const EngineStats& stats) {
    std::vector<std::string> troubles;
    if (stats.flush_error) {
        troubles.push_back("the last flush failed: " + stats.flush_error->message());
    }
    if (stats.damaged_blocks != 0) {
        troubles.push_back(fmt::format(
            "{} blocks were damaged before they were merged; `stepdb verify` says what of them",
            stats.damaged_blocks));
    }
    if (stats.merge_error) {
        troubles.push_back("merging: " + stats.merge_error->message());
    }
    return troubles;
}

}  // namespace stepdb
