#include "tools/import/trainer_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "engine/base/json_scanner.h"
#include "tools/import/byte_source.h"
#include "tools/import/json_log.h"

namespace stepdb {

namespace {

constexpr size_t kBufferBytes = 64U << 10U;
constexpr size_t kValueBytesMax = 64U << 20U;  // as of a line in JSON lines

// Members that are settings; the rest tells how far the run has come.
constexpr std::array<std::string_view, 6> kSettings = {"max_steps",        "num_train_epochs",
                                                       "train_batch_size", "logging_steps",
                                                       "eval_steps",       "save_steps"};
constexpr std::string_view kTrialParams = "trial_params/";

// The characters of a text, one by one.
class Characters {
  public:
    explicit Characters(ByteSource source) : source_(std::move(source)), buffer_(kBufferBytes) {}

    // The next one, which is not taken yet; 0 at the end (and for a NUL, which JSON has not).
    Result<char> peek() {
        if (at_ == filled_) {
            TRY_ASSIGN(filled_, source_(buffer_));
            at_ = 0;
            bytes_read_ += filled_;
            at_end_ = filled_ == 0;
        }
        return at_end_ ? '\0' : static_cast<char>(buffer_[at_]);
    }
    void take() { line_ += buffer_[at_++] == std::byte{'\n'} ? 1U : 0U; }
    // The next one behind blanks.
    Result<char> peek_word() {
        for (;;) {
            TRY_ASSIGN(const char c, peek());
            if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
                return c;
            }
            take();
        }
    }
    bool at_end() const { return at_end_; }
    uint64_t line() const { return line_; }
    uint64_t bytes_read() const { return bytes_read_; }

  private:
    ByteSource source_;
    std::vector<std::byte> buffer_;
    size_t at_ = 0;
    size_t filled_ = 0;
    bool at_end_ = false;
    uint64_t line_ = 1;
    uint64_t bytes_read_ = 0;
};

class TrainerState final : public JsonObjects {
  public:
    TrainerState(ByteSource source, std::string path)
        : path_(std::move(path)), text_(std::move(source)) {}

    Result<bool> next(std::string_view& text) override;
    std::string place() const override {
        return fmt::format("{}: entry {} of log_history, line {}", path_, entries_, entry_line_);
    }
    uint64_t number() const override { return entries_; }
    bool unterminated() const override { return false; }
    uint64_t bytes_read() const override { return text_.bytes_read(); }
    const LogFacts& facts() const override { return facts_; }

  private:
    enum class State : uint8_t { kStart, kMembers, kEntries, kEnd };

    Error wanted(std::string_view what) const;
    // Takes `c`, behind blanks.
    Status take(char c);
    // Behind a member or entry: whether another follows (true) or `end` was taken.
    Result<bool> goes_on(char end);
    // Until the members end or the list begins.
    Status read_members();
    Status read_member();
    Status take_fact();
    // Appends a value as it is written; that it is one will be seen when it is scanned.
    Status read_value(std::string& into);
    Status read_string(std::string& into);

