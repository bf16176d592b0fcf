// What the program's terminal is, if it has one.
#pragma once

namespace stepdb {

struct TerminalSize {
    int width = 100;
    int height = 30;
};

bool is_terminal(int descriptor);

// A terminal, and nobody asked for none: NO_COLOR is unset or empty, TERM is not "dumb".
bool wants_color(int descriptor);

// Its size; the defaults above if it does not say.
TerminalSize terminal_size(int descriptor);

}  // namespace stepdb
