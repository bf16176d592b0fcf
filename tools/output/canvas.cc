#include "tools/output/canvas.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace stepdb {

Canvas::Canvas(int width, int height)
    : width_(std::max(1, width)),
      height_(std::max(1, height)),
      cells_(static_cast<size_t>(width_) * static_cast<size_t>(height_)) {}

Canvas::Cell* Canvas::cell_at(int x, int y, uint8_t& bit) {
    // Unicode 15, "Braille Patterns": dots 1 to 8 are bits 0 to 7, in this order over the cell.
    static constexpr uint8_t kBits[kDotsDown][kDotsAcross] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (x < 0 || y < 0 || x >= dots_across() || y >= dots_down()) {
        return nullptr;
    }
    bit = kBits[y % kDotsDown][x % kDotsAcross];
    const int index = y / kDotsDown * width_ + x / kDotsAcross;
    return &cells_[static_cast<size_t>(index)];
}

void Canvas::draw_line_dot(int x, int y, uint8_t color) {
    uint8_t bit = 0;
    if (Cell* cell = cell_at(x, y, bit)) {
        cell->line_dots |= bit;
        cell->line_color = color;
    }
}

void Canvas::draw_band_dot(int x, int y, uint8_t color) {
    uint8_t bit = 0;
    if (Cell* cell = cell_at(x, y, bit)) {
        cell->band_dots |= bit;
        cell->band_color = color;
    }
}

std::string Canvas::row(int y, bool color) const {
    std::string text;
    int current = -1;  // colour now switched on
    for (int x = 0; x < width_; ++x) {
        const Cell& cell =
            cells_[static_cast<size_t>(y) * static_cast<size_t>(width_) + static_cast<size_t>(x)];
        const uint8_t dots = cell.line_dots != 0 ? cell.line_dots : cell.band_dots;
        if (dots == 0) {
            text += ' ';
            continue;
        }
        const int wanted = cell.line_dots != 0 ? cell.line_color : cell.band_color;
        if (color && wanted != current) {
            text += fmt::format("\x1b[38;5;{}m", wanted);
            current = wanted;
        }
        // U+2800 + dots in UTF-8.
        text += '\xe2';
        text += static_cast<char>(0xA0U | static_cast<unsigned>(dots) >> 6U);
        text += static_cast<char>(0x80U | (static_cast<unsigned>(dots) & 0x3FU));
    }
    if (current >= 0) {
        // Blanks stay the last, so that a line can end before them.
        text.insert(text.find_last_not_of(' ') + 1, "\x1b[0m");
    }
    return text;
}

std::string colored(std::string_view text, uint8_t color, bool on) {
    return on ? fmt::format("\x1b[38;5;{}m{}\x1b[0m", color, text) : std::string(text);
}

}  // namespace stepdb
