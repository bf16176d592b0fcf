// Encoding and decoding of chunks, by class of value and values a chunk. Each checks that the
// values come back bit for bit, and reports bytes a value.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "engine/base/float_bits.h"
#include "engine/codec/kernels.h"
#include "engine/codec/value_codec.h"
#include "engine/segment/block.h"

namespace stepdb {
namespace {

constexpr size_t kValues = 32768;  // over all chunks: a set that stays in the second-level cache

double as_float32(double value) {
    return static_cast<double>(static_cast<float>(value));
}

enum class Kind : uint8_t {
    kNoise10,     // float32, normal around a level with a deviation of 10 %
    kNoise1,      // the same, 1 %
    kConstant,    // one value in a chunk
    kCounter,     // 0, 128, 256, ...
    kInteger,     // up to 4095, at random
    kOver256,     // shares: k / 256
    kDecimals3,   // float32 rounded to three digits
    kSmooth,      // a cosine schedule, float32
    kNanBursts,   // kNoise10 with runs of NaN, a tenth of all
    kNoise64,     // kNoise10 with all bits of a double
    kDecimals64,  // doubles rounded to four digits
};

struct Class {
    Kind kind;
    const char* name;
};
constexpr std::array kClasses = {
    Class{Kind::kNoise10, "noise_10"},       Class{Kind::kNoise1, "noise_1"},
    Class{Kind::kConstant, "constant"},      Class{Kind::kCounter, "counter"},
    Class{Kind::kInteger, "integer"},        Class{Kind::kOver256, "over_256"},
    Class{Kind::kDecimals3, "decimals_3"},   Class{Kind::kSmooth, "smooth"},
    Class{Kind::kNanBursts, "nan_bursts"},   Class{Kind::kNoise64, "noise_f64"},
    Class{Kind::kDecimals64, "decimals_f64"}};

// A seed of its own, so that every run measures the same values.
std::vector<double> make_values(Kind kind) {
    std::mt19937_64 random(7);  // NOLINT(cert-msc51-cpp)
    std::normal_distribution<double> normal;
    std::vector<double> values(kValues);
    for (size_t i = 0; i < kValues; ++i) {
        const double noise = normal(random);
        const double noisy = 0.7 * std::exp(0.1 * noise);
        double& value = values[i];
        switch (kind) {
            case Kind::kNoise10:
                value = as_float32(noisy);
                break;
            case Kind::kNoise1:
                value = as_float32(0.7 * std::exp(0.01 * noise));
                break;
            case Kind::kConstant:
                value = 0.25;
                break;
            case Kind::kCounter:
                value = static_cast<double>(i * 128);
                break;
            case Kind::kInteger:
                value = static_cast<double>(random() % 4096);
                break;
            case Kind::kOver256:
                value = static_cast<double>(random() % 257) / 256;
                break;
            case Kind::kDecimals3:
                value = as_float32(std::round(noisy * 1e3) / 1e3);
                break;
            case Kind::kSmooth:
                value = as_float32(3e-4 * (1 + std::cos(static_cast<double>(i) / 10000)));
                break;
            case Kind::kNanBursts:
                value = i % 300 < 30 ? std::nan("") : as_float32(noisy);
                break;
            case Kind::kNoise64:
                value = noisy;
                break;
            case Kind::kDecimals64:
                value = std::round(noisy * 1e4) / 1e4;
        }
    }
    return values;
}

class Encoded {
  public:
    explicit Encoded(size_t rows) : rows_(rows) {}

    size_t bytes() const { return bytes_.size(); }
    const std::byte* data() const { return bytes_.data(); }

    // T is double, or uint32_t for the bits of float32 values.
    template <typename T>
    void encode(const std::vector<T>& values) {
        bytes_.clear();
        offsets_.resize(1);
        forms_.clear();
        for (size_t at = 0; at < values.size(); at += rows_) {
            forms_.push_back(encode_values(std::span(values).subspan(at, rows_), bytes_));
            offsets_.push_back(bytes_.size());
        }
    }
    // Into values[0] to values[rows - 1].
    bool decode(size_t chunk, std::span<double> values) const {
        const Bytes payload =
            Bytes(bytes_).subspan(offsets_[chunk], offsets_[chunk + 1] - offsets_[chunk]);
        return decode_values(forms_[chunk], payload, values).has_value();
    }
    bool decodes_to(const std::vector<double>& values) const {
        std::vector<double> back(rows_);
        for (size_t chunk = 0; chunk * rows_ < values.size(); ++chunk) {
            if (!decode(chunk, back) ||
                !std::equal(back.begin(), back.end(), values.data() + chunk * rows_, same_bits)) {
                return false;
            }
        }
        return true;
    }

