#include "tools/bench/load_values.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <random>

namespace stepdb {

namespace {

constexpr size_t kFactors = size_t{1} << 16U;
constexpr double kSpikeShare = 1e-4;
constexpr double kNanBurstShare = 2e-6;
constexpr uint8_t kNanBurstRows = 20;
// Rows of one turn of a schedule.
constexpr double kScheduleRows = 10'000;

}  // namespace

LoadValues::LoadValues(const LoadShape& shape, uint64_t seed)
    : shape_(shape), state_(seed), levels_(shape.metrics), nan_left_(shape.metrics) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> gauss;
    for (size_t at = 0; at < kFactors; ++at) {
        const double drawn = gauss(random);
        gauss_.push_back(static_cast<float>(drawn));
        factors_.push_back(shape.data == LoadData::kNoise ? 1 + 0.1 * drawn
                                                          : std::exp(0.1 * drawn));
    }
    for (double& level : levels_) {
        level = std::pow(10.0, gauss(random));
    }
}

LoadValues::Kind LoadValues::kind_of(size_t column) const {
    static constexpr Kind kTen[] = {Kind::kNoise, Kind::kNoise,   Kind::kConstant, Kind::kNoise,
                                    Kind::kNoise, Kind::kCounter, Kind::kNoise,    Kind::kNoise,
                                    Kind::kShare, Kind::kSchedule};
    return shape_.data == LoadData::kNoise ? Kind::kNoise : kTen[column % 10];
}

// SplitMix64: public domain arithmetic, a few cycles a number.
uint64_t LoadValues::random() {
    state_ += 0x9E3779B97F4A7C15U;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
    return mixed ^ (mixed >> 31U);
}

double LoadValues::noisy(size_t column) {
    const uint64_t drawn = random();
    double& level = levels_[column];
    level *= 1 + 0.001 * static_cast<double>(gauss_[drawn % kFactors]);
    const double value = level * factors_[(drawn >> 16U) % kFactors];
    if (shape_.data == LoadData::kNoise) {
        return value;
    }
    const double chance = static_cast<double>(drawn >> 32U) / 0x1p32;
    if (chance < kNanBurstShare) {
        nan_left_[column] = kNanBurstRows;
    }
    if (nan_left_[column] != 0) {
        --nan_left_[column];
        return std::numeric_limits<double>::quiet_NaN();
    }
    const bool is_spike = chance >= 1 - kSpikeShare;
    return is_spike ? value * (10 + 90 * (1 - chance) / kSpikeShare) : value;
}

double LoadValues::value_of(size_t column) {
    const auto row = static_cast<double>(row_);
    switch (kind_of(column)) {
        case Kind::kNoise:
            return noisy(column);
        case Kind::kConstant:
            return 0.1 * static_cast<double>(column % 7 + 1);
        case Kind::kCounter: {
            const double counted = row * static_cast<double>(uint64_t{1} << (column % 12));
            // Beyond what a float32 counts, if doubles are wanted.
            return shape_.is_float64 ? counted + 0x1p41 + 1 : counted;
        }
        case Kind::kSchedule:
            return 0.5e-3 * (1 + std::cos(std::numbers::pi * row / kScheduleRows));
        case Kind::kShare: {
            const auto hits = static_cast<double>(200 + random() % 32);
            return hits / (shape_.is_float64 ? 250 : 256);
        }
    }
    return 0;
}

void LoadValues::next_row(std::span<double> values) {
    for (size_t column = 0; column < values.size(); ++column) {
        const double value = value_of(column);
        values[column] = shape_.is_float64 ? value : static_cast<double>(static_cast<float>(value));
    }
    ++row_;
}

}  // namespace stepdb
