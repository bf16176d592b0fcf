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
constexpr size_t kLegendEntriesMax = 16;
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

}  // namespace

ChartDrawing::ChartDrawing(std::span<const ChartSeries> series, const ChartColumns& columns,
                           ChartScale scale, const ChartOptions& options)
    : series_(series), columns_(columns), scale_(std::move(scale)), options_(options) {
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
    label_width_ = std::max(4, static_cast<int>(display_width(scale_.x_name)));
    for (const Tick& tick : y_ticks_) {
        label_width_ = std::max(label_width_, static_cast<int>(display_width(tick.label)));
    }
    const int end_label_width = series_.size() > 1 ? 3 : 0;
    width_ = std::max(10, options_.width - label_width_ - 2 - end_label_width);
    const int label_room = scale_.is_timed ? 16 : scale_.is_logarithmic ? 8 : 12;
    const int count_max = std::max(2, width_ / label_room);
    x_ticks_ = scale_.is_timed         ? time_ticks(x_lo_, x_hi_, count_max)
               : scale_.is_logarithmic ? log_ticks(x_lo_, x_hi_, count_max)
                                       : number_ticks(x_lo_, x_hi_, count_max);
    canvas_ = Canvas(width_, options_.height);
    crosses_.assign(static_cast<size_t>(width_), false);
    end_labels_.assign(static_cast<size_t>(options_.height), "");
}

double ChartDrawing::place_of(double x) const {
    return scale_.is_logarithmic ? part_of(std::log(x), std::log(x_lo_), std::log(x_hi_))
                                 : part_of(x, x_lo_, x_hi_);
}

int ChartDrawing::dot_at(double place) const {
    const int last = canvas_.dots_across() - 1;
    return std::clamp(static_cast<int>(place * (last + 1)), 0, last);
}

int ChartDrawing::dot_of(const ChartBucket& bucket) const {
    return dot_at(place_of(bucket.lo) / 2 + place_of(bucket.hi) / 2);
}

int ChartDrawing::dot_y(double y) const {
    const int last = canvas_.dots_down() - 1;
    return std::clamp(last - static_cast<int>(std::lround(part_of(y, y_lo_, y_hi_) * last)), 0,
                      last);
}

std::vector<ChartDrawing::DotColumn> ChartDrawing::dot_columns(const ChartSeries& series) const {
    std::vector<DotColumn> columns(static_cast<size_t>(canvas_.dots_across()));
    for (const ChartBucket& bucket : series.buckets) {
        int first = dot_of(bucket);
        int last = first;
        if (columns_.in_buckets()) {
            first = dot_x(bucket.lo);
            // The column where the next bucket begins is the next bucket's.
            last = std::max(first,
                            bucket.hi < x_hi_ ? dot_x(bucket.hi) - 1 : canvas_.dots_across() - 1);
        }
        for (int x = first; x <= last; ++x) {
            columns[static_cast<size_t>(x)].add_values(bucket);
        }
    }
    return columns;
}

void ChartDrawing::fill_gaps(std::vector<DotColumn>& columns, int bridged) const {
    int last = -1;
    bool is_broken = false;
    for (int x = 0; x < canvas_.dots_across(); ++x) {
        const DotColumn to = columns[static_cast<size_t>(x)];
        if (to.count == 0) {
            is_broken = is_broken || to.non_finite;
            continue;
        }
        const bool is_gap = last >= 0 && !is_broken && x - last <= bridged;
        for (int between = last + 1; is_gap && between < x; ++between) {
            const DotColumn& from = columns[static_cast<size_t>(last)];
            const double share = static_cast<double>(between - last) / (x - last);
            DotColumn& column = columns[static_cast<size_t>(between)];
            column.min = from.min * (1 - share) + to.min * share;
            column.max = from.max * (1 - share) + to.max * share;
            column.mean = from.mean * (1 - share) + to.mean * share;
            column.count = 1;
        }
        last = x;
        is_broken = false;
    }
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
    std::vector<DotColumn> columns = dot_columns(series_[index]);
    if (!columns_.in_buckets() && columns_.has_band()) {
        fill_gaps(columns, bridged_columns(series_[index]));
    }
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
    const int all = canvas_.dots_across();
    std::vector<double> places;
    for (const ChartBucket& bucket : series.buckets) {
        if (bucket.count > 0) {
            places.push_back(place_of(bucket.lo));
        }
    }
    // On a logarithmic axis what is equally far apart is not so in dots; a few points may lie
    // anywhere.
    const bool are_few = !columns_.in_buckets() && places.size() <= static_cast<size_t>(all);
    if (scale_.is_logarithmic || are_few || places.size() < 2) {
        return all;
    }
    std::ranges::sort(places);
    std::vector<double> distances;
    for (size_t i = 1; i < places.size(); ++i) {
        distances.push_back(places[i] - places[i - 1]);
    }
    const auto middle = distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2);
    std::nth_element(distances.begin(), middle, distances.end());
    return std::max(4, static_cast<int>(std::lround(3 * *middle * all)));
}

