#include "tools/output/heat_map.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "tools/output/canvas.h"
#include "tools/output/format_cell.h"

namespace stepdb {

namespace {

// From least to greatest; what is not there is a blank.
constexpr std::array<std::string_view, 5> kShades = {"·", "░", "▒", "▓", "█"};
// The same in the terminal's 256 colours, dark blue to yellow.
constexpr std::array<uint8_t, 12> kColors = {18, 19, 25, 31, 37, 43, 42, 77, 113, 149, 185, 226};
constexpr uint8_t kCrossColor = 196;
constexpr std::string_view kCross = "×";
// A cell is drawn so wide at most.
constexpr size_t kCellWidthMax = 4;
// Beyond this ratio a linear scale shows the greatest alone.
constexpr double kLinearRatioMax = 100;

std::optional<double> number_of(std::string_view text) {
    double number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    return code == std::errc() && end == text.data() + text.size() ? std::optional(number)
                                                                   : std::nullopt;
}

// Of names of columns: numbers, or times as answers have them.
bool is_x(std::string_view text) {
    return number_of(text) || (text.size() >= 20 && text[10] == 'T' && text.back() == 'Z');
}

bool ascends(std::string_view a, std::string_view b) {
    const auto x = number_of(a);
    const auto y = number_of(b);
    if (x || y) {
        return x && y && *x < *y;
    }
    // Times, some with decimals: what they end with stands behind these.
    return a.substr(0, a.size() - 1) < b.substr(0, b.size() - 1);
}

std::optional<double> cell_of(const ColumnCells& cells, uint32_t row) {
    if (cells.is_null(row)) {
        return std::nullopt;
    }
    return cells.type() == ColumnType::kUint64 ? static_cast<double>(cells.uint64s()[row])
                                               : cells.doubles()[row];
}

std::string cut(std::string text, size_t width) {
    while (display_width(text) > width) {
        text.pop_back();
    }
    return text;
}

std::string padded(const std::string& text, size_t width) {
    return text + std::string(width - std::min(width, display_width(text)), ' ');
}

}  // namespace

bool HeatMap::is_of(std::span<const ResultColumn> columns) {
    size_t at = 0;
    while (at < columns.size() && columns[at].type == ColumnType::kText) {
        ++at;
    }
    if (at == 0 || columns.size() < at + 2) {
        return false;
    }
    for (size_t i = at; i < columns.size(); ++i) {
        const bool is_number =
            columns[i].type != ColumnType::kText && columns[i].type != ColumnType::kTime;
        if (!is_number || !is_x(columns[i].name) ||
            (i > at && !ascends(columns[i - 1].name, columns[i].name))) {
            return false;
        }
    }
    return true;
}

HeatMap::HeatMap(std::span<const ResultColumn> columns) : columns_(columns.begin(), columns.end()) {
    while (columns_[labels_].type == ColumnType::kText) {
        ++labels_;
    }
}

void HeatMap::block(const ResultBlock& block) {
    std::vector<std::vector<std::string_view>> texts;
    for (size_t i = 0; i < labels_; ++i) {
        texts.push_back(block.column(i).texts());
    }
    for (uint32_t row = 0; row < block.rows(); ++row) {
        Line& line = lines_.emplace_back();
        for (size_t i = 0; i < labels_; ++i) {
            line.labels.push_back(safe_text(texts[i][row]));
        }
        for (size_t i = labels_; i < columns_.size(); ++i) {
            line.values.push_back(cell_of(block.column(i), row));
        }
    }
}

HeatMap::Scale HeatMap::find_scale() const {
    Scale scale;
    for (const Line& line : lines_) {
        for (const std::optional<double>& value : line.values) {
            if (value && std::isfinite(*value)) {
                scale.lo = scale.has_finite ? std::min(scale.lo, *value) : *value;
                scale.hi = scale.has_finite ? std::max(scale.hi, *value) : *value;
                scale.has_finite = true;
            }
        }
    }
    scale.is_logarithmic = scale.lo > 0 && scale.hi / scale.lo >= kLinearRatioMax;
    return scale;
}

double HeatMap::Scale::place_of(double value) const {
    if (lo == hi) {
        return 0;
    }
    // In halves, which stay finite.
    const double place = is_logarithmic ? std::log(value / lo) / std::log(hi / lo)
                                        : (value / 2 - lo / 2) / (hi / 2 - lo / 2);
    return std::clamp(place, 0.0, 1.0);
}

// What all lines have in common is left out.
std::vector<std::string> HeatMap::line_names() const {
    std::vector<size_t> told;
    for (size_t i = 0; i < labels_; ++i) {
        const bool varies = std::ranges::any_of(
            lines_, [&](const Line& line) { return line.labels[i] != lines_.front().labels[i]; });
        if (varies || (told.empty() && i + 1 == labels_)) {
            told.push_back(i);
        }
    }
    std::vector<std::string> names;
    names.reserve(lines_.size());
    for (const Line& line : lines_) {
        std::vector<std::string> parts;
        parts.reserve(told.size());
        for (const size_t i : told) {
            parts.push_back(line.labels[i]);
        }
        names.push_back(fmt::format("{}", fmt::join(parts, " ")));
    }
    return names;
}

std::optional<double> HeatMap::value_of(std::span<const std::optional<double>> shared) {
    std::optional<double> found;
    for (const std::optional<double>& value : shared) {
        const bool counts = value && (!found || !std::isfinite(*found) || *value > *found);
        if (counts && (!found || std::isfinite(*value))) {
            found = value;
        }
    }
    return found;
}

std::string HeatMap::cells_of(const Line& line, const Scale& scale, size_t cells,
                              const ChartOptions& options) const {
    std::string drawn;
    const size_t count = line.values.size();
    for (size_t at = 0; at < cells; ++at) {
        const size_t first = at * count / cells;
        const size_t end = std::max(first + 1, (at + 1) * count / cells);
        const auto value = value_of(std::span(line.values).subspan(first, end - first));
        if (!value) {
            drawn += ' ';
        } else if (!std::isfinite(*value)) {
            drawn += colored(kCross, kCrossColor, options.color);
        } else {
            const double place = scale.place_of(*value);
            const auto level = [place](size_t levels) {
                return std::min(levels - 1,
                                static_cast<size_t>(place * static_cast<double>(levels)));
            };
            drawn += options.color ? colored(kShades.back(), kColors[level(kColors.size())], true)
                                   : std::string(kShades[level(kShades.size())]);
        }
    }
    return drawn;
}

std::string HeatMap::legend_of(const Scale& scale, const ChartOptions& options) const {
    if (!scale.has_finite) {
        return "no finite values\n";
    }
    std::string shades;
    if (options.color) {
        for (const uint8_t color : kColors) {
            shades += colored(kShades.back(), color, true);
        }
    } else {
        shades = fmt::format("{}", fmt::join(kShades, ""));
    }
    return fmt::format("{} {} {}{}\n", format_short(scale.lo), shades, format_short(scale.hi),
                       scale.is_logarithmic ? ", logarithmic" : "");
}

std::string HeatMap::render(const ChartOptions& options) const {
    if (lines_.empty()) {
        return "no rows\n";
    }
    const size_t width = static_cast<size_t>(std::max(options.width, 40));
    std::vector<std::string> names = line_names();
    size_t name_width = 0;
    for (std::string& name : names) {
        name = cut(std::move(name), width / 3);
        name_width = std::max(name_width, display_width(name));
    }
    const size_t room = width - name_width - 1;
    const size_t count = columns_.size() - labels_;
    const size_t cells = count >= room ? room : count * std::min(kCellWidthMax, room / count);
    const Scale scale = find_scale();
    std::string drawn = legend_of(scale, options);
    for (size_t i = 0; i < lines_.size(); ++i) {
        drawn += fmt::format("{} {}\n", padded(names[i], name_width),
                             cells_of(lines_[i], scale, cells, options));
    }
    const std::string& first = columns_[labels_].name;
    const std::string& last = columns_.back().name;
    const size_t gap = cells > first.size() + last.size() ? cells - first.size() - last.size() : 1;
    return drawn + fmt::format("{} {}{}{}\n", std::string(name_width, ' '), first,
                               std::string(gap, ' '), last);
}

}  // namespace stepdb
