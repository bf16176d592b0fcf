// What a server with a stand-in for the engine has taken: rows by run, in order.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/base/float_bits.h"
#include "net/testing/running_server.h"

namespace stepdb::client {

struct RecordedRow {
    double step = 0;
    int64_t time_us = 0;
    SchemaHash schema;
    std::vector<uint64_t> bits;  // of all columns, as doubles
    std::vector<bool> present;
};

// Reads every value of a row.
inline RecordedRow read_row(const RowsView& view, uint32_t row, const std::byte*& at) {
    RecordedRow read;
    read.step = view.has_steps() ? view.step(row) : 0;
    read.time_us = view.time(row);
    read.schema = view.head().schema;
    read.bits.resize(view.width());
    read.present.resize(view.width());
    for (const bool wide : {false, true}) {
        for (uint32_t column = 0; column < view.width(); ++column) {
            if (view.is_float64(column) != wide || !view.is_present(row, column)) {
                continue;
            }
            read.present[column] = true;
            read.bits[column] =
                wide ? load_le<uint64_t>(at) : bits_of(widen(load_le<uint32_t>(at)));
            at += wide ? 8 : 4;
        }
    }
    return read;
}

class RecordingServer {
  public:
    RecordingServer() {
        server_.engine_side().run([this] {
            server_.engine().watch_rows([this](const std::string& run, const RowsView& view) {
                const std::byte* at = view.values().data();
                for (uint32_t row = 0; row < view.rows(); ++row) {
                    rows_[run].push_back(read_row(view, row, at));
                }
                ++frames_;
                {
                    const std::lock_guard lock(mutex_);
                    has_new_ = true;
                }
                changed_.notify_all();
            });
        });
    }

    uint16_t port() { return server_.server().port(); }
    RunningServer& server() { return server_; }

    std::vector<RecordedRow> rows(const std::string& run) {
        std::vector<RecordedRow> rows;
        server_.engine_side().run([&] { rows = rows_[run]; });
        return rows;
    }
    // Of rows.
    uint64_t frames() {
        uint64_t frames = 0;
        server_.engine_side().run([&] { frames = frames_; });
        return frames;
    }
    // Outcomes wait until release().
    void hold() {
        server_.engine_side().run([this] { server_.engine().hold(); });
    }
    void release() {
        server_.engine_side().run([this] { server_.engine().release(); });
    }
    // Until a frame of rows has been taken since the last call.
    void wait_for_rows() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return std::exchange(has_new_, false); });
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool has_new_ = false;
    std::map<std::string, std::vector<RecordedRow>> rows_;  // the engine's executor's
    uint64_t frames_ = 0;
    RunningServer server_;  // goes first
};

}  // namespace stepdb::client
