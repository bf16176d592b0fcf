// What the variants of the kernels share; for their files alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/codec/decimal.h"
#include "engine/codec/kernels.h"

namespace stepdb {

namespace portable {
extern const Kernels kKernels;
}

#ifdef __x86_64__
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
#endif

// As Kernels::narrow, value by value: for blocks with a signalling NaN.
bool narrow_by_bits(const double* values, size_t count, uint32_t* words);

// Where field i of `Lanes` fields of some width begins in a stream of them: a word and a bit of it.
template <size_t Lanes>
struct FieldPlaces {
    std::array<uint8_t, Lanes> word;
    std::array<uint8_t, Lanes> bit;
};

// By width, up to the bits of a word.
template <size_t WordBits, size_t Lanes>
constexpr auto make_field_places() {
    std::array<FieldPlaces<Lanes>, WordBits + 1> places{};
    for (size_t width = 0; width <= WordBits; ++width) {
        for (size_t lane = 0; lane < Lanes; ++lane) {
            places[width].word[lane] = static_cast<uint8_t>(lane * width / WordBits);
            places[width].bit[lane] = static_cast<uint8_t>(lane * width % WordBits);
        }
    }
    return places;
}

// To close up `Lanes` words of 64 bits, of which only the low `bits` are used: output word j begins
// with bit `bit` of word `word`. By number of bits, from 33: three words then fill an output word.
template <size_t Lanes>
constexpr auto make_word_places() {
    std::array<FieldPlaces<Lanes>, 65> places{};
    for (size_t bits = 1; bits <= 64; ++bits) {
        for (size_t lane = 0; lane < Lanes; ++lane) {
            places[bits].word[lane] = static_cast<uint8_t>(lane * 64 / bits);
            places[bits].bit[lane] = static_cast<uint8_t>(lane * 64 % bits);
        }
    }
    return places;
}

}  // namespace stepdb