  private:
    size_t rows_;
    std::vector<std::byte> bytes_;
    std::vector<size_t> offsets_ = {0};
    std::vector<ValueForm> forms_;
};

void report(benchmark::State& state, const Encoded& encoded, const std::vector<double>& values) {
    if (!encoded.decodes_to(values)) {
        state.SkipWithError("the values did not come back");
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(values.size()));
    state.counters["bytes/value"] =
        static_cast<double>(encoded.bytes()) / static_cast<double>(values.size());
}

void encode_doubles(benchmark::State& state, Kind kind) {
    const std::vector<double> values = make_values(kind);
    Encoded encoded(static_cast<size_t>(state.range(0)));
    for (auto _ : state) {
        encoded.encode(values);
        benchmark::DoNotOptimize(encoded.data());
    }
    report(state, encoded, values);
}

// As sealing hands float32 columns over.
void encode_words(benchmark::State& state, Kind kind) {
    const std::vector<double> values = make_values(kind);
    std::vector<uint32_t> words;
    words.reserve(values.size());
    for (const double value : values) {
        words.push_back(narrow(value).value_or(0));
    }
    Encoded encoded(static_cast<size_t>(state.range(0)));
    for (auto _ : state) {
        encoded.encode(words);
        benchmark::DoNotOptimize(encoded.data());
    }
    report(state, encoded, values);
}

void decode_doubles(benchmark::State& state, Kind kind) {
    const std::vector<double> values = make_values(kind);
    const auto rows = static_cast<size_t>(state.range(0));
    Encoded encoded(rows);
    encoded.encode(values);
    std::vector<double> back(rows);
    for (auto _ : state) {
        for (size_t chunk = 0; chunk * rows < values.size(); ++chunk) {
            benchmark::DoNotOptimize(encoded.decode(chunk, back));
        }
    }
    report(state, encoded, values);
}

// A sealed tail: 512 rows of 64 noisy metrics, axis and directory included.
void BM_SealBlock(benchmark::State& state) {
    const std::vector<double> values = make_values(Kind::kNoise10);
    constexpr size_t kRows = 512;
    constexpr size_t kColumns = kValues / kRows;
    std::vector<Key> keys;
    std::vector<int64_t> times;
    std::vector<uint64_t> sequences;
    for (size_t row = 0; row < kRows; ++row) {
        keys.push_back(key_of_step(static_cast<double>(row)));
        times.push_back(static_cast<int64_t>(1700000000000000 + row * 1000000 + row * row % 997));
        sequences.push_back(row);
    }
    BlockInfo info;
    info.columns = kColumns;
    std::shared_ptr<const EncodedBlock> block;
    for (auto _ : state) {
        BlockBuilder builder(info, keys, times, sequences);
        for (uint32_t column = 0; column < kColumns; ++column) {
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

struct Level {
    KernelLevel level;
    const char* name;
};
constexpr std::array kLevels = {Level{KernelLevel::kPortable, "portable"},
                                Level{KernelLevel::kAvx2, "avx2"},
                                Level{KernelLevel::kAvx512, "avx512"}};

const Level& best_level() {
    const auto best = std::find_if(kLevels.rbegin(), kLevels.rend(), [](const Level& level) {
        return kernels_of(level.level) != nullptr;
    });
    return *best;
}

// Each class with the kernels that this processor takes.
void register_class(const Class& of) {
    const auto add = [&](const char* what, void (*measure)(benchmark::State&, Kind)) {
        const std::string name = std::string("codec/") + what + "/" + of.name;
        benchmark::RegisterBenchmark(name.c_str(), measure, of.kind)->Arg(16)->Arg(512)->Arg(4096);
    };
    add("encode", encode_doubles);
    if (of.kind != Kind::kNoise64 && of.kind != Kind::kDecimals64) {
        add("encode_words", encode_words);
    }
    add("decode", decode_doubles);
}

// Some classes with the kernels of every level that this processor has.
void register_level(const Level& of) {
    const auto add = [&](const char* what, const char* kind_name, Kind kind,
                         void (*measure)(benchmark::State&, Kind)) {
        const std::string name = std::string("kernels/") + of.name + "/" + what + "/" + kind_name;
        const auto at_level = [measure, kind, level = of.level](benchmark::State& state) {
            use_kernels(level);
            measure(state, kind);
            use_kernels(best_level().level);
        };
        benchmark::RegisterBenchmark(name.c_str(), at_level)->Arg(512);
    };
    for (const Class& kind : kClasses) {
        if (kind.kind == Kind::kNoise10 || kind.kind == Kind::kInteger ||
            kind.kind == Kind::kSmooth || kind.kind == Kind::kNoise64) {
            add("encode", kind.name, kind.kind, encode_doubles);
            add("decode", kind.name, kind.kind, decode_doubles);
        }
    }
}

const bool kRegistered = [] {
    for (const Class& of : kClasses) {
        register_class(of);
    }
    for (const Level& level : kLevels) {
        if (kernels_of(level.level) != nullptr) {
            register_level(level);
        }
    }
    return true;
}();

BENCHMARK(BM_SealBlock);

}  // namespace
}  // namespace stepdb
