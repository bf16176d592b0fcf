// The one bridge between the net thread and the engine's executor. Frames cross in batches,
// outcomes come back in batches; under load a crossing carries whatever has gathered since the last
// one. Frames own their receive buffers until the engine has copied them.
//
// The bridge, the engine and both executors outlive every channel and whatever was posted by them:
// stop the server first, then close the engine, then destroy the server.
#pragma once

#include <memory>

#include "engine/engine.h"
#include "engine/io/executor.h"
#include "net/write_channel.h"

namespace stepdb {

class EngineBridge : public WriteChannels {
  public:
    // Channels are used on `net_side`, where their outcomes come.
    EngineBridge(Engine& engine, Executor& engine_side, Executor& net_side)
        : engine_(engine), engine_side_(engine_side), net_side_(net_side) {}

    std::unique_ptr<WriteChannel> open(const Id128& writer, OutcomeSink& sink, uint64_t connection,
                                       std::shared_ptr<const Rights> rights) override;

    // Engine::tick on the engine's side. Not after the server has ended.
    void tick() {
        engine_side_.post([&engine = engine_] { engine.tick(); });
    }

  private:
    class Crossing;
    class Channel;

    Engine& engine_;
    Executor& engine_side_;
    Executor& net_side_;
};

}  // namespace stepdb
