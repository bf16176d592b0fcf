#include "engine/codec/kernels.h"

#include <atomic>

#include "engine/base/check.h"
#include "engine/base/float_bits.h"
#include "engine/codec/kernel_variants.h"

namespace stepdb {

namespace {

const Kernels* best_kernels() {
    for (const KernelLevel level : {KernelLevel::kAvx512, KernelLevel::kAvx2}) {
        if (const Kernels* const found = kernels_of(level); found != nullptr) {
            return found;
        }
    }
    return &portable::kKernels;
}

std::atomic<const Kernels*>& kernels_in_use() {
    static std::atomic<const Kernels*> in_use = best_kernels();
    return in_use;
}

}  // namespace

bool narrow_by_bits(const double* values, size_t count, uint32_t* words) {
    for (size_t i = 0; i < count; ++i) {
        const auto word = narrow(values[i]);
        if (!word) {
            return false;
        }
        words[i] = *word;
    }
    return true;
}

const Kernels* kernels_of(KernelLevel level) {
    switch (level) {
        case KernelLevel::kPortable:
            return &portable::kKernels;
        case KernelLevel::kAvx2:
#ifdef __x86_64__
            if (__builtin_cpu_supports("avx2") != 0) {
                return &avx2::kKernels;
            }
#endif
            return nullptr;
        case KernelLevel::kAvx512:
#ifdef __x86_64__
            if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                __builtin_cpu_supports("avx512dq") != 0 &&
                __builtin_cpu_supports("avx512vl") != 0) {
                return &avx512::kKernels;
            }
#endif
            return nullptr;
    }
    return nullptr;
}

const Kernels& kernels() {
    return *kernels_in_use().load(std::memory_order_relaxed);
}

void use_kernels(KernelLevel level) {
    const Kernels* const found = kernels_of(level);
    CHECK(found != nullptr, "this processor has no kernels of level {}", static_cast<int>(level));
    kernels_in_use().store(found, std::memory_order_relaxed);
}

}  // namespace stepdb
