// Lines typed at a terminal: editing, history, completion by the tab key. On libedit, which unlike
// GNU readline may be linked to what is under Apache-2.0.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stepdb {

// What may stand in the place of the end of what was typed.
struct Completions {
    Completions() = default;

    size_t replaced_bytes = 0;       // before the cursor
    std::vector<std::string> words;  // each whole
};

// Single-threaded; one in a process.
class LineEditor {
  public:
    using Complete = std::function<Completions(std::string_view before_cursor)>;

    // Reads and keeps the history in that file; empty: nowhere.
    LineEditor(std::string history_file, Complete complete);
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    struct Line {
        std::string text;
        bool is_cancelled = false;  // by Ctrl-C: what was typed is not meant
    };
    // Without the newline; nothing at the end of the input (Ctrl-D).
    std::optional<Line> read(const std::string& prompt);

    // To the history, and to its file.
    void remember(const std::string& text);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace stepdb
