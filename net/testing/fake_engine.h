// An engine without a disk, for tests of the network: it checks frames as the real one does, keeps
// no data, and gives outcomes when told to.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace stepdb {

class FakeEngine : public Engine {
  public:
    explicit FakeEngine(Executor& executor) : executor_(executor) {
        store_.bytes.fill(std::byte{7});
    }

    // --- For the test, on the engine's executor ---

    // Outcomes wait for release(): an engine whose disk is slow.
    void hold() { is_held_ = true; }
    void release() {
        is_held_ = false;
        deliver();
    }
    // From then on frames are kept back, or taken again.
    void set_room(bool has_room) {
        has_room_ = has_room;
        while (has_room_ && !when_room_.empty()) {
            executor_.post(std::move(when_room_.front()));
            when_room_.pop_front();
        }
    }
    // Sees the rows of every frame that is taken, by the path of their run.
    void watch_rows(std::function<void(const std::string&, const RowsView&)> on_rows) {
        on_rows_ = std::move(on_rows);
    }
    uint64_t rows() const { return rows_; }
    uint64_t frames() const { return frames_; }
    size_t sessions() const { return sessions_; }

    // --- Engine ---

    using Engine::open_session;
    std::unique_ptr<WriteSession> open_session(const Id128& writer, OutcomeSink& sink,
                                               uint64_t /*connection*/,
                                               std::shared_ptr<const Rights> /*rights*/) override {
        return std::make_unique<FakeSession>(*this, writer, sink);
    }
    std::shared_ptr<const Catalog> catalog() const override { return nullptr; }
    std::shared_ptr<const Snapshot> snapshot(std::span<const uint64_t>) const override {
        return nullptr;
    }
    Task<Status> flush() override { co_return Status(); }
    Task<Status> compact() override { co_return Status(); }
    Task<Result<BackupReport>> backup(BackupOptions options) override {
        if (options.on_progress) {
            options.on_progress(backup_);
        }
        co_return backup_;
    }
    Task<Status> close() override { co_return Status(); }
    bool has_room() const override { return has_room_; }
    void when_room(std::function<void()> call) override { when_room_.push_back(std::move(call)); }
    uint64_t sequence() const override { return rows_; }
    void when_published(std::function<void()>) override {}
    void tick() override { ++ticks_; }
    const StoreMemory& memory() const override { return memory_; }
    EngineStats stats() const override { return {}; }
    EngineStats quick_stats() const override { return {}; }
    const RecoveryReport& recovery() const override { return recovery_; }
    const Id128& store_id() const override { return store_; }
    std::optional<Error> read_only_reason() const override { return std::nullopt; }

  private:
    struct FakeRun {
        uint64_t id = 0;
        std::string path;
        std::map<Id128, uint64_t> last_numbers;  // by writer
        std::map<SchemaHash, double> highest_step;
    };

    class FakeSession : public WriteSession {
      public:
        FakeSession(FakeEngine& engine, const Id128& writer, OutcomeSink& sink)
            : engine_(engine), writer_(writer), sink_(std::make_shared<OutcomeSink*>(&sink)) {
            ++engine_.sessions_;
        }
        ~FakeSession() override {
            *sink_ = nullptr;
            --engine_.sessions_;
        }
        FakeSession(const FakeSession&) = delete;
        FakeSession& operator=(const FakeSession&) = delete;

        uint64_t submit(Bytes frame) override {
            const uint64_t ordinal = ++submitted_;
            ++engine_.frames_;
            RowPosition bad;
            uint64_t late_rows = 0;
            std::optional<RunOpened> opened;
            Status status = apply(frame, late_rows, opened, bad);
            engine_.put([sink = sink_, ordinal, late_rows, opened, bad, status] {
                if (*sink == nullptr) {
                    return;
                }
                if (!status) {
                    (*sink)->on_refused(ordinal, Refusal(status.error(), bad));
                    return;
                }
                if (opened) {
                    (*sink)->on_opened(ordinal, *opened);
                }
                // The sink may be gone now.
                if (*sink != nullptr) {
                    (*sink)->on_durable(ordinal, late_rows);
                }
            });
            return ordinal;
        }

      private:
        Status apply(Bytes frame, uint64_t& late_rows, std::optional<RunOpened>& opened,
                     RowPosition& bad) {
            TRY_ASSIGN(const FrameHeader header, parse_frame_header(frame));
            const Bytes body = frame_body(frame);
            switch (header.type) {
                case FrameType::kSchema:
                    return apply_schema(body);
                case FrameType::kOpenRun:
                    return apply_open(body, opened);
                case FrameType::kRows:
                    return apply_rows(body, header.number, late_rows, bad);
                case FrameType::kFinishRun:
                    return apply_finish(body, header.number);
                default:
                    CHECK(is_change(header.type), "{} frame in the engine",
                          frame_type_name(header.type));
                    return make_error(ErrorCode::kInvalidArgument,
                                      "this stand-in for the engine knows no {}",
                                      frame_type_name(header.type));
            }
        }

