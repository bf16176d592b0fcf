#include "engine/base/json_scanner.h"

#include <cmath>
#include <limits>
#include <optional>

#include "engine/base/number_text.h"
#include "engine/base/text.h"

namespace stepdb {

namespace {

bool is_json_digit(char c) {
    return c >= '0' && c <= '9';
}

void append_utf8(std::string& text, uint32_t point) {
    const auto put = [&](uint32_t byte) { text += static_cast<char>(byte); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xC0U | point >> 6U);
        put(0x80U | (point & 0x3FU));
    } else if (point < 0x10000) {
        put(0xE0U | point >> 12U);
        put(0x80U | (point >> 6U & 0x3FU));
        put(0x80U | (point & 0x3FU));
    } else {
        put(0xF0U | point >> 18U);
        put(0x80U | (point >> 12U & 0x3FU));
        put(0x80U | (point >> 6U & 0x3FU));
        put(0x80U | (point & 0x3FU));
    }
}

class JsonScanner {
  public:
    JsonScanner(std::string_view text, const JsonSink& sink) : text_(text), sink_(sink) {}

    Status scan() {
        skip_blanks();
        if (!take('{')) {
            return error("an object `{...}` is wanted");
        }
        TRY(read_object(1));
        skip_blanks();
        return at_ == text_.size() ? Status() : Status(error("something follows the object"));
    }

    Status scan_array() {
        skip_blanks();
        if (!take('[')) {
            return error("an array `[...]` is wanted");
        }
        TRY(walk_array(1));
        skip_blanks();
        return at_ == text_.size() ? Status() : Status(error("something follows the array"));
    }

    Status scan_elements(const std::function<Status(std::string_view)>& take_element) {
        is_silent_ = true;
        element_sink_ = &take_element;
        return scan_array();
    }

  private:
    Error error(std::string_view what) const {
        if (at_ == text_.size()) {
            return make_error(ErrorCode::kInvalidArgument, "column {}: {}, but the line ends here",
                              at_ + 1, what);
        }
        return make_error(ErrorCode::kInvalidArgument, "column {}: {}, not '{}'", at_ + 1, what,
                          printable(text_.substr(at_), 20));
    }

    void skip_blanks() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' ||
                                      text_[at_] == '\n' || text_[at_] == '\r')) {
            ++at_;
        }
    }
    bool sees(char c) const { return at_ < text_.size() && text_[at_] == c; }
    bool take(char c) {
        if (!sees(c)) {
            return false;
        }
        ++at_;
        return true;
    }
    bool take_word(std::string_view word) {
        if (!text_.substr(at_).starts_with(word)) {
            return false;
        }
        at_ += word.size();
        return true;
    }

    // The brace has been taken. Recursion goes as deep as kJsonDepthMax.
    Status read_object(int depth);
    Status read_member(int depth);
    Status read_value(int depth);
    Status walk_array(int depth);
    Result<std::string_view> read_string();
    Status read_escape();
    std::optional<uint32_t> read_hex4();
    Status read_number(JsonLeaf& leaf);
    Status read_scalar(JsonLeaf& leaf);

    Status hand_on(JsonLeaf leaf) {
        leaf.path = path_;
        return is_silent_ ? Status() : sink_(leaf);
    }

    std::string_view text_;
    const JsonSink& sink_;
    size_t at_ = 0;
    std::string path_;
    std::string unescaped_;
    bool is_silent_ = false;  // within an array
    const std::function<Status(std::string_view)>* element_sink_ = nullptr;
};

// NOLINTBEGIN(misc-no-recursion)
Status JsonScanner::read_object(int depth) {
    if (depth > kJsonDepthMax) {
        return error(fmt::format("at most {} levels are read", kJsonDepthMax));
    }
    skip_blanks();
    if (take('}')) {
        return {};
    }
    for (;;) {
        TRY(read_member(depth));
        skip_blanks();
        if (take('}')) {
            return {};
        }
        if (!take(',')) {
            return error("`,` or `}` is wanted");
        }
        skip_blanks();
    }
}

Status JsonScanner::read_member(int depth) {
    if (!sees('"')) {
        return error("a name in quotes is wanted");
    }
    const size_t outer = path_.size();
    TRY_ASSIGN(const std::string_view key, read_string());
    if (!is_silent_) {
        path_ += depth > 1 ? "/" : "";
        path_ += key;
    }
    skip_blanks();
    if (!take(':')) {
        return error("`:` is wanted");
    }
    skip_blanks();
    TRY(read_value(depth));
    path_.resize(outer);
    return {};
}

Status JsonScanner::read_value(int depth) {
    if (take('{')) {
        return read_object(depth + 1);
    }
    JsonLeaf leaf;
    const size_t begin = at_;
    if (take('[')) {
        const bool outer = is_silent_;
        is_silent_ = true;
        TRY(walk_array(depth + 1));
        is_silent_ = outer;
        leaf.kind = JsonKind::kArray;
        leaf.text = text_.substr(begin, at_ - begin);
    } else {
        TRY(read_scalar(leaf));
    }
    return hand_on(leaf);
}

