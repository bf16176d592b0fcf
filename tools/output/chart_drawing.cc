#include "tools/output/chart_drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tools/output/format_cell.h"

namespace stepdb {

namespace {

constexpr int kWidthMin = 40;
constexpr int kHeightMin = 4;
constexpr size_t kLegendLinesMax = 16;
constexpr std::string_view kFactGap = "   ";
constexpr uint8_t kCrossColor = 196;
constexpr uint8_t kAxisColor = 244;

// Line and band of a series, in the terminal's 256 colours: a clear tone and a darker one of it.
struct SeriesColors {
    uint8_t line;
    uint8_t band;
};
constexpr std::array<SeriesColors, 8> kPalette = {
    {{45, 31}, {214, 130}, {83, 29}, {213, 97}, {227, 101}, {147, 61}, {209, 95}, {252, 243}}};

SeriesColors colors_of(size_t index) {
    return kPalette[index % kPalette.size()];
}

std::string padded_left(std::string_view text, int width) {
    const int missing = width - static_cast<int>(display_width(text));
    return std::string(static_cast<size_t>(std::max(0, missing)), ' ') + std::string(text);
}

// With its middle left out if it is wider: both the run and the end of the metric tell.
std::string shortened(std::string_view text, int width) {
    std::vector<std::string_view> characters;
    for (size_t at = 0; at < text.size();) {
        size_t end = at + 1;
        while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
            ++end;
        }
        characters.push_back(text.substr(at, end - at));
        at = end;
    }
    const auto room = static_cast<size_t>(width);
    if (characters.size() <= room) {
        return std::string(text);
    }
    const size_t tail = (room - 1) * 2 / 3;
    const size_t head = room - 1 - tail;
    return fmt::format(
        "{}…{}", fmt::join(characters.begin(), characters.begin() + static_cast<long>(head), ""),
        fmt::join(characters.end() - static_cast<long>(tail), characters.end(), ""));
}

// Where `value` lies between the ends, as 0 to 1; halves, because hi - lo may overflow.
double part_of(double value, double lo, double hi) {
    return hi > lo ? (value / 2 - lo / 2) / (hi / 2 - lo / 2) : 0.5;
}

}  // namespace

ChartDrawing::ChartDrawing(std::span<const ChartSeries> series, bool timed,
                           const ChartOptions& options)
    : series_(series), timed_(timed), options_(options) {
    options_.width = std::max(kWidthMin, options_.width);
    options_.height = std::max(kHeightMin, options_.height);
    find_ranges();
    lay_out();
    for (size_t index = 0; index < series_.size(); ++index) {
        draw_series(index);
        mark_non_finite(series_[index]);
    }
}

void ChartDrawing::find_ranges() {
    bool any_bucket = false;
    for (const ChartSeries& series : series_) {
        for (const ChartBucket& bucket : series.buckets) {
            x_lo_ = any_bucket ? std::min(x_lo_, bucket.lo) : bucket.lo;
            x_hi_ = any_bucket ? std::max(x_hi_, bucket.hi) : bucket.hi;
            any_bucket = true;
        }
        if (series.has_finite()) {
            y_lo_ = any_finite_ ? std::min(y_lo_, series.min) : series.min;
            y_hi_ = any_finite_ ? std::max(y_hi_, series.max) : series.max;
            any_finite_ = true;
        }
    }
    if (y_lo_ == y_hi_) {
        // A flat line runs through the middle.
        const double room = y_lo_ == 0 ? 1 : std::fabs(y_lo_) / 10;
        y_lo_ -= room;
        y_hi_ += room;
    }
}

void ChartDrawing::lay_out() {
    y_ticks_ = number_ticks(y_lo_, y_hi_, std::max(3, options_.height / 3));
    label_width_ = 4;  // of "step" and "time"
    for (const Tick& tick : y_ticks_) {
        label_width_ = std::max(label_width_, static_cast<int>(display_width(tick.label)));
    }
    const int end_label_width = series_.size() > 1 ? 3 : 0;
    width_ = std::max(10, options_.width - label_width_ - 2 - end_label_width);
    const int label_room = timed_ ? 16 : 12;
    const int count_max = std::max(2, width_ / label_room);
    x_ticks_ = timed_ ? time_ticks(x_lo_, x_hi_, count_max) : number_ticks(x_lo_, x_hi_, count_max);
    canvas_ = Canvas(width_, options_.height);
    crosses_.assign(static_cast<size_t>(width_), false);
    end_labels_.assign(static_cast<size_t>(options_.height), "");
}

int ChartDrawing::dot_x(double x) const {
    const int last = canvas_.dots_across() - 1;
    return std::clamp(static_cast<int>(part_of(x, x_lo_, x_hi_) * (last + 1)), 0, last);
}

int ChartDrawing::dot_y(double y) const {
    const int last = canvas_.dots_down() - 1;
    return std::clamp(last - static_cast<int>(std::lround(part_of(y, y_lo_, y_hi_) * last)), 0,
                      last);
}