    std::string path_;
    Characters text_;
    State state_ = State::kStart;
    bool is_first_ = true;  // no member or entry of what is being read came yet
    bool has_history_ = false;
    uint64_t entries_ = 0;
    uint64_t entry_line_ = 0;
    std::string value_;
    LogFacts facts_;
};

Error TrainerState::wanted(std::string_view what) const {
    return make_error(ErrorCode::kInvalidArgument, "{}: line {}: {}{}", path_, text_.line(), what,
                      text_.at_end() ? ", but the file ends here; it seems to be cut off" : "");
}

Status TrainerState::take(char c) {
    TRY_ASSIGN(const char next, text_.peek_word());
    if (next != c || text_.at_end()) {
        return wanted(fmt::format("`{}` is wanted", c));
    }
    text_.take();
    return {};
}

Result<bool> TrainerState::goes_on(char end) {
    TRY_ASSIGN(const char next, text_.peek_word());
    if (next == end) {
        text_.take();
        return false;
    }
    if (!is_first_) {
        TRY(take(','));
    }
    is_first_ = false;
    return true;
}

Status TrainerState::read_string(std::string& into) {
    bool is_escaped = false;
    for (bool is_first = true;; is_first = false) {
        TRY_ASSIGN(const char c, text_.peek());
        if (text_.at_end()) {
            return wanted("a quote that ends the text is wanted");
        }
        if (into.size() >= kValueBytesMax) {
            return wanted(fmt::format("a value of more than {} bytes", kValueBytesMax));
        }
        text_.take();
        into += c;
        if (c == '"' && !is_escaped && !is_first) {
            return {};
        }
        is_escaped = c == '\\' && !is_escaped;
    }
}

Status TrainerState::read_value(std::string& into) {
    uint64_t depth = 0;
    for (;;) {
        TRY_ASSIGN(const char c, text_.peek());
        const bool ends_scalar =
            c == ',' || c == '}' || c == ']' || c == '\n' || c == '\r' || c == ' ' || c == '\t';
        if (text_.at_end()) {
            return wanted("the end of a value is wanted");
        }
        if (into.size() >= kValueBytesMax) {
            return wanted(fmt::format("a value of more than {} bytes", kValueBytesMax));
        }
        if (depth == 0 && ends_scalar) {
            return {};
        }
        if (c == '"') {
            TRY(read_string(into));
        } else {
            text_.take();
            into += c;
            depth += c == '{' || c == '[' ? 1U : 0U;
            depth -= c == '}' || c == ']' ? 1U : 0U;
        }
        if (depth == 0 && (c == '"' || c == '}' || c == ']')) {
            return {};
        }
    }
}

// The member in value_ as an object of its own: what it says of the run.
Status TrainerState::take_fact() {
    const JsonSink sink = [this](const JsonLeaf& leaf) -> Status {
        const std::string name(leaf.path);
        if (leaf.kind == JsonKind::kNull || leaf.kind == JsonKind::kArray) {
            return {};
        }
        if (leaf.path.starts_with(kTrialParams)) {
            facts_.set_leaf("config/" + name.substr(kTrialParams.size()), leaf);
        } else if (leaf.path == "trial_name" && leaf.kind == JsonKind::kString) {
            facts_.set_leaf(kNameAttribute, leaf);
        } else if (leaf.path.find('/') == std::string_view::npos) {
            const bool is_setting = std::ranges::find(kSettings, leaf.path) != kSettings.end();
            facts_.set_leaf((is_setting ? "config/" : "trainer/") + name, leaf);
        }
        return {};
    };
    const Status scanned = scan_json_object(value_, sink);
    return scanned ? scanned
                   : Status(scanned.error().within(
                         fmt::format("{}: the member that ends in line {}", path_, text_.line())));
}

Status TrainerState::read_member() {
    TRY_ASSIGN(const char quote, text_.peek_word());
    if (quote != '"') {
        return wanted("a name in quotes is wanted");
    }
    value_ = "{";
    TRY(read_string(value_));
    const bool is_history = value_ == "{\"log_history\"";
    TRY(take(':'));
    value_ += ':';
    TRY_ASSIGN(const char begin, text_.peek_word());
    if (!is_history) {
        TRY(read_value(value_));
        value_ += '}';
        return take_fact();
    }
    if (begin != '[') {
        return wanted("log_history is a list: `[` is wanted");
    }
    text_.take();
    has_history_ = true;
    state_ = State::kEntries;
    is_first_ = true;
    return {};
}

Status TrainerState::read_members() {
    while (state_ == State::kMembers) {
        TRY_ASSIGN(const bool more, goes_on('}'));
        if (more) {
            TRY(read_member());
            continue;
        }
        state_ = State::kEnd;
        TRY(text_.peek_word());
        if (!text_.at_end()) {
            return wanted("something follows the object");
        }
        if (!has_history_) {
            return make_error(ErrorCode::kInvalidArgument,
                              "{}: there is no log_history in it, so it is no trainer state",
                              path_);
        }
    }
    return {};
}

Result<bool> TrainerState::next(std::string_view& text) {
    if (state_ == State::kStart) {
        TRY(take('{'));
        state_ = State::kMembers;
    }
    for (;;) {
        TRY(read_members());
        if (state_ == State::kEnd) {
            return false;
        }
        TRY_ASSIGN(const bool more, goes_on(']'));
        if (more) {
            break;
        }
        state_ = State::kMembers;
        is_first_ = false;
    }
    TRY(text_.peek_word());
    ++entries_;
    entry_line_ = text_.line();
    value_.clear();
    TRY(read_value(value_));
    text = value_;
    return true;
}

}  // namespace

Result<std::unique_ptr<JsonObjects>> open_trainer_state_objects(const std::string& path,
                                                                uint64_t bytes_max) {
    TRY_ASSIGN(ByteSource source, open_file(path, bytes_max));
    return std::unique_ptr<JsonObjects>(std::make_unique<TrainerState>(std::move(source), path));
}

Result<std::unique_ptr<LogSource>> open_trainer_state(const std::string& path,
                                                      const LogOptions& options,
                                                      uint64_t bytes_max) {
    return JsonLog::open_objects(path, options, bytes_max, open_trainer_state_objects);
}

}  // namespace stepdb