        Status apply_schema(Bytes body) {
            TRY_ASSIGN(const SchemaFrame frame, SchemaFrame::decode(body));
            TRY_ASSIGN(Schema schema, Schema::decode(frame.piece));
            if (schema.hash() != frame.hash) {
                return make_error(ErrorCode::kInvalidArgument,
                                  "schema named {} has the content of {}", frame.hash.to_hex(),
                                  schema.hash().to_hex());
            }
            engine_.schemas_[frame.hash] = std::make_shared<const Schema>(std::move(schema));
            return {};
        }

        Status apply_open(Bytes body, std::optional<RunOpened>& opened) {
            TRY_ASSIGN(const OpenRunFrame frame, OpenRunFrame::decode(body));
            const std::string path = fmt::format("{}/{}", frame.project, frame.run);
            const bool exists = engine_.runs_.contains(path);
            if (!exists &&
                (frame.mode & (OpenRunFrame::kCreateIfMissing | OpenRunFrame::kMustCreate)) == 0) {
                return make_error(ErrorCode::kNotFound, "run {} does not exist", path);
            }
            if (exists && (frame.mode & OpenRunFrame::kMustCreate) != 0) {
                return make_error(ErrorCode::kAlreadyExists, "run {} exists", path);
            }
            FakeRun& run = engine_.runs_[path];
            run.id = exists ? run.id : engine_.runs_.size();
            run.path = path;
            handles_[frame.handle] = &run;
            opened.emplace();
            opened->handle = frame.handle;
            opened->run = run.id;
            opened->last_number = run.last_numbers[writer_];
            opened->created = !exists;
            return {};
        }

        // False: seen before, to be acknowledged without effect.
        Result<bool> take_number(FakeRun& run, uint64_t number) {
            uint64_t& last = run.last_numbers[writer_];
            if (number > last + 1) {
                return make_error(ErrorCode::kFailedPrecondition,
                                  "frame number {} after {}: {} are missing", number, last,
                                  number - last - 1);
            }
            const bool is_new = number == last + 1;
            last = std::max(last, number);
            return is_new;
        }

        Result<FakeRun*> find_run(uint32_t handle) {
            const auto at = handles_.find(handle);
            if (at == handles_.end()) {
                return make_error(ErrorCode::kFailedPrecondition,
                                  "run handle {} is not open on this connection", handle);
            }
            return at->second;
        }

        Status apply_rows(Bytes body, uint64_t number, uint64_t& late_rows, RowPosition& bad) {
            TRY_ASSIGN(const RowsView::Head head, RowsView::decode_head(body));
            TRY_ASSIGN(FakeRun * run, find_run(head.run_handle));
            TRY_ASSIGN(const bool is_new, take_number(*run, number));
            if (!is_new) {
                return {};
            }
            const auto schema = engine_.schemas_.find(head.schema);
            if (schema == engine_.schemas_.end()) {
                return make_error(ErrorCode::kNotFound, "schema {} is not known",
                                  head.schema.to_hex());
            }
            TRY_ASSIGN(const RowsView view, RowsView::decode(body, *schema->second, bad));
            for (uint32_t row = 0; view.has_steps() && row < view.rows(); ++row) {
                const auto [at, is_first] = run->highest_step.emplace(head.schema, view.step(row));
                late_rows += !is_first && view.step(row) <= at->second ? 1U : 0U;
                at->second = std::max(at->second, view.step(row));
            }
            engine_.rows_ += view.rows();
            if (engine_.on_rows_) {
                engine_.on_rows_(run->path, view);
            }
            return {};
        }

        Status apply_finish(Bytes body, uint64_t number) {
            TRY_ASSIGN(const FinishRunFrame frame, FinishRunFrame::decode(body));
            TRY_ASSIGN(FakeRun * run, find_run(frame.handle));
            const auto taken = take_number(*run, number);
            return taken ? Status() : Status(taken.error());
        }

        FakeEngine& engine_;
        Id128 writer_;
        std::shared_ptr<OutcomeSink*> sink_;
        uint64_t submitted_ = 0;
        std::map<uint32_t, FakeRun*> handles_;
    };

    void put(std::function<void()> outcome) {
        outcomes_.push_back(std::move(outcome));
        if (!is_posted_) {
            is_posted_ = true;
            executor_.post([this] {
                is_posted_ = false;
                deliver();
            });
        }
    }
    void deliver() {
        while (!is_held_ && !outcomes_.empty()) {
            const std::function<void()> outcome = std::move(outcomes_.front());
            outcomes_.pop_front();
            outcome();
        }
    }

    Executor& executor_;
    std::function<void(const std::string&, const RowsView&)> on_rows_;
    Id128 store_;
    BackupReport backup_;
    RecoveryReport recovery_;
    std::map<SchemaHash, std::shared_ptr<const Schema>> schemas_;
    std::map<std::string, FakeRun> runs_;
    std::deque<std::function<void()>> outcomes_;
    StoreMemory memory_{std::numeric_limits<size_t>::max(), std::numeric_limits<size_t>::max()};
    std::deque<std::function<void()>> when_room_;
    bool has_room_ = true;
    uint64_t ticks_ = 0;
    bool is_held_ = false;
    bool is_posted_ = false;
    uint64_t rows_ = 0;
    uint64_t frames_ = 0;
    size_t sessions_ = 0;
};

}  // namespace stepdb
