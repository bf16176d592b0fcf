// How the network asks questions: the side of query/ that a session sees. Everything here happens
// on the net thread, whichever threads compute the answer; an implementation computes elsewhere and
// posts back (Server::executor()).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/duration_histogram.h"
#include "engine/base/result.h"
#include "engine/model/result_columns.h"
#include "net/answer_encoder.h"
#include "net/message.h"
#include "query/store_facts.h"

namespace stepdb {

// Where an answer goes: on_columns once, then blocks, then on_end; on_error instead of anything
// from any point on. Nothing comes after on_end or on_error.
class ResultSink {
  public:
    virtual ~ResultSink() = default;
    virtual void on_columns(std::vector<ResultColumn> columns) = 0;
    // At most as many as were wanted; at most kResultBlockRowsMax rows each.
    virtual void on_block(ResultBlock block) = 0;
    // The query waits for memory that others have, and so many of the blocks that were wanted are
    // not any more: who keeps room for them gives it to those others, which could not go on and
    // end otherwise.
    virtual void on_blocks_returned(uint32_t blocks) = 0;
    // It goes on, and blocks are to be wanted again.
    virtual void on_resumed() = 0;
    virtual void on_end(QueryEnd end) = 0;
    virtual void on_error(Error error) = 0;
    // Makes bytes of the answer where it is computed; asked for once, when the query starts. Then
    // on_encoded() comes instead of each on_block(), and once more before on_end(), and nothing
    // else but on_end(), on_error() and what memory makes of the query. Null: blocks come as they
    // are.
    virtual std::shared_ptr<AnswerEncoder> encoder() { return nullptr; }
    virtual void on_encoded(EncodedPiece /*piece*/) {}
    // On whose behalf, told apart by address: askers take turns with each other, whatever number of
    // queries each has, and so do the queries of one. Null is one of them.
    virtual const void* asker() const { return nullptr; }
};

// Where the updates of a watched query go. An update is on_block for each of its blocks, whose
// columns are update_columns() of the answer's (query/answer_difference.h), then on_update; before
// it comes on_columns if the answer has other columns than before, as it has at first. on_error
// ends the watch.
class UpdateSink {
  public:
    virtual ~UpdateSink() = default;
    // There is something to tell, or more of it: want() would bring it. Not called again before.
    virtual void on_waiting() = 0;
    virtual void on_columns(std::vector<ResultColumn> columns) = 0;
    virtual void on_block(ResultBlock block) = 0;
    virtual void on_update(ResultUpdate update) = 0;
    virtual void on_error(Error error) = 0;
};

// A query under way. Destroying it gives the query up: the sink is not called any more, and what is
// being computed for it stops as soon as it can.
class RunningQuery {
  public:
    virtual ~RunningQuery() = default;
    // The sink takes `blocks` more. A query starts with none wanted, so that a slow reader of a
    // large answer holds no memory beyond what it asked for.
    virtual void want(uint32_t blocks) = 0;
    // Why it is destroyed next, for the record: there is nobody any more to read the answer.
    virtual void note_client_gone() {}
};

// A query that is watched. Destroying it ends the watch; the sink is not called any more.
class RunningWatch {
  public:
    virtual ~RunningWatch() = default;
    // The sink takes the next block of an update, and the update's end if that is all of it, or the
    // end alone. To be called once after each on_waiting(), when what was told before has been
    // passed on: what is told then is what has changed since, however long it was.
    virtual void want() = 0;
};

// What a service tells of its queries since it was made.
struct QueryFigures {
    QueryFigures() = default;

    QueryFacts facts;
    DurationCounts durations;  // of queries, watched ones each time that they are computed
    uint64_t watches = 0;      // queries that are watched,
    uint64_t watchers = 0;     // and by how many
};

class QueryService {
  public:
    virtual ~QueryService() = default;
    // `sink` outlives the query and is not called within start(), want() or the destructor. Errors
    // of the text and its parameters come through the sink too.
    virtual std::unique_ptr<RunningQuery> start(QueryText query, ResultSink& sink) = 0;
    // Likewise.
    virtual std::unique_ptr<RunningWatch> watch(QueryText query, UpdateSink& sink) = 0;
    // Makes `directory` a backup of the store. Each block has a row that says how it comes on
    // (backup_columns); that of the last one, which comes before on_end, how it has ended. Giving
    // it up leaves the last backup in the directory as it was.
    virtual std::unique_ptr<RunningQuery> backup(std::string directory, ResultSink& sink) = 0;
    // The part of an answer that is kept until it is whole; null if there is no bound.
    virtual std::shared_ptr<MemoryBudget> make_memory() const { return nullptr; }
    // What it knows of itself.
    virtual QueryFigures figures() const { return {}; }
    // Called now and then: ends queries that have passed a limit.
    virtual void tick() = 0;
};

}  // namespace stepdb
