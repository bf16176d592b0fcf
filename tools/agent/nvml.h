// GPUs of NVIDIA, through the library that comes with their driver. It is loaded when the program
// runs: nothing of it is needed to build StepDB, or to run it on a host without GPUs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "tools/agent/host_sampler.h"

namespace stepdb {

// Single-threaded.
class Nvml {
  public:
    static constexpr const char* kUsualLibrary = "libnvidia-ml.so.1";

    // kNotFound if there is no such library, kUnavailable if it finds no driver.
    static Result<Nvml> open(const std::string& library);
    ~Nvml();
    Nvml(Nvml&& other) noexcept;
    Nvml& operator=(Nvml&&) = delete;
    Nvml(const Nvml&) = delete;
    Nvml& operator=(const Nvml&) = delete;

    // What each GPU is, by its index.
    std::vector<std::string> names() const;
    // gpu/INDEX/...; what a GPU does not tell is left out. `tell` hears of one that has begun to
    // fail, once.
    std::vector<Reading> sample(const std::function<void(const std::string&)>& tell);

  private:
    struct Functions;

    Nvml(std::unique_ptr<Functions> functions, void* library);
    void note(uint32_t gpu, int code, const std::function<void(const std::string&)>& tell);

    std::unique_ptr<Functions> functions_;
    void* library_;
    std::vector<void*> gpus_;
    std::vector<int> failing_;  // by GPU: the code that was told last, 0: none
};

}  // namespace stepdb
