// Where the answer of one request goes on its way through a session. Private to it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/session.h"

namespace stepdb {

// The sink of a query, or of the updates of one that is watched.
class Session::Reply final : public ResultSink, public UpdateSink {
  public:
    Reply(Session& session, uint64_t request, uint64_t serial)
        : session_(session), request_(request), serial_(serial) {}

    uint64_t serial() const { return serial_; }
    bool is_watch() const { return watch_ != nullptr; }
    bool is_backup() const { return is_backup_; }

    void start(QueryService& service, QueryText query) {
        query_ = service.start(std::move(query), *this);
    }
    void watch(QueryService& service, QueryText query) {
        watch_ = service.watch(std::move(query), *this);
    }
    void back_up(QueryService& service, std::string directory) {
        is_backup_ = true;
        query_ = service.backup(std::move(directory), *this);
    }
    void stop() {
        query_.reset();
        watch_.reset();
    }
    void abandon() {
        if (query_ != nullptr) {
            query_->note_client_gone();
        }
        stop();
    }
    // Whether it has a use for another block. A watch that is not read gets none: what it gets once
    // it is read again is all that has changed since.
    bool can_take_block() const {
        return is_watch() ? is_waiting_ && unsent == 0
                          : !is_short_ && unsent < kQueryBlocksUnsentMax;
    }
    void want_block() {
        ++granted_;
        ++unsent;
        is_waiting_ = false;
        if (is_watch()) {
            watch_->want();
        } else {
            query_->want(1);
        }
    }
    // Blocks wanted that have not come.
    uint32_t granted() const { return granted_; }
    // Blocks wanted that have not been sent.
    uint32_t unsent = 0;
    // It stands in the line of those that could take a block.
    bool is_listed = false;

    void on_waiting() override {
        is_waiting_ = true;
        session_.list_wanting(request_);
        session_.grant_blocks();
    }
    void on_columns(std::vector<ResultColumn> columns) override {
        put(encode_result_columns(columns, request_), false);
    }
    void on_block(ResultBlock block) override {
        CHECK(granted_ > 0, "a block nobody wanted, request {}", request_);
        --granted_;
        Result<std::vector<std::byte>> frame = encode_result_block(block, request_);
        if (!frame) {
            --unsent;
            session_.take_back_blocks(1);
            on_error(frame.error());
            return;
        }
        put(std::move(frame).value(), true);
    }
    void on_blocks_returned(uint32_t blocks) override {
        CHECK(blocks <= granted_, "{} blocks returned of {}", blocks, granted_);
        is_short_ = true;
        granted_ -= blocks;
        unsent -= blocks;
        session_.take_back_blocks(blocks);
        session_.grant_blocks();
    }
    void on_resumed() override {
        is_short_ = false;
        session_.list_wanting(request_);
        session_.grant_blocks();
    }
    void on_update(ResultUpdate update) override {
        // Of an update without rows it is what was wanted.
        const bool was_wanted = granted_ > 0;
        granted_ = 0;
        put(encode_result_update(update, request_), was_wanted);
    }
    void on_end(QueryEnd end) override {
        session_.end_query(request_, encode_result_end(end, request_));
    }
    void on_error(Error error) override {
        session_.end_query(request_,
                           encode_error(ErrorMessage(ErrorScope::kRequest, error), request_));
    }
    const void* asker() const override { return &session_; }

  private:
    void put(std::vector<std::byte> bytes, bool is_block) {
        ResultFrame frame;
        frame.bytes = std::move(bytes);
        frame.serial = is_block ? serial_ : 0;
        frame.request = request_;
        session_.put_result(std::move(frame));
    }

    Session& session_;
    uint64_t request_;
    uint64_t serial_;
    uint32_t granted_ = 0;
    bool is_waiting_ = false;  // a watch: there is something to tell
    bool is_short_ = false;    // a query: it waits for memory
    bool is_backup_ = false;
    std::unique_ptr<RunningQuery> query_;
    std::unique_ptr<RunningWatch> watch_;
};

}  // namespace stepdb