// The bracket has been taken.
Status JsonScanner::walk_array(int depth) {
    if (depth > kJsonDepthMax) {
        return error(fmt::format("at most {} levels are read", kJsonDepthMax));
    }
    skip_blanks();
    if (take(']')) {
        return {};
    }
    for (;;) {
        const size_t begin = at_;
        TRY(read_value(depth));
        if (depth == 1 && element_sink_ != nullptr) {
            TRY((*element_sink_)(text_.substr(begin, at_ - begin)));
        }
        skip_blanks();
        if (take(']')) {
            return {};
        }
        if (!take(',')) {
            return error("`,` or `]` is wanted");
        }
        skip_blanks();
    }
}
// NOLINTEND(misc-no-recursion)

Status JsonScanner::read_scalar(JsonLeaf& leaf) {
    if (sees('"')) {
        TRY_ASSIGN(leaf.text, read_string());
        leaf.kind = JsonKind::kString;
        return {};
    }
    const size_t begin = at_;
    leaf.kind = JsonKind::kNumber;
    if (take_word("NaN")) {
        leaf.number = std::numeric_limits<double>::quiet_NaN();
    } else if (take_word("Infinity")) {
        leaf.number = std::numeric_limits<double>::infinity();
    } else if (take_word("-Infinity")) {
        leaf.number = -std::numeric_limits<double>::infinity();
    } else if (take_word("null")) {
        leaf.kind = JsonKind::kNull;
    } else if (take_word("true")) {
        leaf.kind = JsonKind::kBool;
        leaf.number = 1;
    } else if (take_word("false")) {
        leaf.kind = JsonKind::kBool;
    } else {
        return read_number(leaf);
    }
    leaf.text = text_.substr(begin, at_ - begin);
    return {};
}

// -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
Status JsonScanner::read_number(JsonLeaf& leaf) {
    const size_t begin = at_;
    const auto digits = [&] {
        const size_t first = at_;
        while (at_ < text_.size() && is_json_digit(text_[at_])) {
            ++at_;
        }
        return at_ > first;
    };
    take('-');
    if (!take('0') && !digits()) {
        return error("a value is wanted");
    }
    if (take('.') && !digits()) {
        return error("digits are wanted");
    }
    if (take('e') || take('E')) {
        if (!take('+')) {
            take('-');
        }
        if (!digits()) {
            return error("digits are wanted");
        }
    }
    leaf.text = text_.substr(begin, at_ - begin);
    const std::optional<double> number = parse_logged_number(leaf.text);
    if (!number) {
        return error("a number is wanted");
    }
    leaf.number = *number;
    return {};
}

// Valid until the next string.
Result<std::string_view> JsonScanner::read_string() {
    ++at_;
    const size_t begin = at_;
    bool is_escaped = false;
    for (;;) {
        if (at_ == text_.size()) {
            return error("a quote that ends the string is wanted");
        }
        const char c = text_[at_];
        if (c == '"') {
            break;
        }
        if (static_cast<unsigned char>(c) < 0x20) {
            return error("a control character must be escaped");
        }
        if (c == '\\') {
            if (!is_escaped) {
                is_escaped = true;
                unescaped_.assign(text_.substr(begin, at_ - begin));
            }
            ++at_;
            TRY(read_escape());
            continue;
        }
        if (is_escaped) {
            unescaped_ += c;
        }
        ++at_;
    }
    const std::string_view plain = text_.substr(begin, at_ - begin);
    ++at_;
    return is_escaped ? std::string_view(unescaped_) : plain;
}

std::optional<uint32_t> JsonScanner::read_hex4() {
    if (text_.size() - at_ < 4) {
        return std::nullopt;
    }
    uint32_t value = 0;
    for (const char c : text_.substr(at_, 4)) {
        const char low = static_cast<char>(c | 0x20);
        if (!is_json_digit(c) && !(low >= 'a' && low <= 'f')) {
            return std::nullopt;
        }
        value = value * 16 + static_cast<uint32_t>(is_json_digit(c) ? c - '0' : low - 'a' + 10);
    }
    at_ += 4;
    return value;
}

// The backslash has been taken.
Status JsonScanner::read_escape() {
    constexpr std::string_view kShort = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    const size_t which = at_ < text_.size() ? kShort.find(text_[at_]) : std::string_view::npos;
    if (which != std::string_view::npos) {
        unescaped_ += kMeant[which];
        ++at_;
        return {};
    }
    if (!take('u')) {
        return error("an escape such as \\n or \\u00e4 is wanted");
    }
    std::optional<uint32_t> point = read_hex4();
    if (!point) {
        return error("four hex digits are wanted");
    }
    if (*point >= 0xD800 && *point < 0xDC00 && take_word("\\u")) {
        const std::optional<uint32_t> low = read_hex4();
        if (!low) {
            return error("four hex digits are wanted");
        }
        if (*low < 0xDC00 || *low >= 0xE000) {
            append_utf8(unescaped_, 0xFFFD);
            point = low;
        } else {
            point = 0x10000 + ((*point - 0xD800) << 10U) + (*low - 0xDC00);
        }
    }
    // Half a character of UTF-16 by itself is none.
    append_utf8(unescaped_, *point >= 0xD800 && *point < 0xE000 ? 0xFFFD : *point);
    return {};
}

}  // namespace

Status scan_json_object(std::string_view text, const JsonSink& sink) {
    return JsonScanner(text, sink).scan();
}

Status scan_json_elements(std::string_view text,
                          const std::function<Status(std::string_view)>& take) {
    const JsonSink nowhere;
    return JsonScanner(text, nowhere).scan_elements(take);
}

Status scan_json_array(std::string_view text, const JsonSink& sink) {
    return JsonScanner(text, sink).scan_array();
}

}  // namespace stepdb
