#include "tests/crash/crash_scripts.h"

namespace stepdb {

namespace {

void log_rows(TrackedClient& client) {
    client.log("p/a", 0, 5);
    client.log("p/b", 0, 3);
    client.log_times("p/a", 0, 4);
    client.log("p/a", 3, 6);  // some replaced
    client.log("p/b", 40, 2);
    client.log("p/b", 10, 2);  // late
}

void flush_twice(TrackedClient& client) {
    client.log("p/a", 0, 20);
    client.log_times("p/b", 0, 5);
    client.flush();
    client.log("p/a", 10, 20);
    client.log("p/b", 0, 5);
    client.flush([&] {
        client.log("p/a", 30, 3);
        client.log("p/b", 4, 3);
    });
    client.log("p/a", 32, 2);
}

void merge(TrackedClient& client) {
    client.log("p/a", 0, 20);
    client.flush();
    client.log("p/a", 15, 20);
    client.log("p/b", 0, 3);
    client.flush();
    client.log("p/b", 3, 3);
    client.compact([&] { client.log("p/b", 5, 2); });
    client.log("p/a", 33, 4);
}

void restart_and_fork(TrackedClient& client) {
    client.log("p/a", 0, 10);
    client.restart("p/a", 1, 5);
    client.log("p/a", 6, 3, 1);
    client.fork("p/f", "p/a", 7);
    client.log("p/f", 8, 3);
    client.flush();
    client.log("p/a", 2, 1, 0);  // late, to the attempt before
    client.restart("p/f", 1, 9);
    client.finish("p/f", 1);
}

void take_away(TrackedClient& client) {
    client.log("p/a", 0, 80);
    client.log("p/b", 0, 6);
    client.restart("p/a", 1, 3);
    client.flush();
    client.discard("p/a", 0);
    client.delete_metrics("p/b");
    client.log("p/b", 2, 2);
    client.delete_run("p/a");
    client.compact();
    client.log("p/b", 9, 1);
}

void attributes(TrackedClient& client) {
    client.log("p/a", 0, 2);
    client.set_attributes("p/a", 1);
    client.fork("p/f", "p/a", 1);
    client.set_attributes("p/f", 2);
    client.flush();
    client.set_attributes("p/a", 3);
    client.finish("p/a");
}

void retention(TrackedClient& client) {
    client.log("old/a", 0, 80);
    client.log("old/b", 0, 4);
    client.log("p/a", 0, 2);
    client.flush();
    client.expire("old");
    client.log("p/a", 2, 2);
    client.compact();
}

// So many groups that log files fill up, are released, and come to use again.
void recycle_log(TrackedClient& client) {
    for (int i = 0; i < 6; ++i) {
        client.log("p/a", i * 30, 30);
        client.settle();
        if (i % 2 == 1) {
            client.flush();
        }
    }
    client.log("p/a", 0, 3);
}

// Every edit makes a new manifest.
void rewrite_manifest(TrackedClient& client) {
    client.log("p/a", 0, 4);
    client.flush();
    client.log("p/a", 4, 4);
    client.flush();
    client.log("p/b", 0, 4);
    client.flush();
}

// The first one makes its directory's mark; the second one takes over what is there already.
void back_up(TrackedClient& client) {
    client.log("p/a", 0, 6);
    client.back_up([&] { client.log("p/a", 6, 1); });
    client.flush();
    client.back_up();
}

}  // namespace

const std::vector<CrashScript>& crash_scripts() {
    static const std::vector<CrashScript> scripts = {
        {"rows", log_rows},
        {"flush", flush_twice},
        {"merge", merge},
        {"restart_and_fork", restart_and_fork},
        {"take_away", take_away},
        {"attributes", attributes},
        {"retention", retention},
        {"recycle_log", recycle_log,
         [](EngineOptions& options) {
             options.log_file_bytes = 8U << 10U;
             options.log_live_bytes_max = 32U << 10U;
             options.log_group_bytes_max = 4U << 10U;
         }},
        {"rewrite_manifest", rewrite_manifest,
         [](EngineOptions& options) { options.manifest_bytes_max = 1; }},
        {"back_up", back_up, [](EngineOptions&) {}, true},
    };
    return scripts;
}

}  // namespace stepdb
