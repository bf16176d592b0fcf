#include "engine/base/natural_order.h"

#include <algorithm>
#include <array>

#include "engine/base/text.h"

namespace stepdb {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// How much all texts begin alike with; a number is not cut.
size_t common_prefix(std::span<const std::string_view> texts) {
    std::string_view prefix = texts.front();
    for (const std::string_view text : texts) {
        const auto [end, other] = std::ranges::mismatch(prefix, text);
        prefix = prefix.substr(0, static_cast<size_t>(end - prefix.begin()));
    }
    size_t length = prefix.size();
    while (length > 0 && is_digit(prefix[length - 1])) {
        --length;
    }
    return length;
}

// The beginning of a text as two words that are in order where the texts are; equal words decide
// nothing. A byte stands for itself, a number for a digit, how many digits it has, and these: so it
// is beside other bytes where its first digit is, and beside numbers where they are.
class LeadingWords {
  public:
    explicit LeadingWords(std::string_view text) {
        size_t at = 0;
        while (at < text.size() && !is_full()) {
            if (!is_digit(text[at])) {
                put(static_cast<unsigned char>(text[at++]));
                continue;
            }
            size_t end = at;
            while (end < text.size() && is_digit(text[end])) {
                ++end;
            }
            while (at + 1 < end && text[at] == '0') {
                ++at;
            }
            put('0');
            put(static_cast<uint8_t>(std::min<size_t>(end - at, 255)));
            if (end - at >= 255) {
                return;  // told apart by natural_less
            }
            while (at < end) {
                put(static_cast<unsigned char>(text[at++]));
            }
        }
    }

    auto operator<=>(const LeadingWords&) const = default;  // NOLINT(modernize-use-nullptr): its 0

  private:
    bool is_full() const { return bytes_ == 16; }
    void put(uint8_t byte) {
        if (!is_full()) {
            words_[bytes_ / 8] |= static_cast<uint64_t>(byte) << (56 - bytes_ % 8 * 8);
            ++bytes_;
        }
    }

    std::array<uint64_t, 2> words_{};
    uint32_t bytes_ = 0;
};

struct Ranked {
    LeadingWords words;
    uint32_t number;
};

}  // namespace

std::vector<uint32_t> natural_order(std::span<const std::string_view> texts) {
    std::vector<uint32_t> order;
    order.reserve(texts.size());
    if (texts.empty()) {
        return order;
    }
    const size_t prefix = common_prefix(texts);
    std::vector<Ranked> ranked;
    ranked.reserve(texts.size());
    for (uint32_t number = 0; number < texts.size(); ++number) {
        ranked.push_back({LeadingWords(texts[number].substr(prefix)), number});
    }
    const auto stands_before = [texts](const Ranked& a, const Ranked& b) {
        if (a.words != b.words) {
            return a.words < b.words;
        }
        if (natural_less(texts[a.number], texts[b.number])) {
            return true;
        }
        return a.number < b.number && !natural_less(texts[b.number], texts[a.number]);
    };
    // Names whose numbers all have as many digits come in order from the catalog.
    if (!std::ranges::is_sorted(ranked, stands_before)) {
        std::ranges::sort(ranked, stands_before);
    }
    for (const Ranked& each : ranked) {
        order.push_back(each.number);
    }
    return order;
}

}  // namespace stepdb
