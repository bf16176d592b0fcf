// A session's way of changing the store, as seen on the net thread: frames go in, outcomes come
// back later through an OutcomeSink, on the net thread too. EngineBridge is the one in the server.
#pragma once

#include <functional>
#include <memory>

#include "engine/engine.h"
#include "net/frame_stream.h"

namespace stepdb {

class WriteChannel {
  public:
    // No outcome comes after it; frames already flushed are not taken back.
    virtual ~WriteChannel() = default;
    // No outcome comes from now on, and the channel may go. `done` is called on the net thread, at
    // once or later, when nothing holds the frames any more: only then their memory is free.
    virtual void give_up(std::function<void()> done) = 0;
    // Frames count from 1, as the outcomes' ordinals do.
    virtual void submit(ReceivedFrame frame) = 0;
    // Hands what was submitted to the engine: once per batch of received frames.
    virtual void flush() = 0;
};

class WriteChannels {
  public:
    virtual ~WriteChannels() = default;
    // `sink` outlives the channel and is not called within open, submit or flush. `connection` as
    // and `rights` as for Engine::open_session.
    virtual std::unique_ptr<WriteChannel> open(const Id128& writer, OutcomeSink& sink,
                                               uint64_t connection,
                                               std::shared_ptr<const Rights> rights) = 0;

    // Of a connection that has just been made.
    uint64_t number_connection() { return ++connections_; }

  private:
    uint64_t connections_ = 0;
};

}  // namespace stepdb
