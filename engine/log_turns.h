// Turns of writing for what may wait for the log: a flush of the log covers everything written to
// the disk before it, so that a group behind hundreds of megabytes of a segment takes as long as
// these. While the log is busy, segments get a piece or two after each of its groups.
#pragma once

#include <coroutine>
#include <deque>
#include <functional>
#include <utility>

#include "engine/io/executor.h"
#include "engine/segment/segment_writer.h"

namespace stepdb {

// The engine's side. On its executor.
class LogTurns {
  public:
    // Pieces after a group: flush and merge of a point take about three quarters of the bytes that
    // it has in the log, each.
    static constexpr size_t kPiecesAGroup = 2;

    // `go` is called at once if the log has nothing under way, else when its turn comes.
    void ask(bool log_is_busy, std::function<void()> go) {
        if (log_is_busy) {
            waiting_.push_back(std::move(go));
        } else {
            go();
        }
    }
    // The same for what has time, a backup: a turn in kGroupsBehind groups of a busy log. At the
    // full rate of rows that is within the noise: 47 and 52 M points/s, 49 and 50 without.
    void ask_behind(bool log_is_busy, std::function<void()> go) {
        if (log_is_busy) {
            behind_.push_back(std::move(go));
        } else {
            go();
        }
    }
    // To be called whenever groups have ended, and when the log will end no more.
    void give(size_t groups, bool log_is_busy) {
        let_go(waiting_, log_is_busy ? groups * kPiecesAGroup : waiting_.size());
        groups_without_ = behind_.empty() ? 0 : groups_without_ + groups;
        const size_t due = log_is_busy ? groups_without_ / kGroupsBehind : behind_.size();
        if (due != 0) {
            let_go(behind_, due);
            groups_without_ = 0;
        }
    }

  private:
    static constexpr size_t kGroupsBehind = 4;

    using Line = std::deque<std::function<void()>>;

    static void let_go(Line& line, size_t turns) {
        for (; turns > 0 && !line.empty(); --turns) {
            const std::function<void()> go = std::move(line.front());
            line.pop_front();
            go();
        }
    }

    Line waiting_;
    Line behind_;
    size_t groups_without_ = 0;  // that have ended since one of behind_ was let go
};

// The side of who writes a segment, on executor `here`; asks on the engine's, `there`.
class SegmentTurns final : public WriteTurns {
  public:
    // Called on `there`.
    using Ask = std::function<void(std::function<void()> go)>;

    SegmentTurns(Executor& here, Executor& there, Ask ask)
        : here_(here), there_(there), ask_(std::move(ask)) {}

    Task<void> next() override { co_await Turn{*this}; }

  private:
    struct Turn {
        SegmentTurns& turns;

        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiter) const {
            turns.there_.post([&turns = turns, waiter] {
                turns.ask_([&turns, waiter] { turns.here_.post([waiter] { waiter.resume(); }); });
            });
        }
        void await_resume() const noexcept {}
    };

    Executor& here_;
    Executor& there_;
    Ask ask_;
};

}  // namespace stepdb