std::vector<ChartDrawing::DotColumn> ChartDrawing::dot_columns(const ChartSeries& series) const {
    std::vector<DotColumn> columns(static_cast<size_t>(canvas_.dots_across()));
    for (const ChartBucket& bucket : series.buckets) {
        if (bucket.count == 0) {
            continue;
        }
        const int first = dot_x(bucket.lo);
        // The column where the next bucket begins is the next bucket's.
        const int last =
            std::max(first, bucket.hi < x_hi_ ? dot_x(bucket.hi) - 1 : canvas_.dots_across() - 1);
        for (int x = first; x <= last; ++x) {
            DotColumn& column = columns[static_cast<size_t>(x)];
            const bool fresh = column.count == 0;
            column.min = fresh ? bucket.min : std::min(column.min, bucket.min);
            column.max = fresh ? bucket.max : std::max(column.max, bucket.max);
            column.count += bucket.count;
            const double share =
                static_cast<double>(bucket.count) / static_cast<double>(column.count);
            column.mean = column.mean * (1 - share) + bucket.mean * share;
        }
    }
    return columns;
}

bool ChartDrawing::covers(const std::vector<DotColumn>& columns, int x, int y) const {
    if (x < 0 || x >= canvas_.dots_across() || columns[static_cast<size_t>(x)].count == 0) {
        return false;
    }
    const DotColumn& column = columns[static_cast<size_t>(x)];
    return dot_y(column.max) <= y && y <= dot_y(column.min);
}

void ChartDrawing::draw_series(size_t index) {
    const uint8_t band = colors_of(index).band;
    const std::vector<DotColumn> columns = dot_columns(series_[index]);
    for (int x = 0; x < canvas_.dots_across(); ++x) {
        const DotColumn& column = columns[static_cast<size_t>(x)];
        if (column.count == 0) {
            continue;
        }
        const int top = dot_y(column.max);
        const int bottom = dot_y(column.min);
        for (int y = top; y <= bottom; ++y) {
            // Every other dot, so that the line stands out without colours too; but the extremes,
            // and what stands alone like a spike, whole.
            const bool alone = !covers(columns, x - 1, y) && !covers(columns, x + 1, y);
            if ((x + y) % 2 == 0 || y == top || y == bottom || alone) {
                canvas_.draw_band_dot(x, y, band);
            }
        }
    }
    draw_line(columns, index);
}

int ChartDrawing::bridged_columns(const ChartSeries& series) const {
    std::vector<double> distances;
    const ChartBucket* before = nullptr;
    for (const ChartBucket& bucket : series.buckets) {
        if (bucket.count == 0) {
            continue;
        }
        if (before != nullptr) {
            distances.push_back(bucket.lo - before->lo);
        }
        before = &bucket;
    }
    if (distances.empty()) {
        return 0;
    }
    const auto middle = distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2);
    std::nth_element(distances.begin(), middle, distances.end());
    const double columns = *middle / (x_hi_ - x_lo_) * canvas_.dots_across();
    return std::max(4, static_cast<int>(std::lround(3 * columns)));
}

void ChartDrawing::draw_line(const std::vector<DotColumn>& columns, size_t index) {
    const uint8_t color = colors_of(index).line;
    std::vector<int> occupied;
    for (size_t x = 0; x < columns.size(); ++x) {
        if (columns[x].count > 0) {
            occupied.push_back(static_cast<int>(x));
        }
    }
    const int bridged = bridged_columns(series_[index]);
    for (size_t i = 0; series_[index].has_line && i < occupied.size(); ++i) {
        const int x = occupied[i];
        const int y = dot_y(columns[static_cast<size_t>(x)].mean);
        canvas_.draw_line_dot(x, y, color);
        if (i == 0 || x - occupied[i - 1] > bridged) {
            continue;
        }
        const int from_x = occupied[i - 1];
        const int from_y = dot_y(columns[static_cast<size_t>(from_x)].mean);
        const int steps = std::max(x - from_x, std::abs(y - from_y));
        for (int step = 1; step < steps; ++step) {
            canvas_.draw_line_dot(from_x + (x - from_x) * step / steps,
                                  from_y + (y - from_y) * step / steps, color);
        }
    }
    if (!occupied.empty() && series_.size() > 1) {
        label_end(dot_y(columns[static_cast<size_t>(occupied.back())].mean), color, index);
    }
}

void ChartDrawing::label_end(int y, uint8_t color, size_t index) {
    constexpr size_t kLabelsMax = 99;  // two digits have room
    if (index >= kLabelsMax) {
        return;
    }
    // The nearest free row; with more series than rows some go without.
    const int wanted = y / Canvas::kDotsDown;
    for (int distance = 0; distance < options_.height; ++distance) {
        for (const int row : {wanted - distance, wanted + distance}) {
            if (row < 0 || row >= options_.height) {
                continue;
            }
            std::string& label = end_labels_[static_cast<size_t>(row)];
            if (label.empty()) {
                label = colored(fmt::format(" {}", index + 1), color, options_.color);
                return;
            }
        }
    }
}

