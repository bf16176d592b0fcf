// A drawing of braille characters, 2 x 4 dots each. Every cell has one colour, so dots come in two
// layers: where a line passes a cell, the band behind it gives way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stepdb {

class Canvas {
  public:
    static constexpr int kDotsAcross = 2;  // of a cell
    static constexpr int kDotsDown = 4;

    // Sizes in cells, at least 1.
    Canvas(int width, int height);

    int dots_across() const { return width_ * kDotsAcross; }
    int dots_down() const { return height_ * kDotsDown; }

    // Dot (0, 0) is at the top left; dots outside are left out. `color` is one of the terminal's
    // 256; where colours meet in a cell, the one drawn last wins.
    void draw_line_dot(int x, int y, uint8_t color);
    void draw_band_dot(int x, int y, uint8_t color);

    // One row of cells as UTF-8, with ANSI colours if asked.
    std::string row(int y, bool color) const;

  private:
    struct Cell {
        uint8_t line_dots = 0;
        uint8_t line_color = 0;
        uint8_t band_dots = 0;
        uint8_t band_color = 0;
    };
    // Null if outside. `bit` gets the dot's bit in U+2800.
    Cell* cell_at(int x, int y, uint8_t& bit);

    int width_;
    int height_;
    std::vector<Cell> cells_;
};

// `text` in one of the terminal's 256 colours; as it is unless `on`.
std::string colored(std::string_view text, uint8_t color, bool on);

}  // namespace stepdb
