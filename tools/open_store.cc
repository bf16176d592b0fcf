#include "tools/open_store.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <future>

#include "engine/io/prompt_thread.h"

namespace stepdb {

Result<std::unique_ptr<OpenStore>> OpenStore::open(EngineOptions options) {
    std::unique_ptr<OpenStore> store(new OpenStore());
    TRY_ASSIGN(store->io_, IoEnvironment::create());
    store->io_->name_thread("stepdb-engine");
    store->io_->loop().post([] { make_thread_prompt(); });
    const auto begun = std::chrono::steady_clock::now();
    EngineEnvironment environment(store->io_->loop(), store->io_->files(), store->clock_,
                                  store->random_);
    TRY_ASSIGN(store->seal_io_, IoEnvironment::create());
    store->seal_io_->name_thread("stepdb-seal");
    environment.seal_executor = &store->seal_io_->loop();
    if (!options.read_only) {
        TRY_ASSIGN(store->merge_io_, IoEnvironment::create());
        store->merge_io_->name_thread("stepdb-merge");
        environment.merge_executor = &store->merge_io_->loop();
        environment.merge_files = &store->merge_io_->files();
    }
    TRY_ASSIGN(store->engine_,
               block_on(store->io_->loop(), Engine::open(environment, std::move(options))));
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
    store->seconds_to_open_ = taken.count();
    return store;
}

Result<std::unique_ptr<OpenStore>> OpenStore::open_existing(EngineOptions options) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(options.directory, ignored)) {
        return make_error(ErrorCode::kNotFound,
                          "there is no directory {}; --data wants that of a store, as "
                          "`stepdb serve --data` makes it",
                          options.directory);
    }
    options.create_if_missing = false;
    auto store = open(std::move(options));
    if (!store && store.error().code() == ErrorCode::kFailedPrecondition) {
        return make_error(ErrorCode::kFailedPrecondition,
                          "{}; if it is a server, ask it by --server", store.error().message());
    }
    return store;
}

Status OpenStore::close() {
    is_closed_ = true;
    return block_on(io_->loop(), engine_->close());
}

void print_recovery(const RecoveryReport& report) {
    for (const std::string& note : report.notes) {
        fmt::print(stderr, "  note: {}\n", note);
    }
    for (const std::string& segment : report.damaged_segments) {
        fmt::print(stderr, "  DAMAGED: {}; runs with rows in it cannot be read or written\n",
                   segment);
    }
    for (const StoreDamage& damage : report.damage) {
        fmt::print(stderr, "  DAMAGED: {}\n", damage.what);
    }
}

OpenStore::~OpenStore() {
    if (io_ == nullptr) {
        return;
    }
    if (engine_ && !is_closed_) {
        // Whoever wanted to know whether it went well has called close().
        static_cast<void>(close().has_value());
    }
    // On its own thread, behind what was posted there and may still use it.
    std::promise<void> gone;
    io_->loop().post([this, &gone] {
        engine_.reset();
        gone.set_value();
    });
    gone.get_future().wait();
}

}  // namespace stepdb
