#include "tools/line_editor.h"

#include <fmt/format.h>
#include <histedit.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tools/output/format_cell.h"
#include "tools/output/terminal.h"
#include "tools/shell_completion.h"

namespace stepdb {

namespace {

constexpr int kHistoryLines = 2000;
constexpr size_t kWordsShown = 200;  // of the completions

// In columns, as `ls` lays out files; more than kWordsShown are counted.
std::string in_columns(const std::vector<std::string>& words, size_t width) {
    const size_t shown = std::min(words.size(), kWordsShown);
    size_t widest = 0;
    for (size_t i = 0; i < shown; ++i) {
        widest = std::max(widest, display_width(words[i]));
    }
    const size_t columns = std::max<size_t>(1, width / (widest + 2));
    const size_t rows = (shown + columns - 1) / columns;
    std::string text;
    for (size_t row = 0; row < rows; ++row) {
        for (size_t column = 0; column < columns; ++column) {
            const size_t at = column * rows + row;
            if (at >= shown) {
                break;
            }
            const bool is_last = at + rows >= shown || column + 1 == columns;
            text += words[at];
            text += std::string(is_last ? 0 : widest + 2 - display_width(words[at]), ' ');
        }
        text += '\n';
    }
    if (shown < words.size()) {
        text += fmt::format("and {} more\n", words.size() - shown);
    }
    return text;
}

}  // namespace

struct LineEditor::State {
    State() = default;

    EditLine* editor = nullptr;
    History* history = nullptr;
    HistEvent event = {};
    std::string history_file;
    std::string prompt;
    Complete complete;
    bool is_cancelled = false;

    static State& of(EditLine* editor) {
        void* state = nullptr;
        el_get(editor, EL_CLIENTDATA, &state);
        return *static_cast<State*>(state);
    }
    static char* prompt_of(EditLine* editor) { return of(editor).prompt.data(); }
    static unsigned char on_tab(EditLine* editor, int key);
    static unsigned char on_interrupt(EditLine* editor, int key);
};

unsigned char LineEditor::State::on_tab(EditLine* editor, int /*key*/) {
    State& state = of(editor);
    const LineInfo* line = el_line(editor);
    const std::string_view before(line->buffer, static_cast<size_t>(line->cursor - line->buffer));
    const Completions found = state.complete(before);
    if (found.words.empty()) {
        return CC_REFRESH_BEEP;
    }
    const std::string_view typed = before.substr(before.size() - found.replaced_bytes);
    std::string common = common_prefix(found.words);
    // A word that is whole goes on behind a blank; a folder or a function does not.
    if (found.words.size() == 1 && common.back() != '/' && common.back() != '(') {
        common += ' ';
    }
    if (common.size() > typed.size()) {
        el_deletestr(editor, static_cast<int>(display_width(typed)));
        el_insertstr(editor, common.c_str());
        return CC_REFRESH;
    }
    const TerminalSize size = terminal_size(STDOUT_FILENO);
    fmt::print("\n{}", in_columns(found.words, static_cast<size_t>(size.width)));
    std::fflush(stdout);
    return CC_REDISPLAY;
}

unsigned char LineEditor::State::on_interrupt(EditLine* editor, int /*key*/) {
    of(editor).is_cancelled = true;
    fmt::print("^C\n");
    std::fflush(stdout);
    return CC_NEWLINE;
}

LineEditor::LineEditor(std::string history_file, Complete complete)
    : state_(std::make_unique<State>()) {
    State& state = *state_;
    state.history_file = std::move(history_file);
    state.complete = std::move(complete);
    state.editor = el_init("stepdb", stdin, stdout, stderr);
    state.history = history_init();
    EditLine* editor = state.editor;
    el_set(editor, EL_CLIENTDATA, state_.get());
    el_set(editor, EL_PROMPT, &State::prompt_of);
    el_set(editor, EL_EDITOR, "emacs");
    history(state.history, &state.event, H_SETSIZE, kHistoryLines);
    history(state.history, &state.event, H_SETUNIQUE, 1);
    el_set(editor, EL_HIST, ::history, state.history);
    if (!state.history_file.empty()) {
        history(state.history, &state.event, H_LOAD, state.history_file.c_str());
    }
    // Wide: of narrow names libedit makes copies that it never frees.
    el_wset(editor, EL_ADDFN, L"stepdb-complete", L"complete a word", &State::on_tab);
    el_set(editor, EL_BIND, "^I", "stepdb-complete", nullptr);
    // Ctrl-C is a key here, not a signal: it gives up the line, never the shell.
    el_wset(editor, EL_ADDFN, L"stepdb-interrupt", L"give up the line", &State::on_interrupt);
    el_set(editor, EL_BIND, "^C", "stepdb-interrupt", nullptr);
    el_set(editor, EL_SETTY, "-d", "-isig", nullptr);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_source(editor, nullptr);  // the user's ~/.editrc
}

LineEditor::~LineEditor() {
    history_end(state_->history);
    el_end(state_->editor);
}

std::optional<LineEditor::Line> LineEditor::read(const std::string& prompt) {
    State& state = *state_;
    state.prompt = prompt;
    state.is_cancelled = false;
    int bytes = 0;
    const char* text = el_gets(state.editor, &bytes);
    Line line;
    line.is_cancelled = state.is_cancelled;
    if (text == nullptr || bytes <= 0) {
        // Ctrl-C in an empty line leaves nothing either.
        return line.is_cancelled ? std::optional<Line>(line) : std::nullopt;
    }
    line.text.assign(text, static_cast<size_t>(bytes));
    while (!line.text.empty() && (line.text.back() == '\n' || line.text.back() == '\r')) {
        line.text.pop_back();
    }
    return line;
}

void LineEditor::remember(const std::string& text) {
    State& state = *state_;
    history(state.history, &state.event, H_ENTER, text.c_str());
    if (!state.history_file.empty()) {
        history(state.history, &state.event, H_SAVE, state.history_file.c_str());
    }
}

}  // namespace stepdb