void ChartDrawing::mark_non_finite(const ChartSeries& series) {
    for (const ChartBucket& bucket : series.buckets) {
        if (!bucket.non_finite) {
            continue;
        }
        const int middle = dot_x(bucket.lo / 2 + bucket.hi / 2) / Canvas::kDotsAcross;
        crosses_[static_cast<size_t>(middle)] = true;
    }
}

std::string ChartDrawing::legend_line(size_t index) const {
    const ChartSeries& series = series_[index];
    const std::string number = series_.size() > 1 ? fmt::format("{} ", index + 1) : "";
    std::string name = safe_text(series.run);
    name += name.empty() || series.metric.empty() ? "" : " · ";
    name += safe_text(series.metric);
    std::string facts;
    const std::string low = format_short(series.min, 5);
    const std::string high = format_short(series.max, 5);
    if (!series.has_finite()) {
        facts = "   no finite points";
    } else if (series.has_band) {
        facts = fmt::format("   min {}   max {}", low, high);
    } else {
        facts = fmt::format("   {} from {} to {}", series.line_of, low, high);
    }
    if (series.count > 0) {
        facts += fmt::format("   {} point{}", format_short(static_cast<double>(series.count)),
                             series.count == 1 ? "" : "s");
    }
    std::string bad;
    const auto add = [&](uint64_t count, std::string_view what) {
        if (count > 0) {
            bad += fmt::format("{}{} {}", bad.empty() ? "× " : ", ", count, what);
        }
    };
    add(series.nan, "NaN");
    add(series.pinf, "Infinity");
    add(series.ninf, "-Infinity");
    const std::string mark = number + (series.has_line ? "━━" : "⢕⢕");
    const int mark_width = static_cast<int>(display_width(mark)) + 1;
    const size_t width = display_width(name) + display_width(facts) +
                         (bad.empty() ? 0 : kFactGap.size() + display_width(bad));
    std::string line = colored(mark, colors_of(index).line, options_.color) + " ";
    if (mark_width + static_cast<int>(width) <= options_.width) {
        line += name + facts;
    } else {
        line += shortened(name, options_.width - mark_width) + "\n" + facts;
    }
    if (!bad.empty()) {
        line += std::string(kFactGap) + colored(bad, kCrossColor, options_.color);
    }
    return line + "\n";
}

std::string ChartDrawing::legend() const {
    std::string text;
    const size_t shown = series_.size() <= kLegendLinesMax ? series_.size() : kLegendLinesMax - 1;
    for (size_t index = 0; index < shown; ++index) {
        text += legend_line(index);
    }
    if (shown < series_.size()) {
        text += fmt::format("   and {} more\n", series_.size() - shown);
    }
    return text;
}

std::string ChartDrawing::axis_line() const {
    std::vector<bool> ticks(static_cast<size_t>(width_), false);
    for (const Tick& tick : x_ticks_) {
        ticks[static_cast<size_t>(dot_x(tick.at) / Canvas::kDotsAcross)] = true;
    }
    std::string line = colored("└", kAxisColor, options_.color);
    for (size_t cell = 0; cell < crosses_.size(); ++cell) {
        line += crosses_[cell] ? colored("×", kCrossColor, options_.color)
                               : colored(ticks[cell] ? "┬" : "─", kAxisColor, options_.color);
    }
    return line;
}

std::string ChartDrawing::tick_labels() const {
    // Column 0 is the first cell of the canvas; labels are centred under their ticks.
    std::string line;
    int end = 0;
    for (const Tick& tick : x_ticks_) {
        const int width = static_cast<int>(display_width(tick.label));
        const int cell = dot_x(tick.at) / Canvas::kDotsAcross;
        const int start = std::clamp(cell - width / 2, 0, std::max(0, width_ - width));
        if (start < end + (end > 0 ? 2 : 0)) {
            continue;
        }
        line.append(static_cast<size_t>(start - end), ' ');
        line += tick.label;
        end = start + width;
    }
    return line;
}

std::string ChartDrawing::text() const {
    if (series_.empty()) {
        return "nothing to draw: no series\n";
    }
    std::string text = legend();
    if (any_finite_) {
        std::vector<std::string> labels(static_cast<size_t>(options_.height));
        for (const Tick& tick : y_ticks_) {
            labels[static_cast<size_t>(dot_y(tick.at) / Canvas::kDotsDown)] = tick.label;
        }
        for (int row = 0; row < options_.height; ++row) {
            const std::string& label = labels[static_cast<size_t>(row)];
            std::string line = padded_left(label, label_width_) + " " +
                               colored(label.empty() ? "│" : "┤", kAxisColor, options_.color) +
                               canvas_.row(row, options_.color) +
                               end_labels_[static_cast<size_t>(row)];
            line.erase(line.find_last_not_of(' ') + 1);
            text += line + "\n";
        }
    }
    text += padded_left("", label_width_) + " " + axis_line() + "\n";
    text += padded_left(timed_ ? "UTC" : "step", label_width_) + "  " + tick_labels() + "\n";
    return text;
}

}  // namespace stepdb
