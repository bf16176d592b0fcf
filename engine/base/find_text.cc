#include "engine/base/find_text.h"

#include <emmintrin.h>

#include <bit>
#include <cstdint>
#include <cstring>

namespace stepdb {

namespace {

__m128i load(const char* bytes) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
}

}  // namespace

size_t find_text(std::string_view text, std::string_view piece, size_t from) {
    constexpr size_t kPlaces = sizeof(__m128i);
    const size_t tail = piece.size() - 1;  // from the first character to the last
    const __m128i first = _mm_set1_epi8(piece.front());
    const __m128i last = _mm_set1_epi8(piece.back());
    size_t at = from;
    for (; at + tail + kPlaces <= text.size(); at += kPlaces) {
        const char* place = text.data() + at;
        const __m128i both = _mm_and_si128(_mm_cmpeq_epi8(load(place), first),
                                           _mm_cmpeq_epi8(load(place + tail), last));
        for (auto hits = static_cast<uint32_t>(_mm_movemask_epi8(both)); hits != 0;
             hits &= hits - 1) {
            const auto hit = static_cast<size_t>(std::countr_zero(hits));
            if (std::memcmp(place + hit, piece.data(), piece.size()) == 0) {
                return at + hit;
            }
        }
    }
    return text.find(piece, at);
}

}  // namespace stepdb
