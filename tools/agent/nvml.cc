#include "tools/agent/nvml.h"

#include <dlfcn.h>

#include <array>
#include <utility>

#include "engine/base/text.h"

namespace stepdb {

namespace {

// The part of nvml.h that is used; its layout and numbers are part of the driver's ABI.
struct Utilization {
    unsigned gpu = 0;  // percent
    unsigned memory = 0;
};
struct Memory {
    unsigned long long total = 0;
    unsigned long long free = 0;
    unsigned long long used = 0;
};
constexpr int kSuccess = 0;
constexpr int kNotSupported = 3;
constexpr int kTemperatureGpu = 0;
constexpr size_t kNameBytes = 96;

template <typename Function>
bool find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
}

}  // namespace

struct Nvml::Functions {
    int (*init)() = nullptr;
    int (*shutdown)() = nullptr;
    const char* (*error_string)(int) = nullptr;
    int (*count)(unsigned*) = nullptr;
    int (*handle)(unsigned, void**) = nullptr;
    int (*name)(void*, char*, unsigned) = nullptr;
    int (*utilization)(void*, Utilization*) = nullptr;
    int (*memory)(void*, Memory*) = nullptr;
    int (*power)(void*, unsigned*) = nullptr;
    int (*temperature)(void*, int, unsigned*) = nullptr;

    // The first name that the library lacks; empty: it has all.
    std::string load(void* library);
};

std::string Nvml::Functions::load(void* library) {
    std::string missing;
    const auto need = [&](const char* its_name, auto& function) {
        if (!find(library, its_name, function) && missing.empty()) {
            missing = its_name;
        }
    };
    need("nvmlInit_v2", init);
    need("nvmlShutdown", shutdown);
    need("nvmlErrorString", error_string);
    need("nvmlDeviceGetCount_v2", count);
    need("nvmlDeviceGetHandleByIndex_v2", handle);
    need("nvmlDeviceGetName", name);
    need("nvmlDeviceGetUtilizationRates", utilization);
    need("nvmlDeviceGetMemoryInfo", memory);
    need("nvmlDeviceGetPowerUsage", power);
    need("nvmlDeviceGetTemperature", temperature);
    return missing;
}

Nvml::Nvml(std::unique_ptr<Functions> functions, void* library)
    : functions_(std::move(functions)), library_(library) {}

Nvml::Nvml(Nvml&& other) noexcept
    : functions_(std::move(other.functions_)),
      library_(std::exchange(other.library_, nullptr)),
      gpus_(std::move(other.gpus_)),
      failing_(std::move(other.failing_)) {}

Nvml::~Nvml() {
    if (library_ != nullptr) {
        functions_->shutdown();
        dlclose(library_);
    }
}

Result<Nvml> Nvml::open(const std::string& library) {
    void* const loaded = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (loaded == nullptr) {
        return make_error(ErrorCode::kNotFound, "cannot load {}: {}", library,
                          dlerror());  // NOLINT(concurrency-mt-unsafe): one thread loads
    }
    auto functions = std::make_unique<Functions>();
    const std::string missing = functions->load(loaded);
    if (!missing.empty()) {
        dlclose(loaded);
        return make_error(ErrorCode::kUnsupportedVersion,
                          "{} lacks {}: it is no NVML, or an older one than 2012's", library,
                          missing);
    }
    const int begun = functions->init();
    if (begun != kSuccess) {
        Error error =
            make_error(ErrorCode::kUnavailable, "{}: {}", library, functions->error_string(begun));
        dlclose(loaded);
        return error;
    }
    Nvml nvml(std::move(functions), loaded);
    unsigned count = 0;
    const int counted = nvml.functions_->count(&count);
    if (counted != kSuccess) {
        return make_error(ErrorCode::kUnavailable, "{} counts no GPUs: {}", library,
                          nvml.functions_->error_string(counted));
    }
    // One that has no handle keeps its index, for others keep theirs.
    nvml.gpus_.resize(count);
    nvml.failing_.resize(count);
    for (unsigned gpu = 0; gpu < count; ++gpu) {
        if (nvml.functions_->handle(gpu, &nvml.gpus_[gpu]) != kSuccess) {
            nvml.gpus_[gpu] = nullptr;
        }
    }
    return nvml;
}

std::vector<std::string> Nvml::names() const {
    std::vector<std::string> names;
    for (void* const gpu : gpus_) {
        std::array<char, kNameBytes> name = {};
        const bool has_name =
            gpu != nullptr &&
            functions_->name(gpu, name.data(), static_cast<unsigned>(name.size() - 1)) == kSuccess;
        names.emplace_back(has_name ? name.data() : "");
    }
    return names;
}

void Nvml::note(uint32_t gpu, int code, const std::function<void(const std::string&)>& tell) {
    if (code != kSuccess && code != kNotSupported && failing_[gpu] == 0) {
        failing_[gpu] = code;
        tell(fmt::format("GPU {} does not tell all it did: {}", gpu,
                         functions_->error_string(code)));
    }
}

std::vector<Reading> Nvml::sample(const std::function<void(const std::string&)>& tell) {
    std::vector<Reading> readings;
    for (uint32_t index = 0; index < gpus_.size(); ++index) {
        void* const gpu = gpus_[index];
        if (gpu == nullptr && functions_->handle(index, &gpus_[index]) != kSuccess) {
            gpus_[index] = nullptr;
            continue;
        }
        const std::string prefix = fmt::format("gpu/{}/", index);
        Utilization utilization;
        Memory memory;
        unsigned milliwatts = 0;
        unsigned celsius = 0;
        const int has_utilization = functions_->utilization(gpus_[index], &utilization);
        const int has_memory = functions_->memory(gpus_[index], &memory);
        const int has_power = functions_->power(gpus_[index], &milliwatts);
        const int has_temperature =
            functions_->temperature(gpus_[index], kTemperatureGpu, &celsius);
        if (has_utilization == kSuccess) {
            readings.emplace_back(prefix + "busy", utilization.gpu / 100.0);
            readings.emplace_back(prefix + "memory_busy", utilization.memory / 100.0);
        }
        if (has_memory == kSuccess) {
            readings.emplace_back(prefix + "memory_used_bytes", static_cast<double>(memory.used));
            readings.emplace_back(prefix + "memory_total_bytes", static_cast<double>(memory.total));
        }
        if (has_power == kSuccess) {
            readings.emplace_back(prefix + "power_watts", milliwatts / 1000.0);
        }
        if (has_temperature == kSuccess) {
            readings.emplace_back(prefix + "temperature_celsius", celsius);
        }
        bool is_well = true;
        for (const int code : {has_utilization, has_memory, has_power, has_temperature}) {
            note(index, code, tell);
            is_well = is_well && (code == kSuccess || code == kNotSupported);
        }
        failing_[index] = is_well ? 0 : failing_[index];
    }
    return readings;
}

}  // namespace stepdb