void ChartDrawing::connect(int from_x, int from_y, int to_x, int to_y, uint8_t color) {
    const int steps = std::max(to_x - from_x, std::abs(to_y - from_y));
    for (int step = 1; step < steps; ++step) {
        canvas_.draw_line_dot(from_x + (to_x - from_x) * step / steps,
                              from_y + (to_y - from_y) * step / steps, color);
    }
}

void ChartDrawing::draw_line(const std::vector<DotColumn>& columns, size_t index) {
    const uint8_t color = colors_of(index).line;
    const int bridged = bridged_columns(series_[index]);
    int last_x = -1;
    int last_y = 0;
    bool is_broken = false;  // by NaN or infinities alone
    for (int x = 0; x < canvas_.dots_across(); ++x) {
        const DotColumn& column = columns[static_cast<size_t>(x)];
        if (column.count == 0) {
            is_broken = is_broken || column.non_finite;
            continue;
        }
        const int y = dot_y(column.mean);
        if (columns_.line) {
            canvas_.draw_line_dot(x, y, color);
            if (last_x >= 0 && !is_broken && x - last_x <= bridged) {
                connect(last_x, last_y, x, y, color);
            }
        }
        last_x = x;
        last_y = y;
        is_broken = false;
    }
    if (last_x >= 0 && series_.size() > 1) {
        label_end(last_y, color, index);
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
        crosses_[static_cast<size_t>(dot_of(bucket) / Canvas::kDotsAcross)] = true;
    }
}

std::vector<ChartDrawing::Fact> ChartDrawing::facts_of(const ChartSeries& series) const {
    std::vector<Fact> facts;
    const std::string low = format_short(series.min, 5);
    const std::string high = format_short(series.max, 5);
    if (!series.has_finite()) {
        facts.push_back({"no finite points"});
    } else if (columns_.shows.empty()) {
        facts.push_back({"min " + low});
        facts.push_back({"max " + high});
    } else {
        facts.push_back({low == high ? fmt::format("{} {}", columns_.shows, low)
                                     : fmt::format("{} from {} to {}", columns_.shows, low, high)});
    }
    if (series.points > 0) {
        facts.push_back({fmt::format("{} point{}", format_short(static_cast<double>(series.points)),
                                     series.points == 1 ? "" : "s")});
    }
    if (series.combined_max > 0) {
        const std::string from = series.combined_min < series.combined_max
                                     ? fmt::format("{} to ", series.combined_min)
                                     : "";
        facts.push_back({fmt::format("{}{} series", from, series.combined_max)});
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
    if (!bad.empty()) {
        facts.push_back({bad, true});
    }
    return facts;
}

std::string ChartDrawing::wrapped(const std::vector<Fact>& facts) const {
    const auto room = static_cast<size_t>(options_.width);
    std::string lines;
    size_t width = room;  // of the line so far, if it were full
    for (const Fact& fact : facts) {
        const std::string text = shortened(fact.text, options_.width - 3);
        if (width + kFactGap.size() + display_width(text) > room) {
            lines += '\n';
            width = 0;
        }
        lines += std::string(kFactGap) + (fact.is_warning ? warning(text) : text);
        width += kFactGap.size() + display_width(text);
    }
    return lines;
}

std::string ChartDrawing::legend_entry(size_t index) const {
    const ChartSeries& series = series_[index];
    const size_t digits = fmt::formatted_size("{}", std::min(series_.size(), kLegendEntriesMax));
    const std::string number = series_.size() > 1 ? fmt::format("{:>{}} ", index + 1, digits) : "";
    const std::string name = safe_text(series.name);
    const std::vector<Fact> facts = facts_of(series);
    const std::string mark = number + (columns_.line ? "━━" : "⢕⢕");
    const size_t mark_width = display_width(mark) + 1;
    size_t width = mark_width + display_width(name);
    std::string beside;
    for (const Fact& fact : facts) {
        beside += std::string(kFactGap) + (fact.is_warning ? warning(fact.text) : fact.text);
        width += kFactGap.size() + display_width(fact.text);
    }
    const bool fits = width <= static_cast<size_t>(options_.width);
    return colored(mark, colors_of(index).line, options_.color) + " " +
           (fits
                ? name + beside
                : shortened(name, options_.width - static_cast<int>(mark_width)) + wrapped(facts)) +
           "\n";
}

std::string ChartDrawing::warning(std::string_view text) const {
    return colored(text, kCrossColor, options_.color);
}

std::string ChartDrawing::legend() const {
    std::string text;
    const size_t shown =
        series_.size() <= kLegendEntriesMax ? series_.size() : kLegendEntriesMax - 1;
    for (size_t index = 0; index < shown; ++index) {
        text += legend_entry(index);
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
    text += padded_left(scale_.x_name, label_width_) + "  " + tick_labels() + "\n";
    return text;
}

}  // namespace stepdb
