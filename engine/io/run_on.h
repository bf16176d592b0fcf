// Work of one executor that another one does.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "engine/base/task.h"
#include "engine/io/executor.h"

namespace stepdb {

// Runs the task that `make` returns on `there`, which may be `here`, and comes back to `here` when
// it has ended and is gone.
template <typename T>
Task<T> run_on(Executor& here, Executor& there, std::function<Task<T>()> make) {
    Signal gone;
    std::optional<T> result;
    const std::function<void()> tell = [&] { here.post([&gone] { gone.fire(); }); };
    const auto ended = [&](T value) {
        result.emplace(std::move(value));
        there.post(tell);
    };
    std::function<void()> work = [&] { start(make(), ended); };
    there.post(std::move(work));
    co_await gone;
    co_return *std::move(result);
}

}  // namespace stepdb
