#include "tests/format/golden_store.h"

#include "engine/base/checksum.h"
#include "tests/support/tracked_client.h"

namespace stepdb {

namespace {

void play(TrackedClient& client) {
    client.log("p/a", 0, 40);
    client.log_times("p/a", 0, 10);
    client.log("p/b", 0, 12);
    client.log("p/long", 0, 3000);
    client.set_attributes("p/a", 1);
    client.flush();
    client.log("p/a", 30, 30);  // some replaced
    client.log("p/c", 0, 6);
    client.restart("p/a", 1, 50);
    client.log("p/a", 51, 10, 1);
    client.fork("p/f", "p/a", 20);
    client.log("p/f", 21, 8);
    client.flush();
    client.compact();
    client.log("p/d", 0, 5);
    client.delete_run("p/c");
    client.delete_metrics("p/b");
    client.log("p/b", 20, 3);
    client.flush();
    // The rest is in the log alone.
    client.log("p/a", 61, 7, 1);
    client.log_times("p/b", 3, 4);
    client.set_attributes("p/f", 2);
    client.discard("p/a", 0);
    client.finish("p/d");
    client.log("p/e", 0, 3);
    client.settle();
}

// Of longer series the lines are told in short.
constexpr size_t kPointsListed = 100;

std::string_view state_word(RunState state) {
    switch (state) {
        case RunState::kRunning:
            return "running";
        case RunState::kFinished:
            return "finished";
        default:
            return "other";
    }
}

}  // namespace

EngineOptions golden_options() {
    EngineOptions options = SimStore::small_options();
    options.merge_automatically = false;
    options.log_file_bytes = 16U << 10U;
    options.merge_bytes_max = 1U << 20U;  // of a long series so much in one chunk that it has nodes
    return options;
}

SimDisk make_golden_store() {
    SimDisk disk;
    SimStore store(disk, 1, golden_options());
    const Status opened = store.open();
    CHECK(opened, "{}", opened.error().message());
    {
        TrackedClient client(store, sha256_128(as_bytes("golden")), [&store] { store.run(); });
        client.connect();
        play(client);
        client.disconnect();
    }
    store.run();
    store.crash(CrashKind::kProcessKill);
    return disk;
}

std::string list_store(SimStore& store) {
    std::string text;
    const Result<ReferenceModel::Contents> contents = store.contents();
    CHECK(contents, "{}", contents.error().message());
    for (const auto& [series, points] : *contents) {
        std::string lines;
        for (const auto& [key, point] : points) {
            lines += fmt::format("{} {} {} {} {:016x}\n", series.first, series.second, key,
                                 point.time_us, point.value_bits);
        }
        text += points.size() <= kPointsListed
                    ? lines
                    : fmt::format("{} {} {} points, xxh3 of their lines {:016x}\n", series.first,
                                  series.second, points.size(), xxh3(as_bytes(lines)));
    }
    for (const auto& [run, facts] : store.facts()) {
        text += fmt::format("{} {} parent {} attempts {} discarded {}\n", run,
                            state_word(facts.state), facts.parent.empty() ? "-" : facts.parent,
                            facts.attempts.size(), facts.discarded.size());
        for (const auto& [name, value] : facts.attributes) {
            ByteWriter bytes;
            encode_attribute_value(bytes, value);
            text += fmt::format("{} {} ", run, name);
            for (const std::byte byte : bytes.bytes()) {
                text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
            }
            text += '\n';
        }
    }
    return text;
}

}  // namespace stepdb
