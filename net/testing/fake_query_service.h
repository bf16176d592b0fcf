// A query service with a language of its own, for tests of the network: "rows N" answers N rows of
// (run, step, value), "error" fails, "hang" never answers, and texts the test prepared answer what
// it prepared. Lives on the executor it is given.
#pragma once

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/io/executor.h"
#include "engine/model/limits.h"
#include "net/query_service.h"

namespace stepdb {

class FakeQueryService : public QueryService {
  public:
    struct Prepared {
        Prepared() = default;
        std::vector<ResultColumn> columns;
        ResultBlock block;
    };

    explicit FakeQueryService(Executor& net_side) : net_side_(net_side) {}

    void prepare(const std::string& text, Prepared answer) { prepared_[text] = std::move(answer); }

    // Queries not destroyed, and the most blocks one was asked for ahead of its sink.
    int running() const { return running_; }
    // The rights of all who asked.
    const std::vector<std::shared_ptr<const Rights>>& asked_with() const { return asked_with_; }
    uint64_t blocks_made() const { return blocks_made_; }

    std::unique_ptr<RunningQuery> start(QueryText query, ResultSink& sink) override {
        asked_with_.push_back(query.rights);
        return std::make_unique<Query>(*this, std::move(query.text), sink);
    }

    // Like start(), with an update of these rows for every call of change().
    std::unique_ptr<RunningWatch> watch(QueryText query, UpdateSink& sink) override {
        asked_with_.push_back(query.rights);
        return std::make_unique<Watch>(*this, std::move(query.text), sink);
    }
    // Like start(), with the directory behind its first slash as its text.
    std::unique_ptr<RunningQuery> backup(std::string directory, ResultSink& sink) override {
        return std::make_unique<Query>(*this, directory.substr(1), sink);
    }
    // Each watch has something new to tell.
    void change() {
        ++changes_;
        for (Watch* watch : watches_) {
            watch->offer();
        }
    }
    size_t watches() const { return watches_.size(); }

    void tick() override { ++ticks_; }

    static std::vector<ResultColumn> row_columns() {
        return {ResultColumn("run", ColumnType::kText), ResultColumn("step", ColumnType::kStep),
                ResultColumn("value", ColumnType::kFloat64)};
    }

    // Queries "wait N" have waited for memory so far, and go on as "rows N".
    void end_waiting() {
        for (const std::shared_ptr<State>& state : std::exchange(waiting_, {})) {
            state->text.replace(0, 4, "rows");
            if (state->sink != nullptr) {
                state->sink->on_resumed();
            }
        }
    }

  private:
    struct State {
        ResultSink* sink = nullptr;              // null when given up
        std::shared_ptr<AnswerEncoder> encoder;  // null: blocks go as they are
        std::string text;
        bool has_begun = false;
        uint64_t rows = 0;
        uint64_t rows_made = 0;
        uint32_t wanted = 0;
        bool has_ended = false;
    };

    class Query : public RunningQuery {
      public:
        Query(FakeQueryService& service, std::string text, ResultSink& sink)
            : service_(service), state_(std::make_shared<State>()) {
            state_->sink = &sink;
            state_->encoder = sink.encoder();
            state_->text = std::move(text);
            if (state_->text.starts_with("wait ")) {
                service_.waiting_.push_back(state_);
            }
            ++service_.running_;
        }
        ~Query() override {
            state_->sink = nullptr;
            --service_.running_;
        }
        Query(const Query&) = delete;
        Query& operator=(const Query&) = delete;

        void want(uint32_t blocks) override {
            state_->wanted += blocks;
            service_.net_side_.post(
                [service = &service_, state = state_] { service->work(*state); });
        }

      private:
        FakeQueryService& service_;
        std::shared_ptr<State> state_;
    };

    // Tells the number of changes so far, in an update of one block of "rows N" rows.
    class Watch : public RunningWatch {
      public:
        Watch(FakeQueryService& service, std::string text, UpdateSink& sink)
            : service_(service),
              text_(std::move(text)),
              sink_(std::make_shared<UpdateSink*>(&sink)) {
            service_.watches_.insert(this);
            service_.net_side_.post([this, sink = sink_] {
                if (*sink == nullptr) {
                    return;
                }
                if (!text_.starts_with("rows ")) {
                    std::exchange(*sink, nullptr)
                        ->on_error(Error(ErrorCode::kInvalidArgument, "expected 'rows'"));
                    return;
                }
                (*sink)->on_columns(row_columns());
                offer();
            });
        }
        ~Watch() override {
            *sink_ = nullptr;
            service_.watches_.erase(this);
        }
        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;

