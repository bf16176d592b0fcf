#include "engine/codec/float_images.h"

namespace stepdb {

namespace {

constexpr size_t kBatch = 64;

// Conversion instructions, which change signalling NaNs: then, and only then, false for values that
// do narrow.
bool narrow_batch(const double* values, size_t count, uint32_t* words) {
    uint64_t different = 0;
    for (size_t i = 0; i < count; ++i) {
        const auto narrowed = static_cast<float>(values[i]);
        words[i] = bits_of(narrowed);
        different |= bits_of(static_cast<double>(narrowed)) ^ bits_of(values[i]);
    }
    return different == 0;
}

}  // namespace

bool narrow_all(std::span<const double> values, uint32_t* words) {
    for (size_t at = 0; at < values.size(); at += kBatch) {
        const size_t count = std::min(kBatch, values.size() - at);
        if (narrow_batch(values.data() + at, count, words + at)) {
            continue;
        }
        for (size_t i = at; i < at + count; ++i) {
            const auto word = narrow(values[i]);
            if (!word) {
                return false;
            }
            words[i] = *word;
        }
    }
    return true;
}

void widen_all(const uint32_t* words, std::span<double> values) {
    constexpr uint32_t kInfinity = 0x7F800000U;
    uint32_t largest = 0;
    for (size_t i = 0; i < values.size(); ++i) {
        largest = std::max(largest, words[i] & 0x7FFFFFFFU);
        values[i] = static_cast<double>(std::bit_cast<float>(words[i]));
    }
    if (largest <= kInfinity) {
        return;
    }
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = widen(words[i]);
    }
}

}  // namespace stepdb
