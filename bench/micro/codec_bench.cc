// Encoding and decoding of chunks of 512 values, by class of value. Each checks that the values
// come back bit for bit, and reports bytes a value.
#include <benchmark/benchmark.h>

#include <cmath>
#include <random>
#include <vector>

#include "engine/base/float_bits.h"
#include "engine/codec/value_codec.h"
#include "engine/segment/block.h"

namespace stepdb {
namespace {

constexpr size_t kRows = 512;
constexpr size_t kChunks = 64;

enum class Kind : uint8_t { kNoisyFloat32, kNoisyFloat64, kInteger, kDecimal, kConstant };

// A seed of its own, so that every run measures the same values.
std::vector<double> make_values(Kind kind) {
    std::mt19937_64 random(7);  // NOLINT(cert-msc51-cpp)
    std::normal_distribution<double> normal;
    std::vector<double> values(kRows * kChunks);
    for (double& value : values) {
        const double noisy = 0.7 * std::exp(0.1 * normal(random));
        switch (kind) {
            case Kind::kNoisyFloat32:
                value = static_cast<double>(static_cast<float>(noisy));
                break;
            case Kind::kNoisyFloat64:
                value = noisy;
                break;
            case Kind::kInteger:
                value = static_cast<double>(random() % 4096);
                break;
            case Kind::kDecimal:
                value = std::round(noisy * 1e4) / 1e4;
                break;
            case Kind::kConstant:
                value = 0.25;
        }
    }
    return values;
}

struct Encoded {
    std::vector<std::byte> bytes;
    std::vector<size_t> offsets = {0};
    std::vector<ValueForm> forms;

    void encode(const std::vector<double>& values) {
        bytes.clear();
        offsets.resize(1);
        forms.clear();
        for (size_t at = 0; at < values.size(); at += kRows) {
            forms.push_back(encode_values(std::span(values).subspan(at, kRows), bytes));
            offsets.push_back(bytes.size());
        }
    }
    bool decode(size_t chunk, std::span<double> values) const {
        const Bytes payload =
            Bytes(bytes).subspan(offsets[chunk], offsets[chunk + 1] - offsets[chunk]);
        return decode_values(forms[chunk], payload, values).has_value();
    }
    bool decodes_to(const std::vector<double>& values) const {
        std::vector<double> back(kRows);
        for (size_t chunk = 0; chunk < kChunks; ++chunk) {
            if (!decode(chunk, back)) {
                return false;
            }
            for (size_t i = 0; i < kRows; ++i) {
                if (!same_bits(back[i], values[chunk * kRows + i])) {
                    return false;
                }
            }
        }
        return true;
    }
};

void report(benchmark::State& state, const Encoded& encoded, const std::vector<double>& values) {
    if (!encoded.decodes_to(values)) {
        state.SkipWithError("the values did not come back");
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(values.size()));
    state.counters["bytes/value"] =
        static_cast<double>(encoded.bytes.size()) / static_cast<double>(values.size());
}

void BM_EncodeValues(benchmark::State& state, Kind kind) {
    const std::vector<double> values = make_values(kind);
    Encoded encoded;
    for (auto _ : state) {
        encoded.encode(values);
        benchmark::DoNotOptimize(encoded.bytes.data());
    }
    report(state, encoded, values);
}

void BM_DecodeValues(benchmark::State& state, Kind kind) {
    const std::vector<double> values = make_values(kind);
    Encoded encoded;
    encoded.encode(values);
    std::vector<double> back(kRows);
    for (auto _ : state) {
        for (size_t chunk = 0; chunk < kChunks; ++chunk) {
            benchmark::DoNotOptimize(encoded.decode(chunk, back));
        }
    }
    report(state, encoded, values);
}

// A sealed tail: 512 rows of 64 noisy metrics, axis and directory included.
void BM_SealBlock(benchmark::State& state) {
    const std::vector<double> values = make_values(Kind::kNoisyFloat32);
    std::vector<Key> keys;
    std::vector<int64_t> times;
    std::vector<uint64_t> sequences;
    for (size_t row = 0; row < kRows; ++row) {
        keys.push_back(key_of_step(static_cast<double>(row)));
        times.push_back(static_cast<int64_t>(1700000000000000 + row * 1000000 + row * row % 997));
        sequences.push_back(row);
    }
    BlockInfo info;
    info.columns = kChunks;
    std::shared_ptr<const EncodedBlock> block;
    for (auto _ : state) {
        BlockBuilder builder(info, keys, times, sequences);
        for (uint32_t column = 0; column < kChunks; ++column) {
            builder.add_column(column, std::span(values).subspan(column * kRows, kRows), {});
        }
        block = builder.finish();
    }
    const auto axis = decode_axis(axis_section(*block), block->info);
    if (!axis || axis->keys != keys || axis->times != times) {
        state.SkipWithError("the axis did not come back");
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(values.size()));
    state.counters["bytes/value"] =
        static_cast<double>(block->bytes.size()) / static_cast<double>(values.size());
}

BENCHMARK_CAPTURE(BM_EncodeValues, noisy_float32, Kind::kNoisyFloat32);
BENCHMARK_CAPTURE(BM_EncodeValues, noisy_float64, Kind::kNoisyFloat64);
BENCHMARK_CAPTURE(BM_EncodeValues, integer, Kind::kInteger);
BENCHMARK_CAPTURE(BM_EncodeValues, decimal, Kind::kDecimal);
BENCHMARK_CAPTURE(BM_EncodeValues, constant, Kind::kConstant);
BENCHMARK_CAPTURE(BM_DecodeValues, noisy_float32, Kind::kNoisyFloat32);
BENCHMARK_CAPTURE(BM_DecodeValues, noisy_float64, Kind::kNoisyFloat64);
BENCHMARK_CAPTURE(BM_DecodeValues, integer, Kind::kInteger);
BENCHMARK_CAPTURE(BM_DecodeValues, decimal, Kind::kDecimal);
BENCHMARK_CAPTURE(BM_DecodeValues, constant, Kind::kConstant);
BENCHMARK(BM_SealBlock);

}  // namespace
}  // namespace stepdb