        void offer() {
            if (!is_offered_ && *sink_ != nullptr) {
                is_offered_ = true;
                (*sink_)->on_waiting();
            }
        }
        void want() override {
            service_.net_side_.post([this, sink = sink_] {
                if (*sink != nullptr) {
                    tell();
                }
            });
        }

      private:
        void tell() {
            is_offered_ = false;
            const auto columns = row_columns();
            ResultBlock block(columns);
            uint32_t rows = 0;
            std::from_chars(text_.data() + 5, text_.data() + text_.size(), rows);
            block.column(0).append_text("p/run", rows);
            block.column(1).append_doubles(std::vector<double>(rows));
            block.column(2).append_doubles(std::vector<double>(rows));
            ResultUpdate update;
            update.sequence = service_.changes_;
            update.rows = rows;
            if (rows > 0) {
                (*sink_)->on_block(std::move(block));
            }
            (*sink_)->on_update(std::move(update));
        }

        FakeQueryService& service_;
        std::string text_;
        std::shared_ptr<UpdateSink*> sink_;  // null when it has ended
        bool is_offered_ = false;
    };

    // The sink may give the query up in any of its calls only later, so no check in between.
    void work(State& state) {
        if (state.sink == nullptr || state.has_ended || state.text == "hang") {
            return;
        }
        if (state.text.starts_with("wait ")) {
            state.sink->on_blocks_returned(std::exchange(state.wanted, 0));
            return;
        }
        if (const auto prepared = prepared_.find(state.text); prepared != prepared_.end()) {
            state.has_ended = true;
            put_columns(state, prepared->second.columns);
            put_block(state, prepared->second.block);
            end(state, prepared->second.block.rows());
            return;
        }
        if (!state.text.starts_with("rows ")) {
            state.has_ended = true;
            state.sink->on_error(make_error(ErrorCode::kInvalidArgument,
                                            "query at byte 0: expected 'rows', got '{}'",
                                            state.text));
            return;
        }
        if (!state.has_begun) {
            state.has_begun = true;
            std::from_chars(state.text.data() + 5, state.text.data() + state.text.size(),
                            state.rows);
            put_columns(state, row_columns());
        }
        while (state.wanted > 0 && state.rows_made < state.rows) {
            make_block(state);
        }
        if (state.rows_made == state.rows) {
            end(state, state.rows);
        }
    }

    void make_block(State& state) {
        const auto columns = row_columns();
        ResultBlock block(columns);
        const auto rows = static_cast<uint32_t>(
            std::min<uint64_t>(kResultBatchRows, state.rows - state.rows_made));
        block.column(0).append_text("p/run", rows);
        for (uint32_t row = 0; row < rows; ++row) {
            block.column(1).append_double(static_cast<double>(state.rows_made + row));
            block.column(2).append_double(0.5);
        }
        state.rows_made += rows;
        --state.wanted;
        ++blocks_made_;
        put_block(state, std::move(block));
    }

    static void put_columns(State& state, std::vector<ResultColumn> columns) {
        if (state.encoder != nullptr) {
            state.encoder->begin(columns);
        } else {
            state.sink->on_columns(std::move(columns));
        }
    }
    static void put_block(State& state, ResultBlock block) {
        if (state.encoder != nullptr) {
            state.sink->on_encoded(state.encoder->block(block).value());
        } else {
            state.sink->on_block(std::move(block));
        }
    }

    static void end(State& state, uint64_t rows) {
        state.has_ended = true;
        QueryEnd end;
        end.rows = rows;
        if (state.encoder != nullptr) {
            state.sink->on_encoded(state.encoder->end(end).value());
        }
        state.sink->on_end(std::move(end));
    }

    Executor& net_side_;
    std::vector<std::shared_ptr<const Rights>> asked_with_;
    std::map<std::string, Prepared> prepared_;
    std::set<Watch*> watches_;
    std::vector<std::shared_ptr<State>> waiting_;
    uint64_t changes_ = 0;
    int ticks_ = 0;
    int running_ = 0;
    uint64_t blocks_made_ = 0;
};

}  // namespace stepdb
