#include "query/required_literals.h"

#include <algorithm>
#include <utility>

namespace stepdb {

namespace {

bool is_word_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Reads a regex from left to right. Characters that stand for themselves make a piece; whatever may
// be left out, or repeated, ends it.
class LiteralReader {
  public:
    explicit LiteralReader(std::string_view regex) : regex_(regex) {}

    std::vector<std::string> read() {
        while (at_ < regex_.size() && !is_too_hard_) {
            read_one();
        }
        end_piece();
        return is_too_hard_ ? std::vector<std::string>() : std::move(pieces_);
    }

  private:
    char at(size_t place) const { return place < regex_.size() ? regex_[place] : '\0'; }

    void read_one() {
        switch (const char c = regex_[at_]) {
            case '|':
            case ')':
                is_too_hard_ = true;
                break;
            case '\\':
                read_escape();
                break;
            case '(':
                end_piece();
                skip_group();
                break;
            case '[':
                end_piece();
                skip_class();
                break;
            case '*':
            case '?':
            case '{':
                drop_last();
                end_piece();
                skip_repetition();
                break;
            case '+':
            case '.':
            case '^':
            case '$':
                end_piece();
                ++at_;
                break;
            default:
                piece_ += c;
                ++at_;
        }
    }

    void end_piece() {
        if (!piece_.empty()) {
            pieces_.push_back(std::exchange(piece_, {}));
        }
    }

    // The last character of the piece, which a repetition may leave out.
    void drop_last() {
        while (!piece_.empty()) {
            const auto byte = static_cast<unsigned char>(piece_.back());
            piece_.pop_back();
            if ((byte & 0xC0U) != 0x80U) {
                return;
            }
        }
    }

    // A class of characters such as \d, or punctuation that stands for itself.
    void read_escape() {
        const char c = at(at_ + 1);
        if (!is_word_character(c) && static_cast<unsigned char>(c) < 0x80 && c != '\0') {
            piece_ += c;
        } else if (std::string_view("dDsSwWbB").find(c) != std::string_view::npos && c != '\0') {
            end_piece();
        } else {
            is_too_hard_ = true;
        }
        at_ += 2;
    }

    // Up to the brace's end, or the one character.
    void skip_repetition() {
        if (regex_[at_] == '{') {
            at_ = std::min(regex_.find_first_not_of("0123456789,", at_ + 1), regex_.size());
            is_too_hard_ = at(at_) != '}';  // a brace that stands for itself
        }
        ++at_;
    }

    void skip_class() {
        size_t place = at_ + 1;
        place += at(place) == '^' ? 1U : 0U;
        place += at(place) == ']' ? 1U : 0U;
        for (; place < regex_.size() && regex_[place] != ']'; ++place) {
            if (regex_[place] == '[' || regex_[place] == '\\') {
                // A class within the class, or an escape such as \pN or \Q.
                is_too_hard_ = true;
                return;
            }
        }
        at_ = place + 1;
    }

    // Whatever is in it is not looked at.
    void skip_group() {
        if (at(at_ + 1) == '?' && at(at_ + 2) != ':' && at(at_ + 2) != 'P') {
            is_too_hard_ = true;  // flags, which may hold for what follows
            return;
        }
        size_t depth = 0;
        while (at_ < regex_.size() && !is_too_hard_) {
            const char c = regex_[at_];
            if (c == '[') {
                skip_class();
                continue;
            }
            if (c == '\\') {
                is_too_hard_ = at(at_ + 1) == 'Q';
                at_ += 2;
                continue;
            }
            depth += c == '(' ? 1U : 0U;
            ++at_;
            if (c == ')' && --depth == 0) {
                return;
            }
        }
    }

    std::string_view regex_;
    size_t at_ = 0;
    std::string piece_;
    std::vector<std::string> pieces_;
    bool is_too_hard_ = false;
};

}  // namespace

std::vector<std::string> required_literals(std::string_view regex) {
    return LiteralReader(regex).read();
}

bool has_in_order(std::string_view text, std::span<const std::string> pieces) {
    for (const std::string& piece : pieces) {
        const size_t at = text.find(piece);
        if (at == std::string_view::npos) {
            return false;
        }
        text.remove_prefix(at + piece.size());
    }
    return true;
}

}  // namespace stepdb
